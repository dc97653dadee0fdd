"""The media of a stored message as Agno reads them: fields and types of its models. Pure.

A `url` of 5 makes a thread unreadable, so all that its models check is checked here, with the same library.
"""

from base64 import b64decode
from typing import Any, Final

from pydantic import BaseModel, ValidationInfo, field_validator, model_validator

from memory.history.question import Generation

_OFFICE: Final = "application/vnd.openxmlformats-officedocument."
_FILES: Final = frozenset(
    {
        *("application/pdf", "application/json", "application/x-javascript", "application/x-python"),
        *(
            f"text/{kind}"
            for kind in ("javascript", "x-python", "plain", "html", "css", "markdown", "csv", "xml", "rtf")
        ),
        f"{_OFFICE}wordprocessingml.document",
    }
)
_FILES_2_9: Final = _FILES | {
    *(f"{_OFFICE}presentationml.presentation", f"{_OFFICE}spreadsheetml.sheet", "application/msword"),
    *("application/vnd.ms-powerpoint", "application/vnd.ms-excel", "application/vnd.ms-outlook"),
}
_FILE_TYPES: Final = {
    Generation.V2_5: _FILES,
    Generation.V2_9: _FILES_2_9,
    Generation.V3: _FILES_2_9 | {"application/zip", "message/rfc822"},
}


class MediaReference(BaseModel):
    """Where Agno 3 keeps the bytes of a file."""

    media_id: str
    storage_key: str
    storage_backend: str
    session_id: str | None = None
    bucket: str | None = None
    region: str | None = None
    url: str | None = None
    mime_type: str | None = None
    filename: str | None = None
    size: int | None = None
    content_hash: str | None = None
    media_type: str | None = None
    metadata: dict[str, Any] | None = None


class _Media(BaseModel):
    id: str | None = None
    url: str | None = None
    filepath: str | None = None
    content: bytes | None = None
    format: str | None = None
    mime_type: str | None = None
    media_reference: MediaReference | None = None
    metadata: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _has_one_source(cls, data: Any, info: ValidationInfo) -> Any:
        if not isinstance(data, dict):
            return data
        data = _of_generation(data, info)
        if isinstance(data.get("content"), str) and not isinstance(data.get("media_reference"), dict):
            # what is decoded from base64 is given only these fields
            return {name: data.get(name) for name in cls.decoded()} | {"content": b""}
        if data.get("media_reference") is None:
            sources = [one for one in ("url", "filepath", "content") if data.get(one) is not None]
            if len(sources) != 1:
                raise ValueError("one of url, filepath and content")
        return data

    @classmethod
    def decoded(cls) -> tuple[str, ...]:
        return ("id", "mime_type", "format")


class Image(_Media):
    detail: str | None = None
    original_prompt: str | None = None
    revised_prompt: str | None = None
    alt_text: str | None = None


class Audio(_Media):
    duration: float | None = None
    sample_rate: int | None = None
    channels: int | None = None
    transcript: str | None = None
    expires_at: int | None = None

    @classmethod
    def decoded(cls) -> tuple[str, ...]:
        return ("id", "mime_type", "transcript", "expires_at", "sample_rate", "channels")


class Video(_Media):
    duration: float | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    eta: str | None = None
    original_prompt: str | None = None
    revised_prompt: str | None = None


class StoredFile(BaseModel):
    """A file as a model answers with one."""

    id: str | None = None
    url: str | None = None
    filepath: str | None = None
    content: Any = None
    mime_type: str | None = None
    file_type: str | None = None
    filename: str | None = None
    size: int | None = None
    external: Any = None
    format: str | None = None
    name: str | None = None
    citations: bool | None = None
    media_reference: MediaReference | None = None
    metadata: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _has_a_source(cls, data: Any, info: ValidationInfo) -> Any:
        if not isinstance(data, dict):
            return data
        data = cls.prepared(_of_generation(data, info))
        if not any(data.get(one) for one in ("id", "url", "filepath", "content", "external", "media_reference")):
            raise ValueError("no source")
        return data

    @field_validator("mime_type")
    @classmethod
    def _is_allowed(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and value not in _FILE_TYPES[_generation(info)]:
            raise ValueError("no such type")
        return value

    @classmethod
    def prepared(cls, data: dict[str, Any]) -> dict[str, Any]:
        return data


class File(StoredFile):
    """A file that a message came with; its content is decoded from base64."""

    @classmethod
    def prepared(cls, data: dict[str, Any]) -> dict[str, Any]:
        content = data.get("content")
        if not isinstance(content, str) or isinstance(data.get("media_reference"), dict):
            return data
        names = ("id", "mime_type", "filename", "name", "format")
        # with an id, bytes are not asked for
        return {name: data.get(name) for name in names} | {"content": bool(data.get("id")) or _bytes(content)}


def _bytes(content: str) -> bytes:
    try:
        return b64decode(content)
    except ValueError:
        return content.encode("utf-8", "replace")


def _generation(info: ValidationInfo) -> Generation:
    return Generation.V3 if info.context is None else Generation(info.context)


def _of_generation(data: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
    """Leave out the fields that the reader's version does not know, which it passes over."""
    unknown = _UNKNOWN[_generation(info)]
    return {name: value for name, value in data.items() if name not in unknown} if unknown else dict(data)


_UNKNOWN: Final = {
    Generation.V2_5: ("media_reference", "metadata", "citations"),
    Generation.V2_9: ("media_reference", "metadata"),
    Generation.V3: (),
}
