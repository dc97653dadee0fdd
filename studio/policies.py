"""What a browser may do with the studio's pages, for settings and middleware."""

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

# Names of the pages that a browser may keep for its Back button: lists and settings. Everything else is never kept:
# what shows or takes a secret, what people wrote to agents, files, forms that were sent, errors, and all of the API.
KEPT: Final = frozenset(
    {"agents", "agent-new", "agent-edit", "agent-remove", "memory", "threads", "users", "user", "activity"}
    | {"audit", "people", "person", "account", "sessions"}
)
# Pages that may take the place of another's `main`. Others are loaded as a whole, so that no secret comes into a
# page that is kept, and no file into one at all.
SWAPPED: Final = KEPT | {"thread", "threads-delete"}
