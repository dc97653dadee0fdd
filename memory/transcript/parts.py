"""What is in a message's content: a string, a list of parts, or any other JSON. Each part is read by itself."""

from collections.abc import Callable
from typing import Any, Final

from memory.transcript.content import Content, Piece
from memory.transcript.media import MOST_MEDIA, field_media, is_media, label, one_media, sealed_size, transcript
from memory.transcript.sources import read_sources
from memory.transcript.values import as_dict, as_json, first, string

_MOST_PIECES: Final = 50
_DEEPEST: Final = 4
# keys of a text part of Gemini or Bedrock, which has no type; a row of a table may have a column "text", too
_OF_A_TEXT: Final = frozenset({"text", "thought", "thoughtSignature", "thought_signature", "annotations", "citations"})
# bytes by which a provider knows its own thinking again
_SEALED: Final = frozenset(
    {"signature", "thoughtSignature", "thought_signature", "encrypted_content", "encrypted_index", "data_signature"}
)
_TYPES: Final = {
    **dict.fromkeys(("text", "input_text", "output_text", "summary_text"), "text"),
    **dict.fromkeys(("thinking", "reasoning", "reasoning_text"), "thinking"),
    **dict.fromkeys(("tool_use", "server_tool_use", "mcp_tool_use", "tool_call", "function_call", "tool-call"), "call"),
    **dict.fromkeys(("tool_result", "mcp_tool_result"), "result"),
    **{
        f"{way}{kind}{end}": kind
        for kind in ("image", "audio", "video")
        for way in ("", "input_", "output_")
        for end in ("", "_url")
    },
    **dict.fromkeys(("file", "input_file", "file_url", "document", "document_url", "container_upload"), "file"),
    "redacted_thinking": "redacted",
    "refusal": "refusal",
    "resource": "resource",
    "resource_link": "link",
    "search_result": "document",
    "web_search_tool_result": "sources",
}
_KEYS: Final = {
    **dict.fromkeys(("inline_data", "inlineData", "file_data", "fileData"), "file"),
    **dict.fromkeys(("toolUse", "functionCall", "function_call"), "call"),
    "reasoningContent": "thinking",
}


def read_content(content: Any) -> Content:
    """Read content of any shape."""
    found = Content()
    stored = [content] if isinstance(content, str) or _is_one_part(content) else content
    if isinstance(stored, list) and any(_kind(one) for one in stored):
        _read_all(stored, found, 0)
    elif content is not None and content != [] and content != "":
        found.kind = "json"
        found.words = [found.say(as_json(content))]
    found.media = found.media[:MOST_MEDIA]
    return found


def _is_one_part(content: Any) -> bool:
    # any other object may be an answer that has a field of this name
    return isinstance(content, dict) and _TYPES.get(string(content.get("type"))) in ("text", "thinking", "refusal")


def _kind(part: Any) -> str:
    """Return what a part is, "" for an unknown kind."""
    if isinstance(part, str):
        return "text"
    if not isinstance(part, dict):
        return ""
    stored = part.get("type")
    kind = _TYPES.get(stored, "") if isinstance(stored, str) else _kind_without_type(part)
    if kind in ("image", "audio", "video", "file"):
        return kind if is_media(part) or transcript(part.get(kind)) or transcript(part) else ""
    if kind == "text":
        return kind if isinstance(part.get("text"), str | dict) else ""
    return kind


def _kind_without_type(part: dict[str, Any]) -> str:
    if isinstance(part.get("text"), str) and part.keys() <= _OF_A_TEXT:
        return "thinking" if part.get("thought") is True else "text"
    if "role" in part and "content" in part:
        return "message"
    name = next(iter(part), "") if len(part) == 1 else ""
    if name in ("image", "audio", "video", "document") and "source" in as_dict(part[name]):
        return "file" if name == "document" else name
    return next((kind for key, kind in _KEYS.items() if key in part), "")


def _read_all(parts: list[Any], found: Content, depth: int) -> None:
    others = []
    for part in parts:
        kind = _kind(part) if depth < _DEEPEST else ""
        if kind:
            _READERS[kind](part, found, depth)
        elif len(found.pieces) < _MOST_PIECES:
            name = label(as_dict(part).get("type"))[:60]
            found.pieces.append(Piece("other", name, found.say(as_json(_unsealed(part))), "json"))
        else:
            others.append(part)
    if others:
        more = found.say(as_json(_unsealed(others)))
        found.pieces.append(Piece("other", f"{len(others)} more parts", more, "json"))


def _inner(value: Any, depth: int) -> Content:
    found = Content()
    if value is not None:
        _read_all(value if isinstance(value, list) else [value], found, depth + 1)
    return found


def _text(part: Any, found: Content, depth: int) -> None:
    said = part if isinstance(part, str) else part["text"]
    found.words.append(found.say(string(said.get("value") if isinstance(said, dict) else said)))
    for name in ("annotations", "citations"):
        found.sources += read_sources(as_dict(part).get(name))


def _thinking(part: Any, found: Content, depth: int) -> None:
    held = as_dict(part.get("reasoningContent")) or part
    held = as_dict(held.get("reasoningText")) or held
    values = (held.get(name) for name in ("thinking", "reasoning", "text", "summary", "content"))
    inner = _inner(next(filter(None, values), None), depth)
    thought = found.take(inner)
    found.thinking += [thought] if thought else []
    if not thought and not inner.thinking:
        _redacted(held, found, depth)


def _redacted(part: Any, found: Content, depth: int) -> None:
    sealed = next((part[name] for name in ("data", "redactedContent", "encrypted_content") if part.get(name)), "")
    found.redacted += sealed_size(sealed)


def _refusal(part: Any, found: Content, depth: int) -> None:
    found.pieces.append(Piece("refusal", "", found.say(string(part.get("refusal") or part.get("text")))))


def _resource(part: Any, found: Content, depth: int) -> None:
    held = as_dict(part.get("resource"))
    if isinstance(held.get("text"), str):
        found.pieces.append(Piece("resource", first(held, "uri", "name", "title"), found.say(held["text"])))
    else:
        found.media.append(one_media("file", part))


def _document(part: Any, found: Content, depth: int) -> None:
    source = part.get("source")
    text = found.take(
        _inner(part.get("content") or as_dict(source).get("content") or as_dict(source).get("data"), depth)
    )
    found.pieces.append(Piece("resource", first(part, "title", "name") or string(source)[:200], text))


def _file(part: Any, found: Content, depth: int) -> None:
    if string(as_dict(part.get("source")).get("type")) in ("text", "content"):
        return _document(part, found, depth)
    found.media.append(one_media(_kind(part), part))
    found.words += filter(None, [transcript(part), *(transcript(part.get(name)) for name in ("audio", "input_audio"))])
    return None


def _link(part: Any, found: Content, depth: int) -> None:
    found.media.append(one_media("file", part))


def _call(part: Any, found: Content, depth: int) -> None:
    held = next((as_dict(part[name]) for name in _KEYS if isinstance(part.get(name), dict)), part)
    given = next((held[key] for key in ("input", "arguments", "args") if key in held), None)
    call = {"name": first(held, "name", "toolName"), "arguments": given}
    found.calls.append({"id": first(held, "toolUseId", "toolCallId", "call_id", "id"), "function": call})


def _result(part: Any, found: Content, depth: int) -> None:
    text = found.take(_inner(part.get("content"), depth))
    found.pieces += [Piece("result", first(part, "tool_use_id", "name"), text)] if text else []


def _sources(part: Any, found: Content, depth: int) -> None:
    found.sources += read_sources(part.get("content"))


def _message(part: Any, found: Content, depth: int) -> None:
    found.words.append(found.take(_inner(part["content"], depth)))
    found.media += field_media(part)


_READERS: Final[dict[str, Callable[[Any, Content, int], None]]] = {
    "text": _text,
    "thinking": _thinking,
    "redacted": _redacted,
    "refusal": _refusal,
    "resource": _resource,
    "document": _document,
    **dict.fromkeys(("image", "audio", "video", "file"), _file),
    "link": _link,
    "call": _call,
    "result": _result,
    "sources": _sources,
    "message": _message,
}


def _unsealed(part: Any, depth: int = 0) -> Any:
    """Leave out the bytes by which a provider knows its own parts again."""
    if isinstance(part, list) and depth < _DEEPEST:
        return [_unsealed(one, depth + 1) for one in part]
    if isinstance(part, dict) and depth < _DEEPEST:
        return {name: _unsealed(one, depth + 1) for name, one in part.items() if name not in _SEALED}
    return part
