"""The icons of all pages in one file, which a browser fetches once; they are drawn from the package lucide."""

from hashlib import sha256
from typing import Final

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from lucide.jinja import lucide

from studio.web import get_only

# those that templates use
NAMES: Final = [
    "arrow-down",
    "arrow-left",
    "arrow-right",
    "arrow-up",
    "audio-lines",
    "chevrons-up-down",
    "clock",
    "copy",
    "download",
    "file",
    "film",
    "globe",
    "history",
    "image",
    "log-out",
    "monitor",
    "moon",
    "plus",
    "sun",
    "trash-2",
    "user-plus",
    "user-round",
    "x",
]


def _draw(name: str) -> str:
    # without a size of its own an icon takes that of the place where it is used
    return lucide(name, id=name).replace(' width="24" height="24"', "", 1)


SPRITE: Final = f'<svg xmlns="http://www.w3.org/2000/svg">{"".join(map(_draw, NAMES))}</svg>'
_VERSION: Final = sha256(SPRITE.encode()).hexdigest()[:12]


def address() -> str:
    """Return the address of the file, which changes with it."""
    return f"{reverse('icons')}?v={_VERSION}"


@get_only
@login_not_required
def icons(request: HttpRequest) -> HttpResponse:
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return HttpResponse(SPRITE, content_type="image/svg+xml", headers=headers)
