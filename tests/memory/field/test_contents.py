"""Everything that was said is shown, each part by itself, and the bytes of no file."""

import base64
import json
import random
from typing import Any

import pytest

from tests.memory.field.rows import NOW, Studio, said, turn
from tests.memory.field.test_counts import flow

BYTES = "QUJD" * 1000  # 3 KB
PNG = {"type": "image", "mimeType": "image/png", "data": "QUJD" * 100_000}


def show(studio: Studio, where: str, *messages: dict[str, Any], **more: Any) -> str:
    """Store a run of these messages; return its part of the page, without a byte of a file on it or in the API."""
    run = {"run_id": "r", "agent_id": "a", "status": "COMPLETED", "created_at": NOW, "messages": list(messages), **more}
    studio.both("s", [run], where)
    shown = studio.runs("s")
    for text in (shown, json.dumps(studio.read("s", "/runs")), json.dumps(studio.read("s", "/messages"))):
        assert "QUJDQUJD" not in text
        assert "c2lnbmF0dXJl" not in text
    return shown


def answers(studio: Studio) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = studio.read("s", "/messages")["items"]
    return found


def test_04_api_leaves_out_steps(studio: Studio, where: str) -> None:
    stored = flow()
    stored["step_executor_runs"][1]["content"] = "no bank"  # type: ignore[index]
    studio.both("flow-1", [stored], where, type="workflow")
    (run,) = studio.read("flow-1", "/runs")["items"]
    items = studio.read("flow-1", "/messages")["items"]
    assert run["messages"] == items
    told = [(one["agent"], one["role"], one["content"]) for one in items]
    assert told == [
        ("Returns", "user", "Please check my return"),
        ("Looker", "user", "Please check my return"),
        ("Looker", "assistant", ""),
        ("Looker", "tool", "in Ghent"),
        ("Looker", "assistant", "found it"),
        ("Payer", "user", "pay back"),
        ("Payer", "assistant", "I try"),
        ("Payer", "note", "no bank"),
        ("Returns", "assistant", "done"),
    ]
    assert [(one["name"], one["status"], one["note"]) for one in run["members"]] == [
        ("Looker", "COMPLETED", None),
        ("Payer", "ERROR", "no bank"),
    ]
    assert [(one["name"], one["content"], one["failed"]) for one in run["steps"]] == [
        ("look", "found it", False),
        ("pay", "no bank", True),
    ]


def test_steps_that_are_functions_are_in_the_api_too(studio: Studio, where: str) -> None:
    studio.both("flow-2", [{**flow(), "step_executor_runs": []}], where, type="workflow")
    told = [(one["agent"], one["role"], one["content"]) for one in studio.read("flow-2", "/messages")["items"]]
    assert told[1:3] == [("Looker", "assistant", "found it"), ("Payer", "note", "no bank")]


@pytest.mark.parametrize("field", ["member_responses", "workflow_agent_run"])
def test_members_at_any_depth_are_in_the_api(studio: Studio, where: str, field: str) -> None:
    inner = turn("m2", "asked deep", "said deep", agent_name="Deep", parent_run_id="m1")
    member = turn("m1", "asked", "said", agent_name="Mid", parent_run_id="t1", member_responses=[inner])
    more = {field: [member] if field == "member_responses" else member}
    studio.both("s", [turn("t1", "question", "answer", team_id="team", **more)], where)
    assert [one["content"] for one in answers(studio)] == [
        *("question", "asked", "asked deep", "said deep", "said", "answer")
    ]


def test_a_member_that_is_stored_by_itself_too_is_given_once(studio: Studio, where: str) -> None:
    member = turn("m1", "asked", "answered", parent_run_id="t1")
    team = turn("t1", "question", "answer", team_id="team", member_responses=[member])
    studio.both("s", [team, dict(member)], where, type="team")
    assert sorted(one["content"] for one in answers(studio)) == ["answer", "answered", "asked", "question"]


VOICE = {
    "id": "a1",
    "mime_type": "audio/pcm16",
    "transcript": "Your parcel arrives on Friday",
    "content": "AAECAw==",
}


@pytest.mark.parametrize(
    ("message", "run"),
    [
        ({"audio_output": VOICE}, {"response_audio": VOICE}),
        ({"audio_output": VOICE}, {}),
        ({"audio": [VOICE]}, {}),
        ({}, {"response_audio": VOICE}),
        ({}, {"audio": [VOICE]}),
        ({"content": [{"type": "output_audio", "audio": VOICE}]}, {}),
        ({"content": "Your parcel arrives on Friday", "audio_output": VOICE}, {}),
    ],
)
def test_05_spoken_answer(studio: Studio, where: str, message: dict[str, Any], run: dict[str, Any]) -> None:
    shown = show(studio, where, said("user", "Where is my parcel?"), {"role": "assistant"} | message, **run)
    assert shown.count("Your parcel arrives on Friday") == 1
    assert shown.count("audio/pcm16") == 1
    assert [one["content"] for one in answers(studio) if one["content"]] == [
        "Where is my parcel?",
        "Your parcel arrives on Friday",
    ]


def test_what_was_spoken_beside_another_text_is_shown_too(studio: Studio, where: str) -> None:
    show(studio, where, said("user", "Where?"), said("assistant", "See below"), response_audio=VOICE)
    assert [one["content"] for one in answers(studio)] == ["Where?", "See below", "Your parcel arrives on Friday"]


def test_a_spoken_question_stands_beside_the_written_one(studio: Studio, where: str) -> None:
    shown = show(studio, where, said("user", "Listen:", audio=[VOICE]), said("assistant", "I do."))
    assert "Listen: Your parcel arrives on Friday" in shown
    assert answers(studio)[0]["content"] == "Listen:\n\nYour parcel arrives on Friday"


def called(content: Any) -> list[dict[str, Any]]:
    call = {"id": "c1", "type": "function", "function": {"name": "shot", "arguments": "{}"}}
    return [said("assistant", None, tool_calls=[call]), said("tool", content, tool_call_id="c1", tool_name="shot")]


THINKING = {"type": "thinking", "thinking": "They ask for the reason.", "signature": "c2lnbmF0dXJl"}
LATE = {"type": "text", "text": "Because it is **late**."}
NOTE = {
    "type": "resource",
    "resource": {"uri": "file:///r.txt", "mimeType": "text/plain", "text": "note of the shop"},
}


def test_14_parts_of_an_answer(studio: Studio, where: str) -> None:
    result = [{"type": "text", "text": "2 rows"}, PNG, NOTE]
    shown = show(studio, where, said("user", "Why?"), *called(result), said("assistant", [THINKING, LATE]))
    for part in ("2 rows", "image/png · 300 KB", "file:///r.txt", "note of the shop", "They ask for the reason."):
        assert part in shown
    assert "Reasoning" in shown
    assert "Because it is late." in shown
    assert "{" not in shown.replace("{}", "")
    tool, answer = answers(studio)[2:]
    assert tool["content"] == "2 rows\nnote of the shop"
    assert [(one["kind"], one["name"], one["content"]) for one in tool["parts"]] == [
        ("resource", "file:///r.txt", "note of the shop")
    ]
    assert [(one["mime"], one["size"]) for one in tool["media"]] == [("image/png", 300_000)]
    assert (answer["content"], answer["reasoning"]) == ("Because it is **late**.", "They ask for the reason.")


# a part as some provider writes it, and what is shown of it
PARTS = {
    "Anthropic's redacted thinking": ({"type": "redacted_thinking", "data": BYTES}, "3.0 KB of reasoning"),
    "Mistral's thinking": ({"type": "thinking", "thinking": [{"type": "text", "text": "inner"}]}, "inner"),
    "OpenAI's reasoning": (
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "inner"}], "encrypted_content": BYTES},
        "inner",
    ),
    "Gemini's thought": ({"text": "inner", "thought": True}, "inner"),
    "Bedrock's reasoning": ({"reasoningContent": {"reasoningText": {"text": "inner", "signature": BYTES}}}, "inner"),
    "a refusal": ({"type": "refusal", "refusal": "I cannot do this"}, "Refused I cannot do this"),
    "OpenAI's answer": ({"type": "output_text", "text": "spoken **so**"}, "spoken so"),
    "an assistant's text": ({"type": "text", "text": {"value": "in value", "annotations": []}}, "in value"),
    "Gemini's picture": ({"inline_data": {"mime_type": "image/jpeg", "data": BYTES}}, "image/jpeg · 3.0 KB"),
    "Gemini's file": (
        {"fileData": {"mimeType": "video/mp4", "fileUri": "https://x.org/v"}},
        "video/mp4 · https://x.org/v",
    ),
    "Bedrock's picture": ({"image": {"format": "png", "source": {"bytes": BYTES}}}, "png · 3.0 KB"),
    "a bare address of base64": ({"type": "image_url", "image_url": {"url": BYTES}}, "image · 3.0 KB"),
    "an embedded file": (
        {"type": "resource", "resource": {"uri": "file:///r.pdf", "mimeType": "application/pdf", "blob": BYTES}},
        "application/pdf · 3.0 KB · file:///r.pdf",
    ),
    "a link": (
        {"type": "resource_link", "uri": "file:///x.rs", "name": "x.rs", "mimeType": "text/x-rust", "size": 1200},
        "text/x-rust · x.rs · 1.2 KB · file:///x.rs",
    ),
    "a document of text": (
        {"type": "document", "title": "Terms", "source": {"type": "text", "media_type": "text/plain", "data": "Pay."}},
        "Resource Terms Pay.",
    ),
    "a search result": (
        {
            "type": "search_result",
            "source": "https://x.org",
            "title": "Law",
            "content": [{"type": "text", "text": "§ 1"}],
        },
        "Resource Law § 1",
    ),
    "a web search": (
        {
            "type": "web_search_tool_result",
            "content": [{"url": "https://x.org", "title": "Law", "encrypted_content": BYTES}],
        },
        "Sources Law https://x.org",
    ),
    "a result": ({"type": "tool_result", "tool_use_id": "c9", "content": [{"type": "text", "text": "42"}]}, "c9 42"),
    "a call": ({"type": "tool_use", "id": "c7", "name": "look_up", "input": {"a": "b7"}}, "look_up"),
    "an unknown part": (
        {"type": "odd", "data": BYTES, "signature": "c2lnbmF0dXJl", "n": 7},
        'Part odd { "n": 7, "data": "[data]", "type": "odd" }',
    ),
    "a part without a type": ({"odd": 7}, '{ "odd": 7 }'),
    "a number": (7, "7"),
}


@pytest.mark.parametrize("what", PARTS)
def test_each_part_is_shown_by_itself(studio: Studio, where: str, what: str) -> None:
    part, seen = PARTS[what]
    shown = show(studio, where, said("user", "q"), said("assistant", [part, LATE]))
    assert seen in shown
    assert "Because it is late." in shown
    assert "QUJD" not in shown
    told = json.dumps(answers(studio) + studio.read("s", "/runs")["items"], ensure_ascii=False)
    assert "Because it is **late**." in answers(studio)[1]["content"]
    assert seen.split()[-1].strip("{}") in told or "KB" in seen


@pytest.mark.parametrize("rows", [[{"text": "a", "id": 1}], [{"type": "file", "name": "a.txt"}], [1, 2], {"a": [1]}])
def test_a_result_of_rows_stays_whole(studio: Studio, where: str, rows: Any) -> None:
    show(studio, where, said("user", "q"), *called(rows))
    assert json.loads(answers(studio)[2]["content"]) == rows


def stored_reference(**more: Any) -> dict[str, Any]:
    kept = {"storage_key": "s1/m1.jpg", "storage_backend": "s3", "bucket": "acme", "mime_type": "image/jpeg"}
    more = {"filename": "broken-bike.jpg", "size": 113_255, "media_type": "image", **more}
    return {"id": "m1", "media_reference": {"media_id": "m1", **kept, **more}}


@pytest.mark.parametrize("field", ["images", "audio", "videos", "files", "image_output", "file_output"])
def test_15_offloaded_media(studio: Studio, where: str, field: str) -> None:
    one = stored_reference(url="https://acme.s3.org/m1?X-Amz-Signature=secret")
    shown = show(studio, where, said("user", "see", **{field: [one]}), said("assistant", "I see"))
    assert "image/jpeg · broken-bike.jpg · 113 KB" in shown
    assert "secret" not in shown
    (media,) = answers(studio)[0]["media"]
    told = [media[name] for name in ("mime", "name", "size", "source")]
    assert told == ["image/jpeg", "broken-bike.jpg", 113_255, "s3://acme/s1/m1.jpg"]


def test_media_of_runs_and_steps_are_in_the_api(studio: Studio, where: str) -> None:
    step = {"step_name": "draw", "executor_name": "Drawer", "content": "", "images": [stored_reference()]}
    shown = show(studio, where, said("user", "q"), step_results=[step], images=[stored_reference(filename="b.jpg")])
    assert "broken-bike.jpg" in shown
    assert "b.jpg" in shown
    (run,) = studio.read("s", "/runs")["items"]
    assert [one["name"] for one in run["media"]] == ["b.jpg"]
    assert [one["name"] for one in run["steps"][0]["media"]] == ["broken-bike.jpg"]
    assert [one["media"][0]["name"] for one in answers(studio) if one["media"]] == ["broken-bike.jpg"]


@pytest.mark.parametrize("answer", [f"data:image/png;base64,{BYTES}", f"see data:image/png;base64,{BYTES}", [PNG]])
@pytest.mark.parametrize("told", [True, False])
def test_a_picture_in_an_answer_is_shown_once(studio: Studio, where: str, answer: Any, told: bool) -> None:
    messages = [said("user", "draw"), *([said("assistant", answer)] if told else [])]
    assert show(studio, where, *messages, content=answer).count("image/png ·") == 1
    assert len([one for one in answers(studio) if one["media"]]) == 1


POLICY = {"url": "https://example.org/returns", "title": "Returns policy"}
LAW = {"url": "https://example.org/law", "title": "Consumer law"}
BOTH = [("https://example.org/returns", "Returns policy"), ("https://example.org/law", "Consumer law")]


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ({"citations": {"urls": [POLICY, LAW], "search_queries": ["return period"]}}, {}),
        ({}, {"citations": {"urls": [POLICY, LAW], "search_queries": None}}),
        ({"citations": {"raw": [POLICY, LAW], "urls": []}}, {}),
        ({"citations": [POLICY, LAW]}, {}),
        ({}, {"annotations": [{"type": "url_citation", "url_citation": one} for one in (POLICY, LAW)]}),
        (
            {
                "citations": {
                    "raw": {
                        "grounding_metadata": {
                            "grounding_chunks": [
                                {"web": {"uri": one["url"], "title": one["title"]}} for one in (POLICY, LAW)
                            ]
                        }
                    }
                }
            },
            {},
        ),
        (
            {},
            {"content": [{"type": "text", "text": "Two weeks [1][2].", "citations": [POLICY, {**LAW, "type": "x"}]}]},
        ),
    ],
)
def test_16_sources_of_an_answer(studio: Studio, where: str, run: dict[str, Any], message: dict[str, Any]) -> None:
    answer = {"role": "assistant", "content": "Two weeks [1][2].", **message}
    shown = show(studio, where, said("user", "How long?"), answer, **run)
    assert shown.index("Two weeks [1][2].") < shown.index("Returns policy") < shown.index("Consumer law")
    assert ("return period" in shown) == ("search_queries" in run.get("citations", {}))
    page = studio.page.get(f"/agents/{studio.agent.pk}/threads/s/").content.decode()
    assert all(f'<a href="{url}" rel="noopener noreferrer nofollow">' in page for url, _ in BOTH)
    (found,) = studio.read("s", "/runs")["items"]
    assert [(one["url"], one["title"]) for one in found["sources"]] == BOTH


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "/agents/", "ftp://x"])
def test_a_source_leads_to_the_web_alone(studio: Studio, where: str, url: str) -> None:
    show(studio, where, said("user", "q"), said("assistant", "a"), citations={"urls": [{"url": url, "title": "bad"}]})
    page = studio.page.get(f"/agents/{studio.agent.pk}/threads/s/").content.decode()
    assert f'href="{url}" rel' not in page
    assert "bad" in page


def test_documents_that_are_cited_are_named(studio: Studio, where: str) -> None:
    document = {"document_title": "Terms", "cited_text": "You may return", "file_name": "t.pdf"}
    shown = show(
        studio, where, said("user", "q"), said("assistant", "a"), citations={"documents": [document], "urls": None}
    )
    assert "Terms" in shown
    assert "You may return" in shown


@pytest.mark.parametrize("beside", ["run", "message"])
def test_references_and_followups_are_shown(studio: Studio, where: str, beside: str) -> None:
    given = {"query": "returns", "references": [{"name": "terms.pdf", "content": "Two weeks."}, "plain text"]}
    run = {"references": [given]} if beside == "run" else {}
    asked = said("user", "q", **({} if run else {"references": given}))
    shown = show(studio, where, asked, said("assistant", "a"), followups=["And in Belgium?", 7], **run)
    for part in ("2 texts given to the model", "terms.pdf for returns", "Two weeks.", "plain text", "And in Belgium?"):
        assert part in shown
    (found,) = studio.read("s", "/runs")["items"]
    assert [(one["query"], one["name"], one["content"]) for one in found["references"]] == [
        ("returns", "terms.pdf", "Two weeks."),
        ("returns", "", "plain text"),
    ]
    assert found["followups"] == ["And in Belgium?"]


def test_reasoning_in_other_places_is_shown(studio: Studio, where: str) -> None:
    steps = [{"title": "First", "reasoning": "I look", "action": "Look", "result": "Seen", "confidence": 0.9}]
    sealed = said("assistant", "a", redacted_reasoning_content=BYTES)
    shown = show(studio, where, said("user", "q"), sealed, reasoning_steps=steps)
    assert "First I look Look Seen" in shown
    assert "3.0 KB of reasoning, which only its provider can read" in shown
    answer = answers(studio)[1]
    assert (answer["reasoning"], answer["redacted_reasoning"]) == ("First\nI look\nLook\nSeen", 3000)


WRAPPED = "\n".join("QUJD" * 19 for _ in range(20))
# wherever base64 may stand
PLACES: dict[str, dict[str, Any]] = {
    "a result of JSON": {"messages": called(json.dumps({"screenshot": BYTES, "n": 1}))},
    "a result of PHP's JSON": {
        "messages": called(json.dumps({"screenshot": ("QUJD" * 10 + "\\/") * 40}).replace(r"\\", "\\"))
    },
    "a result": {"messages": called(BYTES)},
    "lines of a result": {"messages": called("attached:\n" + WRAPPED + "==\nbye")},
    "lines in JSON": {"messages": called(json.dumps({"mail": WRAPPED + "=="}))},
    "a result that is an object": {"messages": called({"png": BYTES, "n": 1})},
    "arguments": {
        "messages": [said("assistant", None, tool_calls=[{"id": "c2", "name": "f", "arguments": json.dumps(BYTES)}])]
    },
    "arguments of an object": {
        "messages": [said("assistant", None, tool_calls=[{"id": "c2", "name": "f", "input": {"png": BYTES}}])]
    },
    "a question": {"messages": [said("user", f"look: data:image/png;base64,{BYTES} done")]},
    "a question in a sentence": {"messages": [said("user", f"decode {BYTES} please")]},
    "reasoning": {"messages": [said("assistant", "a", reasoning_content=f"the picture {BYTES}")]},
    "the name of a file": {
        "messages": [said("user", "q", files=[{"filename": f"data:a/b;base64,{BYTES}", "content": BYTES}])]
    },
    "a step": {"step_results": [{"step_name": "s", "content": {"png": BYTES}}]},
    "a failure": {"status": "ERROR", "content": f"bad picture {BYTES}"},
    "an answer": {"content": {"png": BYTES}},
    "an input": {"input": {"input_content": {"png": BYTES}}},
    "a reference": {"references": [{"query": BYTES, "references": [{"content": BYTES}]}]},
    "a source": {"citations": {"urls": [{"url": f"data:image/png;base64,{BYTES}", "title": "t"}]}},
    "a run inside": {"member_responses": [turn("m", "q", f"see {BYTES}")]},
    "a message that is none": {"messages": [BYTES, {"role": "odd", "content": BYTES}]},
}


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("place", PLACES)
def test_base64_is_on_no_page(studio: Studio, place: str, size: str) -> None:
    run = json.loads(json.dumps(PLACES[place]))
    if size == "large":
        run = json.loads(json.dumps(run).replace(BYTES, "QUJD" * 75_000))
    messages = run.pop("messages", [said("user", "q"), said("assistant", "a")])
    assert show(studio, "column", *messages, **run)


LONG_WORDS = {
    "a path": "/home/user/MyProject/src/main/java/org/acme/service/ClassName/with/a/path/that/goes/on/and/on/for/ever",
    "a sequence": "ACGTTGCA" * 40,
    "one letter": "u" * 5000,
    "a slug": "My-very-long-title-that-goes-on-" * 8,
    "small letters": "abcdefghij" * 40,
    "hexadecimal": "0123456789abcdef" * 40,
    "words in lines": "\n".join(["Amsterdam", "Berlin", "Copenhagen"] * 40),
    "Chinese": "订单已于周五发货" * 60,
}


@pytest.mark.parametrize("around", ["{}", "See {} here", "data:image/png;base64,{}", '[{{"image": "{}"}}]'])
def test_base64_is_in_no_title(studio: Studio, where: str, around: str) -> None:
    data = base64.b64encode(random.Random(3).randbytes(3000)).decode()
    studio.both("s", [turn("r", around.format(data), around.format(data))], where)
    thread = studio.read("s")
    assert data[200:210] not in studio.listed() + studio.transcript("s") + json.dumps(thread)
    assert thread["title"] == {"{}": "s", "See {} here": "See"}.get(around, thread["title"])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n  "])
@pytest.mark.parametrize("width", [64, 76])
@pytest.mark.parametrize("kind", ["text", "object"])
def test_base64_in_lines_is_nowhere(studio: Studio, where: str, kind: str, width: int, end: str) -> None:
    data = base64.b64encode(random.Random(4).randbytes(3000)).decode()
    lines = [data[n : n + width] for n in range(0, len(data), width)]
    asked = {"text": end.join(lines), "object": {"picture": end.join(lines)}}[kind]
    studio.both("s", [turn("r", asked, "a", input={"input_content": asked}, content=asked)], where)
    told = json.dumps([studio.read("s"), studio.read("s", "/messages"), studio.read("s", "/runs")])
    shown = studio.listed("?q=s") + studio.transcript("s") + told
    assert [line for line in lines if line[10:50] in shown] == []


def test_base64_is_in_no_name(studio: Studio, where: str) -> None:
    data = base64.b64encode(random.Random(5).randbytes(600)).decode()
    step = {"step_name": data, "executor_name": data, "content": "x"}
    parts = [{"type": "resource", "resource": {"uri": f"data:a/b;base64,{data}", "text": "t"}}, {"type": data}, LATE]
    call = {"id": "c", "function": {"name": data, "arguments": "{}"}}
    messages = [said("user", "q", name=data), said("assistant", parts, tool_calls=[call])]
    run = turn("r", "q", "a", messages=messages, agent_name=data, model=data, model_provider=data, step_results=[step])
    studio.both("s", [run], where, session_data={"session_name": f"see {data}"})
    told = json.dumps([studio.read("s"), studio.read("s", "/messages"), studio.read("s", "/runs")])
    assert data[40:60] not in studio.listed() + studio.transcript("s") + told
    assert studio.read("s")["name"] == "see"


@pytest.mark.parametrize("stored", [dict, json.dumps])
def test_base64_is_in_no_summary(studio: Studio, stored: Any) -> None:
    data = base64.b64encode(random.Random(6).randbytes(600)).decode()
    studio.thread("s", [turn("r", "q", "a")])
    summary = stored({"summary": f"They sent {data} twice", "topics": [data]})
    studio._write("update agno_sessions set summary = %s where session_id = 's'", [json.dumps(summary)])
    assert studio.read("s")["summary"] == "They sent [data] twice"
    shown = studio.transcript("s")
    assert "They sent [data] twice" in shown
    assert data[40:60] not in shown


@pytest.mark.parametrize("what", LONG_WORDS)
def test_what_only_looks_like_base64_is_shown(studio: Studio, what: str) -> None:
    text = LONG_WORDS[what]
    shown = show(studio, "column", said("user", "q"), said("tool", text, tool_call_id="c"))
    assert " ".join(text.split())[:100] in shown
    assert answers(studio)[1]["content"] == text


def large_text() -> str:
    words = random.Random(7)
    return " ".join(f"{words.randrange(10**6):06}" for _ in range(60_000)) + " END"


@pytest.mark.parametrize("place", ["content", "part", "object"])
def test_a_text_that_was_cut_says_so(studio: Studio, where: str, place: str) -> None:
    whole = large_text()
    content = {"content": whole, "part": [{"type": "text", "text": whole}, LATE], "object": {"rows": whole}}[place]
    shown = show(studio, where, said("user", "q"), *called(content))
    assert "Cut, 420 KB in all" in shown
    assert "\x1f" not in shown
    tool = answers(studio)[2]
    assert tool["truncated"] is True
    assert len(tool["content"]) < 101_000
    assert "u001f" not in tool["content"]
    assert "\x1f" not in tool["content"]
    assert answers(studio)[0]["truncated"] is False
    page = studio.page.get(f"/agents/{studio.agent.pk}/threads/s/").content.decode()
    address = next(link for link in page.split('"') if "part=" in link and "download" not in link)
    assert studio.file(address.replace("&amp;", "&")).rstrip('"}').endswith("END") or place == "part"


def test_arguments_that_were_cut_say_so(studio: Studio, where: str) -> None:
    call = {"id": "c1", "function": {"name": "f", "arguments": json.dumps({"rows": large_text()})}}
    show(studio, where, said("user", "q"), said("assistant", None, tool_calls=[call]))
    assert [one["truncated"] for one in answers(studio)] == [False, True]


def test_a_run_that_is_left_out_says_so(studio: Studio, where: str) -> None:
    run = turn("big", "q", "a", messages=[said("user", "word " * 20_000)] * 30)
    studio.both("s", [run, turn("r2", "small", "one", created_at=NOW + 1)], where)
    first, *others = answers(studio)
    assert (first["role"], first["run_id"]) == ("note", "big")
    assert "too large to be given here" in first["content"]
    assert [one["content"] for one in others] == ["small", "one"]
    big = studio.read("s", "/runs")["items"][0]
    assert big["messages"] == [first]


@pytest.mark.parametrize("stored", ["no JSON", 7, [1]])
def test_a_run_that_cannot_be_read_says_so_in_the_api(studio: Studio, stored: Any) -> None:
    studio.thread("s", [stored])
    (note,) = answers(studio)
    assert note["role"] == "note"
    assert "cannot be given here" in note["content"]


def test_more_messages_than_are_read_are_told(studio: Studio, where: str) -> None:
    show(studio, where, *[said("user", str(n)) for n in range(1200)])
    items = studio.read("s", "/runs")["items"][0]["messages"]
    assert len(items) == 1001
    assert (items[-1]["role"], "200 more messages" in items[-1]["content"]) == ("note", True)
