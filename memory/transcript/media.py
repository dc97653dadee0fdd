"""Files within what is stored: what each one is and how large, never its bytes."""

import re
from typing import Any, Final

from memory.transcript.model import Media
from memory.transcript.values import as_dict, as_int, string

MOST_MEDIA: Final = 100
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
_AUDIO: Final = tuple(name for name, kind in _FIELDS.items() if kind == "audio")
_KINDS: Final = ("image", "audio", "video")
_MIME: Final = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,60}|\w{1,20}", re.ASCII)

# Where libraries nest what they say about a file, and how they name it. The first name that is there counts.
_HOLDERS: Final = (
    *("media_reference", "source", "image_url", "audio_url", "video_url", "file_url", "document_url", "input_image"),
    *("input_audio", "input_video", "input_file", "output_audio", "image", "audio", "video", "file", "document"),
    *("inline_data", "inlineData", "file_data", "fileData", "resource", "s3Location", "blob"),
)
_MIMES: Final = ("mime_type", "mimeType", "media_type", "mediaType", "format")
_NAMES: Final = ("filename", "file_name", "name", "title", "alt_text")
_BYTES: Final = ("content", "data", "base64", "file_data", "blob", "bytes")
_SOURCES: Final = ("url", "uri", "file_uri", "fileUri", "filepath", "file_id")

# Base64: one word or several lines of one; a JSON text has \n and \/ for the end of a line and a slash in it.
_WORD: Final = r"[A-Za-z0-9+/_-]"
_END: Final = r"(?:\r?\n|\\r\\n|\\n)[ \t]*"
_LAST: Final = rf'{_END}{_WORD}{{1,75}}+(?:==?|(?<={_WORD}{{20}})(?={_END}|$|"))'
_MORE: Final = rf"(?:\\/{_WORD}*+|{_END}{_WORD}{{60,}}+)*+(?:{_LAST}|=*)"
# in a data address, of which memory_shown_text of shown.sql leaves the number of bytes
_ADDRESS: Final = re.compile(
    rf"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.+-]+)*?(?:;bytes=(\d{{1,18}})|;base64,({_WORD}{{20,}}+{_MORE}))", re.ASCII
)
# and alone
_LONG: Final = 128
_SHORT: Final = len("data:;bytes=0")
_BARE: Final = re.compile(rf"(?<!{_WORD})(?=(?:{_WORD}|\\/){{60}}){_WORD}++{_MORE}")
# looked for in steps that find each line of base64, which has 64 letters or more
_DENSE: Final = re.compile(r"[A-Za-z0-9+/_=\\\r\n-]{44}")
_STEP: Final = 20
_NOT_BYTES: Final = re.compile(r"[^A-Za-z0-9+/_=\r\n-]")
_NOT_BASE64: Final = re.compile(r"\\[rn]|[\\\s]")
_SEQUENCE: Final = frozenset("ACGTUNacgtun")


def field_media(holder: dict[str, Any]) -> list[Media]:
    """Return the media in the fields of a message, a run or an input."""
    found = [one_media(kind, one) for name, kind in _FIELDS.items() if name in holder for one in _several(holder[name])]
    return found[:MOST_MEDIA]


def spoken(holder: dict[str, Any]) -> list[str]:
    """Return what is said in the recordings of a message or a run, each text once."""
    said = [transcript(one) for name in _AUDIO if name in holder for one in _several(holder[name])]
    return list(dict.fromkeys(filter(None, said)))


def _several(value: Any) -> list[Any]:
    return [one for one in (value[:MOST_MEDIA] if isinstance(value, list) else [value]) if one]


def transcript(audio: Any) -> str:
    return string(as_dict(audio).get("transcript")).strip()


def one_media(kind: str, value: Any) -> Media:
    """Describe a picture, recording, film or file; of its bytes only the number is kept."""
    stored = _flat(value)
    mime = next((mime for name in _MIMES if _MIME.fullmatch(mime := string(stored.get(name)))), "")
    name = next((string(stored[name]) for name in _NAMES if string(stored.get(name))), "")
    source = next((string(stored[name]) for name in _SOURCES if string(stored.get(name))), "")
    size = as_int(stored.get("size"))
    for data in (*(stored.get(one) for one in _BYTES), source):
        found = file_of(data) if data is source else file_of(data) or _text_file(data)
        if found:
            mime, size = mime or found.mime, found.size
            source = "" if data is source else source
            break
    if kind == "file" and mime.partition("/")[0] in _KINDS:
        kind = mime.partition("/")[0]
    return Media(kind, mime, label(name), size, without_bytes(source)[0][:500])


def sealed_size(value: Any) -> int:
    """Return the size of bytes that nobody but their writer can read."""
    return (one_media("file", {"data": value}).size or 0) if value else 0


def is_media(part: dict[str, Any]) -> bool:
    """Tell whether a part says where its file or its bytes are, not only that it is one."""
    stored = _flat(part)
    return any(string(stored.get(name)) for name in (*_BYTES, *_SOURCES))


def file_of(value: Any) -> Media | None:
    """Describe the file that a text is, if it is nothing but the bytes of one."""
    if not isinstance(value, str) or len(value) < _SHORT:
        return None
    if value.startswith("data:"):
        head, comma, data = value[:300].partition(",")
        mime = head[5:].partition(";")[0]
        if found := _ADDRESS.fullmatch(head):
            return Media(_kind_of(mime), mime, size=int(found[2]))
        return Media(_kind_of(mime), mime, size=_decoded_size(value[len(head) + 1 :])) if comma and data else None
    ends = value[: 4 * _LONG], value[-_LONG:]
    is_bytes = len(value) >= _LONG and not any(_NOT_BYTES.search(end) for end in ends)
    return Media("file", size=_decoded_size(value)) if is_bytes and _BARE.match(value) and _is_base64(ends[0]) else None


def without_bytes(text: str) -> tuple[str, list[Media]]:
    """Replace base64 in a text by its type in brackets, and return it as media."""
    if len(text) < _SHORT:
        return text, []
    media: list[Media] = []

    def address(found: re.Match[str]) -> str:
        mime = found[1] or ""
        media.append(Media(_kind_of(mime), mime, size=int(found[2]) if found[2] else _decoded_size(found[3])))
        return f"[{mime or 'data'}]"

    def bare(found: re.Match[str]) -> str:
        if len(found[0]) < _LONG or not _is_base64(found[0]):
            return found[0]
        media.append(Media("file", size=_decoded_size(found[0])))
        return "[data]"

    # most texts have none, which these find out faster than the patterns
    if ";base64," in text or ";bytes=" in text:
        text = _ADDRESS.sub(address, text)
    if len(text) >= _LONG and any(_DENSE.match(text, at) for at in range(0, len(text), _STEP)):
        text = _BARE.sub(bare, text)
    return text, media[:MOST_MEDIA]


def label(value: Any) -> str:
    """Return the name of something, without the bytes of files."""
    return without_bytes(string(value)[:1000])[0][:200]


def _flat(value: Any, depth: int = 0) -> dict[str, Any]:
    """Return what is said about a file, as one object; what stands further out counts first."""
    if isinstance(value, str):
        return {"url" if value.startswith(("http:", "https:", "data:")) else "data": value}
    held = as_dict(value)
    found = {name: one for name, one in held.items() if not isinstance(one, dict | list) and one is not None}
    for name in _HOLDERS:
        inner = found.pop(name, None) if name != "file_data" else None
        inner = held.get(name) if isinstance(held.get(name), dict) else inner
        if inner and depth < 3:
            found = {**_flat(inner, depth + 1), **found}
    if isinstance(held.get("storage_key"), str):
        # not its address, which may be signed
        places = [string(held.get(one)) for one in ("storage_backend", "bucket", "storage_key")]
        found["url"] = f"{places[0] or 'storage'}://{'/'.join(filter(None, places[1:]))}"
    return found


def _text_file(data: Any) -> Media | None:
    """Measure the content of a file that is a text, or base64 too short to be told from one."""
    if not isinstance(data, str) or not data:
        return None
    is_text = _NOT_BYTES.search(data[:1000])
    return Media("file", size=len(data.encode("utf-8", "replace")) if is_text else _decoded_size(data))


def _decoded_size(base64: str) -> int:
    # computed and not decoded: files may have many megabytes
    return (len(base64.rstrip("=")) - base64.count("\n")) * 3 // 4


def _is_base64(text: str) -> bool:
    """Tell base64 from long words, paths and sequences of letters."""
    text = _NOT_BASE64.sub("", text)
    kinds = set(text)
    if len(kinds) < 4 or kinds <= _SEQUENCE or not any(one.isupper() for one in kinds):
        return False
    return text.count("/") * 12 < len(text) and (text.count("-") + text.count("_")) * 12 < len(text)


def _kind_of(mime: str) -> str:
    kind = mime.partition("/")[0]
    return kind if kind in _KINDS else "file"
