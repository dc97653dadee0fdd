"""The text and the media in a message's content, which is a string, a list of parts, or any other JSON."""

import re
from typing import Any, Final

from memory.transcript.model import Media
from memory.transcript.values import as_dict, as_int, as_json, string

_MOST_MEDIA: Final = 100
_DATA_URI: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.+-]+)*;base64,([A-Za-z0-9+/_=-]{120,})")
_MIME: Final = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,60}", re.ASCII)
# where Agno keeps media, on a message and on a run, and what each holds
_FIELDS: Final = {
    "images": "image",
    "image_output": "image",
    "audio": "audio",
    "audios": "audio",
    "audio_output": "audio",
    "response_audio": "audio",
    "videos": "video",
    "video_output": "video",
    "files": "file",
    "file_output": "file",
}
_PART_KINDS: Final = ("image", "audio", "video", "file", "document")


def text_and_media(content: Any) -> tuple[str, str, list[Media]]:
    """Split content into its text, the kind of the text (text or json), and its media."""
    if isinstance(content, str):
        text, media = _without_data(string(content))
        return text, "text", media
    if content is None:
        return "", "text", []
    if not isinstance(content, list) or not content:
        return as_json(content), "json", []
    texts: list[str] = []
    media = []
    for part in content:
        found = _part(part)
        # an unknown part must not be left out silently: all of it is shown as JSON
        if found is None:
            return as_json(content), "json", []
        texts += [found[0]] if found[0] else []
        media += found[1]
    return "\n".join(texts), "text", media[:_MOST_MEDIA]


def _part(part: Any) -> tuple[str, list[Media]] | None:
    """Return text and media of one part, None for a part of an unknown kind."""
    if isinstance(part, str):
        return _without_data(string(part))
    if not isinstance(part, dict):
        return None
    if isinstance(part.get("text"), str):
        return _without_data(string(part["text"]))
    kind = string(part.get("type")).removeprefix("input_").removesuffix("_url")
    if kind in _PART_KINDS:
        return "", [_part_media("file" if kind == "document" else kind, part)]
    if "role" in part and "content" in part:
        text, shape, media = text_and_media(part["content"])
        return (text, [*media, *field_media(part)]) if shape == "text" else None
    return None


def _part_media(kind: str, part: dict[str, Any]) -> Media:
    for name in (f"{kind}_url", f"input_{kind}", kind, "source", "file", "document"):
        inner = part.get(name)
        if isinstance(inner, str):
            return one_media(kind, {"url": inner})
        if isinstance(inner, dict):
            return one_media(kind, inner)
    return one_media(kind, part)


def field_media(holder: dict[str, Any]) -> list[Media]:
    """Return the media in the fields of a message, a run or an input."""
    found: list[Media] = []
    for name, kind in _FIELDS.items():
        value = holder.get(name)
        found += [one_media(kind, one) for one in (value[:_MOST_MEDIA] if isinstance(value, list) else [value]) if one]
    return found[:_MOST_MEDIA]


def one_media(kind: str, value: Any) -> Media:
    """Describe a picture, recording, film or file; of its bytes only the number is kept."""
    if isinstance(value, str):
        value = {"url" if value.startswith(("http:", "https:", "data:")) else "content": value}
    stored = as_dict(value)
    mime = string(stored.get("mime_type") or stored.get("media_type") or stored.get("format"))
    mime = mime if _MIME.fullmatch(mime) or mime.isalnum() else ""
    name = string(stored.get("filename") or stored.get("name") or stored.get("alt_text"))[:200]
    source = string(stored.get("url") or stored.get("filepath"))
    size = as_int(stored.get("size"))
    for data in (stored.get("content"), stored.get("data"), stored.get("base64"), stored.get("file_data")):
        if isinstance(data, str) and data:
            size = _decoded_size(data.partition(";base64,")[2] or data)
    inline = _DATA_URI.match(source)
    if inline or source.startswith("data:"):
        mime = (inline and inline[1]) or mime
        size = _decoded_size(source.partition(",")[2])
        source = ""
    return Media(kind, mime[:120], name, size, source[:500])


def _decoded_size(base64: str) -> int:
    # computed and not decoded: files may have many megabytes
    return len(base64.rstrip("=")) * 3 // 4


def _without_data(text: str) -> tuple[str, list[Media]]:
    """Replace base64 data in a text by its type in brackets, and return it as media."""
    # most texts have none, which this finds out faster than the pattern
    if ";base64," not in text:
        return text, []
    media = [
        Media(_kind_of(found[1] or ""), found[1] or "", size=_decoded_size(found[2]))
        for found in _DATA_URI.finditer(text)
    ]
    return _DATA_URI.sub(lambda found: f"[{found[1] or 'data'}]", text), media


def _kind_of(mime: str) -> str:
    kind = mime.partition("/")[0]
    return kind if kind in _PART_KINDS else "file"
