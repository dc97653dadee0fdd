"""The page of one thread: its runs and its facts."""

import json
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django_tenants.utils import schema_context

from studio import ids
from studio.models import Agent, MemorySettings
from tests.memory.pages.transcript import address, agno, articles
from tests.reading import html, links, text
from tests.world import NOW, ODD_IDS, message, person, signed_in, write_thread


def article(page: str, run_id: str) -> str:
    """The run's own part of the page, with the runs inside it."""
    start = page.index(f'id="run-{run_id}"')
    return page[start : page.index("</article>", start)]


class TestRuns:
    def test_every_message_of_a_thread_is_there(self, page: Client, ada: Agent, layout: str) -> None:
        write_thread(
            ada, "s", [agno(f"r{n}", f"question {n}", f"answer {n}", at=NOW + n) for n in range(5)], layout=layout
        )
        shown = html(page.get(address()))
        assert articles(shown) == ["r4", "r3", "r2", "r1", "r0"]
        for n in range(5):
            assert f"question {n}" in article(shown, f"r{n}")
            assert f"answer {n}" in article(shown, f"r{n}")

    def test_oldest_first_is_a_link(self, page: Client, ada: Agent, layout: str) -> None:
        write_thread(ada, "s", [agno("r0"), agno("r1", at=NOW + 1)], layout=layout)
        (link,) = links(page.get(address()), "order=oldest")
        assert articles(html(page.get(link))) == ["r0", "r1"]

    def test_a_run_says_who_when_and_how(self, page: Client, ada: Agent) -> None:
        metrics = {
            "input_tokens": 3100,
            "output_tokens": 412,
            "cache_read_tokens": 1200,
            "reasoning_tokens": 64,
            "duration": 2.6,
            "time_to_first_token": 0.4,
        }
        write_thread(ada, "s", [agno("r", at=NOW - 7200, user_id="bob", metrics=metrics)])
        said = text(article(html(page.get(address())), "r"))
        for part in (
            "bob",
            "2 h ago",
            " UTC",
            "Completed",
            "gpt-4o-mini",
            "3.1k in (1.2k cached)",
            "412 out (64 reasoning)",
        ):
            assert part in said
        assert "2.6 s" in said
        assert "first token 400 ms" in said

    def test_a_run_without_a_user_is_its_owners(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s", [agno("r")], user_id="alice")
        write_thread(ada, "nobodys", [agno("n")], user_id=None)
        assert "alice" in text(article(html(page.get(address())), "r"))
        assert "no user" in text(article(html(page.get(address("nobodys"))), "n"))

    def test_user_text_is_plain_and_assistant_text_is_rendered(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s", [agno("r", "**not bold**\n  kept", "**bold**")])
        shown = article(html(page.get(address())), "r")
        assert "**not bold**\n  kept" in shown
        assert "<strong>bold</strong>" in shown

    def test_raw_text_is_one_link_away(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s", [agno("r", answer="**bold**")])
        (link,) = links(page.get(address()), "raw=1")
        raw = html(page.get(link))
        assert "<strong>bold" not in raw
        assert "**bold**" in raw
        assert links(raw, "raw=1") == [link for link in links(raw, "raw=1") if "order=" in link or "run=" in link]

    def test_tool_calls_are_one_line_with_the_rest_inside(self, page: Client, ada: Agent) -> None:
        call = {"id": "c1", "function": {"name": "lookup", "arguments": '{"order": "A-17"}'}}
        messages = [
            message("user", "where?"),
            message("assistant", None, tool_calls=[call]),
            message("tool", '{"city": "M\\u00fcnchen"}', tool_call_id="c1"),
        ]
        tools = [{"tool_call_id": "c1", "metrics": {"duration": 0.64}}]
        write_thread(ada, "s", [agno("r", messages=messages, tools=tools)])
        shown = article(html(page.get(address())), "r")
        summary = text(re.search(r"<summary>\s*(<b><bdi>lookup.*?)</summary>", shown, re.DOTALL)[1])  # type: ignore[index]
        assert summary == 'lookup { "order": "A-17" } ok 640 ms · 24 B'
        assert '"München"' in text(shown)

    def test_system_messages_are_folded(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s", [agno("r", messages=[message("system", "You help."), message("user", "q")])])
        shown = article(html(page.get(address())), "r")
        assert re.search(r"<details[^>]*>\s*<summary><b>System message</b>.*?You help\.", shown, re.DOTALL)

    def test_copies_of_earlier_turns_are_not_repeated(self, page: Client, ada: Agent) -> None:
        copy = message("user", "said before", from_history=True)
        write_thread(ada, "s", [agno("r", messages=[copy, message("user", "said now")])])
        shown = text(article(html(page.get(address())), "r"))
        assert "said before" not in shown
        assert "1 message copied from earlier turns is not repeated here" in shown

    def test_media_is_type_and_size(self, page: Client, ada: Agent) -> None:
        picture = {"content": "A" * 40_000, "mime_type": "image/png", "filename": "scan.png"}
        write_thread(ada, "s", [agno("r", messages=[message("user", "see", images=[picture])])])
        shown = html(page.get(address()))
        assert "image/png · scan.png · 30.0 KB" in text(shown)
        assert "AAAAAAAA" not in shown

    @pytest.mark.parametrize(
        ("status", "state", "said"),
        [
            ("ERROR", "failed", "The run failed. Rate limit reached It is not sent to the model as history."),
            ("CANCELLED", "cancelled", "Rate limit reached Cancelled runs are not sent to the model as history."),
            ("PAUSED", "paused", "Paused runs are not sent to the model as history."),
        ],
    )
    def test_runs_that_did_not_complete_look_different(
        self, page: Client, ada: Agent, status: str, state: str, said: str
    ) -> None:
        write_thread(
            ada, "s", [agno("r", status=status, content="Rate limit reached", messages=[message("user", "q")])]
        )
        shown = html(page.get(address()))
        assert f'class="run {state}"' in shown
        assert said in text(shown)

    def test_a_paused_run_says_what_it_waits_for(self, page: Client, ada: Agent) -> None:
        tool = {"tool_call_id": "c", "tool_name": "refund", "requires_confirmation": True}
        write_thread(ada, "s", [agno("r", status="PAUSED", content=None, tools=[tool])])
        assert "Waits for a confirmation ( refund )." in text(page.get(address()))

    def test_sub_runs_are_inside_their_run(self, page: Client, ada: Agent, layout: str) -> None:
        team = agno("team", team_id="t", team_name="Desk", at=NOW)
        members = [agno(f"m{n}", parent_run_id="team", agent_name=f"Member {n}", at=NOW + 1 + n) for n in range(2)]
        write_thread(ada, "s", [team, *members, agno("next", at=NOW + 9)], layout=layout, session_type="team")
        for order in ("newest", "oldest"):
            shown = html(page.get(address(order=order)))
            inside = shown[shown.index('id="run-team"') :]
            assert inside.index("Hello") < inside.index('id="run-m0"') < inside.index('id="run-m1"')
            assert inside.index('id="run-m1"') < inside.rindex("Hi there", 0, inside.rindex("</article>"))
            assert shown.count('id="run-m0"') == 1
            assert "Member 1" in text(shown)

    def test_a_sub_run_whose_run_is_on_another_page_links_to_it(self, page: Client, ada: Agent) -> None:
        members = [agno(f"m{n}", parent_run_id="team", at=NOW + 1 + n) for n in range(30)]
        write_thread(ada, "s", [agno("team", at=NOW), *members])
        (link, *_) = links(page.get(address()), "run=team")
        assert link.endswith("?run=team#run-team")
        assert articles(html(page.get(link)))[0] == "team"

    def test_a_member_kept_inside_its_run_is_shown_once(self, page: Client, ada: Agent) -> None:
        member = agno("m", answer="from the member", parent_run_id="team", at=NOW + 1)
        write_thread(ada, "s", [agno("team", team_id="t", member_responses=[member]), member])
        assert html(page.get(address())).count('id="run-m"') == 1

    def test_a_workflow_shows_its_steps(self, page: Client, ada: Agent) -> None:
        steps = [{"step_name": "collect", "content": "12 rows"}, {"step_name": "write", "error": "disk full"}]
        stored = {
            "run_id": "w",
            "workflow_id": "w",
            "workflow_name": "Nightly",
            "input": "go",
            "content": "done",
            "created_at": NOW,
            "step_results": steps,
        }
        write_thread(ada, "s", [stored], session_type="workflow")
        said = text(page.get(address()))
        for part in ("workflow Nightly", "go", "collect ok 12 rows", "write failed disk full", "done"):
            assert part in said

    def test_one_bad_run_is_one_labelled_box(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s", [agno("good", "fine"), [1, 2], None, {"messages": 5, "metrics": "x", "status": []}])
        shown = html(page.get(address()))
        assert shown.count("This run cannot be shown.") == 2
        assert "It is a list, not an object. It holds 6 B." in text(shown)
        assert "fine" in article(shown, "good")

    def test_poisoned_json_costs_one_box(self, page: Client, ada: Agent, layout: str) -> None:
        write_thread(ada, "s", [agno("bad", metadata="POISON"), agno("good", at=NOW + 1)], layout=layout)
        with schema_context(ada.schema_name), connection.cursor() as cursor:
            for table, column in (("agno_sessions", "runs"), ("agno_runs", "run_data")):
                cursor.execute(
                    f"update {table} set {column} = replace({column}::text, '\"POISON\"', %s)::jsonb"
                    f" where {column}::text like '%%POISON%%'",
                    ["[" * 3000 + "]" * 3000],
                )
        shown = html(page.get(address()))
        assert set(articles(shown)) == {"good", "bad"}
        assert "nested too deeply" in text(article(shown, "bad"))

    def test_a_run_that_is_too_large_is_a_box_with_a_download(
        self, page: Client, ada: Agent, layout: str, django_assert_max_num_queries: Any
    ) -> None:
        large = agno("big", messages=[message("tool", "word " * 20_000)] * 30)
        write_thread(ada, "s", [agno("small"), {**large, "created_at": NOW + 1}], layout=layout)
        shown = html(page.get(address()))
        assert len(shown) < 100_000
        assert "This run holds 3.0 MB of JSON, too much for a page. Download JSON" in text(article(shown, "big"))
        assert "Hello" in text(article(shown, "big"))
        (link,) = set(links(article(shown, "big"), "/runs/big/"))
        answer = page.get(link)
        assert answer["Content-Disposition"] == 'attachment; filename="run-big.json"'
        assert len(json.loads(html(answer))["messages"]) == 30

    def test_a_run_of_too_many_messages_does_not_take_the_page_down(self, page: Client, ada: Agent) -> None:
        messages = [{"id": "same", "role": "user", "content": "a"}] * 20_000
        write_thread(ada, "s", [agno("r", messages=messages)])
        shown = html(page.get(address()))
        assert len(shown) < 500_000
        assert "This run holds 19,000 more messages and calls than a page shows." in text(shown)

    def test_the_runs_that_the_model_is_sent_are_marked(self, page: Client, ada: Agent, layout: str) -> None:
        MemorySettings.objects.filter(agent=ada).update(num_history_runs=2)
        runs = [agno(f"r{n}", at=NOW + n) for n in range(4)]
        runs[3]["status"] = "ERROR"
        write_thread(ada, "s", runs, layout=layout)
        shown = html(page.get(address()))
        marked = [n for n in range(4) if "sent to the model at the next turn" in text(article(shown, f"r{n}"))]
        assert marked == [1, 2]
        assert "Sent next turn last 2 runs" in text(shown)

    def test_a_status_is_an_exact_word(self, page: Client, ada: Agent, layout: str) -> None:
        write_thread(ada, "s", [agno("r", status="Paused"), agno("q", status="PAUSED")], layout=layout)
        shown = html(page.get(address()))
        assert "sent to the model at the next turn" in text(article(shown, "r"))
        assert "are not sent" not in text(article(shown, "r"))
        assert "Paused runs are not sent to the model as history." in text(article(shown, "q"))

    def test_a_thread_that_agno_cannot_read_has_no_marks(self, page: Client, ada: Agent, layout: str) -> None:
        odd = {"id": "m", "role": "user", "content": 7}
        write_thread(ada, "s", [agno("r1", messages=[odd]), agno("r2")], layout=layout)
        assert "sent to the model" not in html(page.get(address()))

    def test_nothing_is_sent_with_storage_off(self, page: Client, ada: Agent) -> None:
        MemorySettings.objects.filter(agent=ada).update(session_storage=False)
        write_thread(ada, "s", [agno("r")])
        shown = html(page.get(address()))
        assert "sent to the model" not in shown
        assert "Sent next turn nothing, storage is off" in text(shown)

    def test_a_cap_on_tool_calls_is_said(self, page: Client, ada: Agent) -> None:
        MemorySettings.objects.filter(agent=ada).update(num_history_runs=1, max_tool_calls_from_history=5)
        write_thread(ada, "s", [agno("r")])
        assert "Sent next turn last run, at most 5 tool calls" in text(page.get(address()))


class TestThread:
    def test_its_facts_are_there(self, page: Client, ada: Agent, layout: str) -> None:
        runs = [agno("r0", "Title", user_id="alice"), agno("r1", user_id="bob", at=NOW + 1)]
        summary = {"summary": "They greeted <b>each</b> other.", "topics": ["greeting", 5]}
        write_thread(ada, "s", runs, layout=layout, user_id="alice", summary=summary)
        said = text(page.get(address()))
        for part in (
            "Title",
            "alice",
            "bob",
            "2 runs",
            "2 users",
            "They greeted <b>each</b> other.",
            "Topics: greeting",
        ):
            assert part in said
        assert "Tokens in / out 20 / 10" in said

    def test_a_thread_that_the_index_does_not_know_yet_is_shown(self, page: Client, ada: Agent, layout: str) -> None:
        write_thread(ada, "s", [agno("r0"), agno("r1", at=NOW + 1)], layout=layout)
        with schema_context(ada.schema_name), connection.cursor() as cursor:
            cursor.execute("delete from memory_thread")
        shown = html(page.get(address()))
        assert articles(shown) == ["r1", "r0"]
        assert "Counts being made" in text(shown)

    @pytest.mark.parametrize("session_id", ODD_IDS)
    def test_any_id_opens(self, page: Client, ada: Agent, session_id: str) -> None:
        write_thread(ada, session_id, [agno("odd run/?", user_id=session_id)], user_id=session_id)
        shown = html(page.get(address(session_id)))
        assert articles(shown) == [ids.encode("odd run/?")]
        for link in links(shown, "/runs/"):
            assert page.get(link).status_code == 200
        for link in links(shown, "run="):
            assert articles(html(page.get(link))) == [ids.encode("odd run/?")]

    def test_hostile_text_stays_text_everywhere(self, page: Client, ada: Agent) -> None:
        bad = "<img src=x onerror=alert(1)><div hx-get='/' hx-trigger='load'>\"'"
        call = {"id": bad, "function": {"name": bad, "arguments": bad}}
        messages = [
            message("user", bad, images=[{"filename": bad, "url": bad, "mime_type": bad}]),
            message("assistant", bad, tool_calls=[call], reasoning_content=bad),
            message("tool", bad, tool_call_id=bad),
            message(bad, bad, name=bad),
            message("system", bad),
        ]
        runs = [
            agno(bad, messages=messages, user_id=bad, model=bad, agent_name=bad, metrics={"duration": bad}),
            agno("e", status=bad, content=bad, parent_run_id=bad, at=NOW + 1),
            agno(
                "f",
                status="ERROR",
                content=bad,
                at=NOW + 2,
                workflow_id=bad,
                step_results=[{"step_name": bad, "error": bad}],
            ),
        ]
        write_thread(
            ada, bad, runs, user_id=bad, session_type=bad, session_data={"session_name": bad},
            summary={"summary": bad, "topics": [bad]},
        )  # fmt: skip
        shown = html(page.get(address(bad)))
        assert "<img" not in shown
        assert "<div hx-get" not in shown
        assert shown.count("&lt;img src=x onerror=alert(1)&gt;") > 15

    def test_rendered_text_is_closed_to_htmx(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s", [agno("r", "question", "**answer**")])
        shown = html(page.get(address()))
        assert re.search(r'<div class="prose" dir="auto" hx-disable><p><strong>answer', shown)
        assert re.search(r'<div class="plain-text" dir="auto" hx-disable>question', shown)

    def test_who_may_delete_or_download_has_the_links(self, ada: Agent) -> None:
        write_thread(ada, "s", [agno("r")])
        for name, exports, deletes in (("support", False, False), ("privacy", True, True), ("admin", True, True)):
            shown = html(signed_in(person(name)).get(address()))
            assert bool(links(shown, "/export/")) is exports
            assert bool(links(shown, "/delete-threads/")) is deletes
