"""Attachments as Agno stores them: in fields of the message, or as parts of its content."""

import base64
import struct
import zlib
from random import Random

from memory.demo.shapes import Json, new_id


def attachment(kind: str, text: str, rng: Random) -> tuple[Json, list[Json]]:
    """Return a message's media fields and, for some models, its content as a list of parts."""
    if kind == "images":
        photos = [
            {"id": new_id(rng), "mime_type": "image/png", "format": "png", "content": _base64(_png(rng, side))}
            for side in (48, 64)
        ]
        return {"images": photos}, []
    if kind == "parts":
        url = "data:image/png;base64," + _base64(_png(rng, 40))
        return {}, [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url, "detail": "auto"}}]
    if kind == "file":
        log = "\n".join(
            f"{number:06d} E-31 left wheel stalled, current {rng.randint(900, 1400)} mA" for number in range(40)
        )
        return {"files": [{"id": new_id(rng), "filename": "vacuum.log", "mime_type": "text/plain", "content": log}]}, []
    sound = bytes(rng.randrange(256) for _ in range(6000))
    return {
        "audio": [
            {
                "id": new_id(rng),
                "mime_type": "audio/ogg",
                "format": "ogg",
                "sample_rate": 24000,
                "channels": 1,
                "transcript": "Please deliver after six, the bell does not work.",
                "content": _base64(sound),
            }
        ]
    }, []


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _png(rng: Random, side: int) -> bytes:
    """Draw a small noisy gradient, so that it has the weight of a photo and not of an icon."""
    rows = b"".join(
        b"\x00" + bytes(min(255, value + rng.randrange(60)) for x in range(side) for value in (x * 3, y * 3, 90))
        for y in range(side)
    )

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
