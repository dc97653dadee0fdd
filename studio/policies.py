"""What a browser may do on the studio's pages, for settings and middleware."""

from typing import Final

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

CONTENT_SECURITY: Final = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        # the QR code of an authenticator app
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
