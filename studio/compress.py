"""Pages compressed with gzip, without giving secrets away by their length (BREACH).

Repeated text compresses well. Somebody who can put words into a page and watch its length could therefore
guess a secret in it. Three measures prevent that: views that show a key, password or link are not
compressed, the CSRF token is masked anew in each answer, and each answer gets a padding of random length.
"""

import secrets
import struct
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any, Final, cast

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.cache import patch_vary_headers
from isal import isal_zlib

View = Callable[..., HttpResponseBase]

# a page of 116 KB: 14.8 KB in 0.07 ms; zlib's level 3 takes four times as long for a fortieth less
LEVEL: Final = 2
SMALLEST: Final = 1_000
PADDING: Final = 100
_HEADER: Final = b"\x1f\x8b\x08\x08" + bytes(5) + b"\xff"  # gzip, with a file name to follow, no time


def compressed(view: View) -> View:
    """Compress a view's answer if it is a page; a streamed page is still sent chunk by chunk."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        if not _is_page(request, response):
            return response
        # before the check: a cache must keep the uncompressed answer apart, too
        patch_vary_headers(response, ["Accept-Encoding"])
        if "gzip" not in request.headers.get("Accept-Encoding", ""):
            return response
        response.headers["Content-Encoding"] = "gzip"
        if response.streaming:
            streamed = cast(StreamingHttpResponse, response)
            streamed.streaming_content = gzip(cast(Iterable[bytes], streamed.streaming_content))
        else:
            whole = cast(HttpResponse, response)
            whole.content = b"".join(gzip([whole.content]))
            whole.headers["Content-Length"] = str(len(whole.content))
        return response

    return wrapped


def gzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Compress chunks so that the browser can read each one as soon as it has arrived."""
    packer, check, size = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, -isal_zlib.MAX_WBITS), 0, 0
    # the padding is the file name of the gzip header, which browsers ignore
    yield _HEADER + secrets.token_hex(PADDING)[: secrets.randbelow(PADDING)].encode() + b"\0"
    for chunk in chunks:
        check, size = isal_zlib.crc32(chunk, check), size + len(chunk)
        yield packer.compress(chunk) + packer.flush(isal_zlib.Z_SYNC_FLUSH)
    yield packer.flush() + struct.pack("<2L", check, size % 2**32)


def _is_page(request: HttpRequest, response: HttpResponseBase) -> bool:
    headers = response.headers
    return (
        request.method == "GET"
        and headers.get("Content-Type", "").startswith("text/html")
        and "Content-Encoding" not in headers
        and "no-store" not in headers.get("Cache-Control", "")
        and (response.streaming or len(cast(HttpResponse, response).content) >= SMALLEST)
    )
