"""What a browser may do on the studio's pages, for settings and middleware."""

from typing import Final

from csp.constants import NONE, SELF

# Pages copy ids and use passkeys. Every other feature is off.
PERMISSIONS: Final = ", ".join(
    [
        "clipboard-write=(self)",
        "publickey-credentials-create=(self)",
        "publickey-credentials-get=(self)",
        *(
            f"{feature}=()"
            for feature in (
                *("accelerometer", "autoplay", "browsing-topics", "camera", "clipboard-read"),
                *("display-capture", "encrypted-media", "fullscreen", "geolocation", "gyroscope", "hid"),
                *("identity-credentials-get", "idle-detection", "local-fonts", "magnetometer", "microphone", "midi"),
                *("payment", "picture-in-picture", "screen-wake-lock", "serial", "storage-access", "usb"),
                *("window-management", "xr-spatial-tracking"),
            )
        ),
    ]
)

CONTENT_SECURITY: Final = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        # the QR code of an authenticator app
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
