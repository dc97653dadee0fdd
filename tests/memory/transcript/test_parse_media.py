"""A run's JSON as values: media are measured and left."""

import base64
from typing import Any

import pytest

from memory.transcript.model import Media
from memory.transcript.parts import read_content
from tests.memory.transcript.parsed import read, said

PICTURE = base64.b64encode(b"x" * 3000).decode()


@pytest.mark.parametrize(
    ("part", "media"),
    [
        (
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}},
            Media("image", "image/png", "", 3000),
        ),
        ({"type": "input_image", "image_url": "https://x.y/a.png"}, Media("image", source="https://x.y/a.png")),
        ({"type": "input_audio", "input_audio": {"data": PICTURE, "format": "wav"}}, Media("audio", "wav", "", 3000)),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": PICTURE}},
            Media("image", "image/jpeg", "", 3000),
        ),
        ({"type": "file", "file": {"filename": "a.pdf", "file_data": PICTURE}}, Media("file", "", "a.pdf", 3000)),
        (
            {"type": "document", "source": {"type": "url", "url": "https://x.y/d"}},
            Media("file", source="https://x.y/d"),
        ),
    ],
)
def test_media_parts_are_measured_and_left(part: dict[str, Any], media: Media) -> None:
    found = read_content([{"type": "text", "text": "see"}, part])
    assert (found.text, found.kind, found.media) == ("see", "text", [media])


def test_media_fields_of_messages_and_runs_are_read() -> None:
    picture = {"id": "1", "content": PICTURE, "mime_type": "image/png", "filename": "a.png"}
    run = read(
        {"messages": [said("user", "q", images=[picture], audio_output=picture)], "videos": [{"filepath": "/v.mp4"}]}
    )
    assert run.messages[0].media == [
        Media("image", "image/png", "a.png", 3000),
        Media("audio", "image/png", "a.png", 3000),
    ]
    assert run.media == [Media("video", source="/v.mp4")]


def test_base64_inside_a_text_leaves_its_type() -> None:
    found = read_content(f"look: data:image/png;base64,{PICTURE} done")
    assert found.text == "look: [image/png] done"
    assert found.media == [Media("image", "image/png", "", 3000)]


def test_parts_of_no_known_kind_are_shown_as_json_by_themselves() -> None:
    found = read_content([{"type": "text", "text": "a"}, {"type": "odd", "n": 1}])
    assert (found.text, found.kind) == ("a", "text")
    assert [(one.kind, one.name, one.value) for one in found.pieces] == [("other", "odd", '{"type": "odd", "n": 1}')]
