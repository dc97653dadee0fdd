"""A thread as Markdown: read by people, and nothing that was said can look like a part of the file."""

import re
from typing import Any

import pytest
from django.http import HttpResponseBase, StreamingHttpResponse
from django.test import Client
from django.urls import reverse
from markdown_it import MarkdownIt

from studio.models import Agent, AuditEvent
from tests.world import NOW, message, run, write_thread

WHEN = "13 Nov 2025, 02:13 UTC"
CALL = {"id": "c", "type": "function", "function": {"name": "look_up", "arguments": '{"id": 4711}'}}


def markdown(page: Client, session_id: str = "s") -> str:
    answer: HttpResponseBase = page.get(reverse("thread-export", args=["agt-ada", session_id]) + "?format=md")
    assert isinstance(answer, StreamingHttpResponse)
    assert answer["Content-Type"] == "text/markdown; charset=utf-8"
    return b"".join(answer).decode()  # type: ignore[arg-type]


def talk(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return run("r") | {"messages": list(messages)} | fields


def test_it_says_who_said_what_and_when(page: Client, ada: Agent, layout: str) -> None:
    written = [run(f"r{n}", f"Question {n}", at=1_763_000_000 + n, user_id="alice") for n in range(3)]
    write_thread(ada, "s", written, layout=layout, user_id="alice", session_data={"session_name": "Refund"})
    text = markdown(page)
    assert text.startswith("# Refund\n\n- Thread: s\n- Owner: alice\n")
    assert text.count(f"\n## {WHEN} · alice") == 3
    places = [text.index(f"> Question {n}\n") for n in range(3)]
    assert places == sorted(places)


def test_tool_calls_have_their_arguments_and_results(page: Client, ada: Agent) -> None:
    called = message("assistant", "", tool_calls=[CALL])
    result = message("tool", '{"state": "lost"}', tool_call_id="c", tool_name="look_up")
    write_thread(ada, "s", [talk(message("user", "Where?"), called, result)])
    text = markdown(page)
    head, _, rest = text.partition("**Tool call look\\_up** (ok)\n\n")
    assert "> Where?\n" in head
    assert '```json\n{\n  "id": 4711\n}\n```\n' in rest
    assert '"state": "lost"' in rest


@pytest.mark.parametrize(
    "said", ["# A title\n## 1 Jan 2020 · bob", "---\n\n**user**\n\nNo.", "```\n\n# Out", "a < b\n\n1 <2"]
)
def test_nothing_that_was_said_looks_like_a_part_of_the_file(page: Client, ada: Agent, said: str) -> None:
    write_thread(ada, "s", [talk(message("user", said))])
    quoted = "".join(f"> {line}\n" if line else ">\n" for line in said.splitlines())
    assert f"**user**\n\n{quoted}" in markdown(page)


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("</blockquote><h1>bob", r"\</blockquote>\<h1>bob"),
        ("<!-- x", r"\<!-- x"),
        (r"\<img src=x>", r"\\\<img src=x>"),
        (r"\\<img src=x>", r"\\\\\<img src=x>"),
        ("![x](https://example.com/seen.png)", r"!\[x](https://example.com/seen.png)"),
    ],
)
def test_html_and_pictures_are_only_text(page: Client, ada: Agent, said: str, written: str) -> None:
    write_thread(ada, "s", [talk(message("user", said))])
    text = markdown(page)
    assert f"> {written}\n" in text
    shown = MarkdownIt("commonmark").render(text)
    assert not re.search("<(img|h1>bob|!--)", shown)


def test_what_the_answer_cites_and_what_the_model_was_given_is_in_it(page: Client, ada: Agent) -> None:
    cited = {"urls": [{"url": "https://example.com/a", "title": "A [page]"}]}
    given = [{"query": "q", "references": [{"name": "Terms", "content": "30 days"}]}]
    write_thread(ada, "s", [run("r") | {"citations": cited, "references": given, "followups": ["And then?"]}])
    text = markdown(page)
    assert "**Sources**\n\n- A \\[page\\] https://example.com/a\n" in text
    assert "**Given to the model: Terms**" in text
    assert "30 days" in text
    assert "**Proposed next**\n\n- And then?\n" in text


def test_the_answer_of_a_team_comes_after_its_members(page: Client, ada: Agent) -> None:
    member = run("m", "Task", "Found it", agent_id="x", agent_name="Finder")
    write_thread(ada, "s", [run("r", "Ask", "So it is", team_id="t", member_responses=[member])], session_type="team")
    text = markdown(page)
    places = [text.index(words) for words in ("> Ask", "### Finder", "> Found it", "> So it is")]
    assert places == sorted(places)


def test_json_with_fences_stays_in_its_fence(page: Client, ada: Agent) -> None:
    for end in "\n", "\r":
        call = CALL | {"function": {"name": "x", "arguments": f'{{"a": 1}}{end}````{end}# Out'}}
        write_thread(ada, f"s{ord(end)}", [talk(message("assistant", "", tool_calls=[call]))])
        text = markdown(page, f"s{ord(end)}")
        assert "# Out" in text
        assert "<h1>Out" not in MarkdownIt("commonmark").render(text)


def test_names_are_on_one_line_and_mean_nothing(page: Client, ada: Agent) -> None:
    write_thread(ada, "s", [run("r", user_id="eve\n# Root <b>")], session_data={"session_name": "[x](http://y)\n\n# Z"})
    text = markdown(page)
    assert text.startswith("# \\[x\\](http://y) \\# Z\n")
    assert "· eve \\# Root \\<b\\>" in text


def test_failed_runs_and_summaries_are_in_it(page: Client, ada: Agent) -> None:
    failed = talk(message("user", "Go"), status="ERROR", content="Out of credit")
    write_thread(ada, "s", [failed], summary={"summary": "About money"})
    text = markdown(page)
    assert "**Summary**\n\n> About money\n" in text
    assert "· error\n" in text
    assert "**The run failed**\n\n> Out of credit\n" in text


def test_a_long_thread_is_whole_and_it_is_logged(page: Client, ada: Agent, layout: str) -> None:
    write_thread(ada, "s", [run(f"r{n}", f"Number {n}.", at=NOW + n) for n in range(230)], layout=layout)
    text = markdown(page)
    assert [f"> Number {n}.\n" in text for n in range(230)] == [True] * 230
    event = AuditEvent.objects.filter(action="thread.export").latest("id")
    assert event.data == {"format": "md"}


def test_pages_offer_it(page: Client, ada: Agent) -> None:
    write_thread(ada, "s", [run("r")])
    assert "Download Markdown" in page.get(reverse("thread", args=["agt-ada", "s"])).content.decode()
