"""The page of one thread: its runs, its facts, who may read it, and what a browser gets of it."""

import json
import re
from typing import Any
from urllib.parse import quote

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django_tenants.utils import schema_context

from memory.pages.run_cards import CUT, CUT_PROSE
from memory.services import reading
from studio import ids
from studio.audit.record import Actor
from studio.models import Agent, AuditEvent, MemorySettings
from tests.reading import html, links, text
from tests.world import HTMX, LAYOUTS, NOW, ODD_IDS, fails, message, person, run, signed_in, write_run, write_thread


def address(session_id: str = "s", agent: str = "agt-ada", **query: str) -> str:
    path = reverse("thread", args=[agent, session_id])
    return path + ("?" + "&".join(f"{name}={quote(value)}" for name, value in query.items()) if query else "")


def articles(page: str) -> list[str]:
    return re.findall(r'<article[^>]*\sid="run-([^"]*)"', page)


def article(page: str, run_id: str) -> str:
    """The run's own part of the page, with the runs inside it."""
    start = page.index(f'id="run-{run_id}"')
    return page[start : page.index("</article>", start)]


def events(action: str = "thread.read") -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(action=action).order_by("id"))


def agno(run_id: str, text: str = "Hello", answer: str = "Hi there", **more: Any) -> dict[str, Any]:
    return run(run_id, text, answer, **{"agent_id": "a", **more})


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
        large = agno("big", messages=[message("tool", "x" * 3_000_000)])
        write_thread(ada, "s", [agno("small"), {**large, "created_at": NOW + 1}], layout=layout)
        shown = html(page.get(address()))
        assert len(shown) < 100_000
        assert "This run holds 3.0 MB of JSON, too much for a page. Download JSON" in text(article(shown, "big"))
        assert "Hello" in text(article(shown, "big"))
        (link,) = set(links(article(shown, "big"), "/runs/big/"))
        answer = page.get(link)
        assert answer["Content-Disposition"] == 'attachment; filename="run-big.json"'
        assert len(json.loads(html(answer))["messages"][0]["content"]) == 3_000_000

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


class TestLongTexts:
    @pytest.fixture
    def long(self, ada: Agent) -> None:
        call = {"id": "c", "function": {"name": "f", "arguments": "{}"}}
        messages = [
            message("user", "u" * (CUT + 1)),
            message("assistant", None, tool_calls=[call]),
            message("tool", "<b>" + "t" * 50_000, tool_call_id="c"),
            message("assistant", "**first**\n\n" + "para " * 900 + "\n\n" + "a" * CUT_PROSE),
        ]
        write_thread(ada, "s", [agno("r", messages=messages)])

    def test_they_are_cut(self, page: Client, long: None) -> None:
        shown = html(page.get(address()))
        assert "u" * CUT in shown
        assert "u" * (CUT + 1) not in shown
        assert "t" * CUT not in shown
        assert "<strong>first</strong>" in shown
        assert "aaaa" not in shown
        assert text(shown).count("Cut, ") == 3

    def test_show_all_brings_the_whole_text(self, page: Client, long: None) -> None:
        shown = html(page.get(address()))
        parts = re.findall(r'hx-get="([^"]*part=[^"]*)"', shown)
        assert len(parts) == 3
        fragments = [html(page.get(part.replace("&amp;", "&"), headers=HTMX)) for part in parts]
        assert "u" * (CUT + 1) in fragments[0]
        assert "&lt;b&gt;" + "t" * 50_000 in fragments[1]
        assert "<strong>first</strong>" in fragments[2]
        assert "a" * CUT_PROSE in fragments[2]
        assert all(fragment.startswith('<div class="text"') for fragment in fragments)
        assert len(events()) == 1

    def test_without_scripts_it_is_a_plain_text(self, page: Client, long: None) -> None:
        href = links(page.get(address()), "part=")[2]
        answer = page.get(href)
        assert answer["Content-Type"] == "text/plain; charset=utf-8"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert html(answer) == "<b>" + "t" * 50_000

    def test_it_can_be_downloaded(self, page: Client, long: None) -> None:
        href = links(page.get(address()), "download=1")[1]
        answer = page.get(href)
        assert answer["Content-Disposition"].startswith("attachment;")
        assert html(answer) == "<b>" + "t" * 50_000

    def test_rendered_and_raw_can_be_swapped(self, page: Client, long: None) -> None:
        part = re.findall(r'hx-get="([^"]*part=[^"]*)"', html(page.get(address())))[2].replace("&amp;", "&")
        rendered = html(page.get(part, headers=HTMX))
        raw_part = re.search(r'hx-get="([^"]*raw=1[^"]*)"', rendered)[1].replace("&amp;", "&")  # type: ignore[index]
        raw = html(page.get(raw_part, headers=HTMX))
        assert "**first**" in raw
        assert "<strong>" not in raw

    def test_long_json_is_laid_out_when_asked_for(self, page: Client, ada: Agent) -> None:
        stored = json.dumps({"rows": [{"city": "München", "n": n} for n in range(60)]})
        messages = [message("assistant", None, tool_calls=[{"id": "c"}]), message("tool", stored, tool_call_id="c")]
        write_thread(ada, "s", [agno("r", messages=messages)])
        shown = html(page.get(address()))
        assert '"München"' in text(shown)
        (part,) = re.findall(r'hx-get="([^"]*part=[^"]*)"', shown)
        fragment = html(page.get(part.replace("&amp;", "&"), headers=HTMX))
        assert text(fragment).count('"city": "München"') == 60
        assert "Lay out" in text(shown)

    def test_a_part_that_is_not_there_is_not_found(self, page: Client, long: None) -> None:
        run_url = reverse("thread-run", args=["agt-ada", "s", "r"])
        assert page.get(f"{run_url}?part=t999").status_code == 404
        assert page.get(f"{run_url}?part=%00").status_code == 404


class TestPages:
    @pytest.fixture(params=LAYOUTS)
    def many(self, request: pytest.FixtureRequest, ada: Agent) -> None:
        write_thread(ada, "s", [agno(f"r{n:02}", at=NOW + n) for n in range(45)], layout=request.param)

    def test_a_page_holds_twenty_and_says_how_many_are_left(self, page: Client, many: None) -> None:
        shown = html(page.get(address()))
        assert articles(shown) == [f"r{n:02}" for n in range(44, 24, -1)]
        assert "Older runs (25)" in text(shown)

    def test_every_page_can_be_reached_without_scripts(self, page: Client, many: None) -> None:
        found = []
        shown = html(page.get(address()))
        while True:
            found += articles(shown)
            older = [link for link in links(shown, "cursor=") if "Older runs" in text_of(link, shown)]
            if not older:
                break
            shown = html(page.get(older[0]))
            assert "Read from the middle of the thread." in text(shown)
        assert found == [f"r{n:02}" for n in range(44, -1, -1)]
        newer = next(link for link in links(shown, "cursor=") if "Newer runs" in text_of(link, shown))
        assert articles(html(page.get(newer))) == [f"r{n:02}" for n in range(24, 4, -1)]

    def test_htmx_gets_the_runs_alone(self, page: Client, many: None) -> None:
        part = re.search(r'hx-get="([^"]*cursor=[^"]*)"', html(page.get(address())))[1].replace("&amp;", "&")  # type: ignore[index]
        answer = page.get(part, headers=HTMX)
        shown = html(answer)
        assert "<html" not in shown
        assert articles(shown) == [f"r{n:02}" for n in range(24, 4, -1)]
        assert "Newer runs" not in shown
        assert "Older runs (5)" in text(shown)
        assert "HX-Request" in answer["Vary"]

    def test_the_page_of_a_run_begins_with_it(self, page: Client, many: None) -> None:
        shown = html(page.get(address(run="r20")))
        assert articles(shown)[0] == "r20"
        assert "Newer runs" in text(shown)
        assert "Older runs" in text(shown)

    def test_each_run_links_to_its_own_page(self, page: Client, many: None) -> None:
        shown = html(page.get(address()))
        assert f"{address()}?run=r30#run-r30" in links(shown, "run=r30")

    def test_messages_have_anchors(self, page: Client, ada: Agent) -> None:
        messages = [{**message("user", "q"), "id": "m 1/?"}, {**message("assistant", "a"), "id": "plain"}]
        write_thread(ada, "s", [agno("r", messages=messages)])
        shown = html(page.get(address()))
        assert f'id="message-{ids.encode("m 1/?")}"' in shown
        assert 'id="message-plain"' in shown

    def test_no_anchor_is_there_twice(self, page: Client, ada: Agent) -> None:
        same = [{**message("user", "q"), "id": "m"}]
        write_thread(ada, "s", [agno("r", messages=same), agno("r", messages=same), agno("", messages=same)])
        found = re.findall(r'\sid="((?:run|message)-[^"]*)"', html(page.get(address())))
        assert sorted(found) == ["message-m", "message-m-2", "message-m-3", "run-r", "run-r-2"]

    def test_an_empty_thread_says_what_will_appear(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s", [], layout="table")
        assert "Nothing was said in this thread yet." in text(page.get(address()))

    @pytest.mark.parametrize("query", ["cursor=x", "cursor=%00", "run=~!", "run=%ff", "cursor=" + "A" * 5000])
    def test_a_place_made_elsewhere_is_a_bad_request(self, page: Client, many: None, query: str) -> None:
        assert page.get(f"{address()}?{query}").status_code == 400

    def test_unknown_words_in_the_address_are_left(self, page: Client, many: None) -> None:
        shown = html(page.get(f"{address()}?order=sideways&raw=maybe&run=nobody&ticket=x"))
        assert articles(shown)[0] == "r44"


def text_of(link: str, page: str) -> str:
    href = link.replace("&", "&amp;")
    return text(re.search(rf'<a[^>]*href="{re.escape(href)}"[^>]*>(.*?)</a>', page, re.DOTALL)[1])  # type: ignore[index]


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


class TestReading:
    def test_each_agents_own_schema_is_read(self, page: Client, ada: Agent, bruno: Agent) -> None:
        write_thread(ada, "s", [agno("ours")])
        write_thread(bruno, "s", [agno("theirs")])
        assert articles(html(page.get(address(agent="agt-bruno")))) == ["theirs"]
        assert articles(html(page.get(address()))) == ["ours"]
        assert connection.schema_name == "public"

    def test_a_database_that_does_not_answer_in_time_leaves_what_is_known_of_the_thread(
        self, page: Client, ada: Agent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_thread(ada, "s", [agno("r")])

        monkeypatch.setattr("memory.transcript.runs.list_runs", fails(OperationalError("gone")))
        answer = page.get(address())
        assert answer.status_code == 200
        assert "The runs could not be read" in text(answer)
        assert "Owner alice@example.com" in text(answer)
        assert html(answer).rstrip().endswith("</html>")

    def test_the_cost_does_not_grow_with_the_runs(self, page: Client, ada: Agent, layout: str) -> None:
        counts = []
        for session_id, number in (("few", 2), ("many", 200)):
            write_thread(
                ada,
                session_id,
                [agno(f"{session_id}{n}", at=NOW + n, user_id=f"u{n}") for n in range(number)],
                layout=layout,
            )
            html(page.get(address(session_id)))
            with CaptureQueriesContext(connection) as queries:
                html(page.get(address(session_id)))
            counts.append(len(queries))
        assert counts[0] == counts[1] <= 12


class TestAccess:
    def test_another_agents_thread_is_not_there(self, page: Client, ada: Agent, bruno: Agent) -> None:
        write_thread(bruno, "theirs", [agno("secret")])
        assert page.get(address("theirs")).status_code == 404
        assert page.get(address("theirs"), headers=HTMX).status_code == 200
        assert "secret" not in html(page.get(address("theirs"), headers=HTMX))
        assert page.get(reverse("thread-run", args=["agt-ada", "theirs", "secret"])).status_code == 404
        assert page.get(reverse("thread-export", args=["agt-ada", "theirs"])).status_code == 404

    def test_a_run_of_another_thread_is_not_there(self, page: Client, ada: Agent, layout: str) -> None:
        write_thread(ada, "mine", [agno("a")], layout=layout)
        write_thread(ada, "other", [agno("b")], layout=layout)
        assert page.get(reverse("thread-run", args=["agt-ada", "mine", "b"])).status_code == 404

    @pytest.mark.parametrize(
        ("name", "status"), [("viewer", 403), ("operator", 403), ("support", 200), ("privacy", 200), ("admin", 200)]
    )
    def test_only_readers_read(self, ada: Agent, name: str, status: int) -> None:
        write_thread(ada, "s", [agno("r", "zebra")])
        for path in (address(), reverse("thread-run", args=["agt-ada", "s", "r"])):
            for headers in ({}, HTMX):
                answer = signed_in(person(name)).get(path, headers=headers)
                assert answer.status_code == status
                assert ("zebra" in html(answer)) is (status == 200)

    def test_anonymous_goes_to_sign_in(self, client: Client, ada: Agent) -> None:
        write_thread(ada, "s")
        for path in (address(), reverse("thread-run", args=["agt-ada", "s", "s-1"])):
            assert client.get(path).status_code == 302

    def test_unknown_agents_and_threads_are_not_found(self, page: Client, ada: Agent) -> None:
        assert page.get(address("nowhere")).status_code == 404
        assert page.get(address(agent="agt-nobody")).status_code == 404
        assert page.get("/agents/agt-ada/threads/~!/").status_code == 404

    @pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
    def test_only_reading_is_possible(self, page: Client, ada: Agent, method: str) -> None:
        for path in (address(), reverse("thread-run", args=["agt-ada", "s", "r"])):
            assert getattr(page, method)(path).status_code == 405

    def test_an_agent_of_another_framework_has_no_threads(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s")
        Agent.objects.filter(pk=ada.pk).update(framework="langchain")
        assert page.get(address()).status_code == 404

    def test_a_thread_deleted_meanwhile_says_so(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s", [agno(f"r{n}") for n in range(30)])
        part = re.search(r'hx-get="([^"]*cursor=[^"]*)"', html(page.get(address())))[1].replace("&amp;", "&")  # type: ignore[index]
        with schema_context(ada.schema_name), connection.cursor() as cursor:
            cursor.execute("delete from agno_sessions")
        assert "This thread was deleted meanwhile." in text(page.get(part, headers=HTMX))


class TestAudit:
    def test_opening_a_thread_is_logged_once(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s", [agno(f"r{n}", at=NOW + n) for n in range(45)])
        shown = html(page.get(address()))
        for _ in range(2):
            part = re.search(r'hx-get="([^"]*cursor=[^"]*)"', shown)[1].replace("&amp;", "&")  # type: ignore[index]
            shown = html(page.get(part, headers=HTMX))
        (event,) = events()
        assert (event.object, event.agent_id, event.actor) == ("s", "agt-ada", "Admin")

    def test_a_part_asked_for_by_itself_is_logged(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s", [agno(f"r{n}", at=NOW + n) for n in range(25)])
        html(page.get(address(), headers=HTMX))
        assert len(events()) == 1

    def test_a_ticket_is_for_one_person_thread_and_agent(self, ada: Agent, bruno: Agent) -> None:
        somebody, other = Actor("person", "1", "A"), Actor("person", "2", "A")
        ticket = reading.ticket(somebody, ada, "s")
        assert reading.is_open(somebody, ada, "s", ticket)
        assert not reading.is_open(other, ada, "s", ticket)
        assert not reading.is_open(somebody, bruno, "s", ticket)
        assert not reading.is_open(somebody, ada, "t", ticket)
        for forged in ("", "x", ticket[:-1], ticket + "x", ticket.replace(":", "")):
            assert not reading.is_open(somebody, ada, "s", forged)

    def test_a_ticket_runs_out(self, ada: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
        somebody = Actor("person", "1", "A")
        ticket = reading.ticket(somebody, ada, "s")
        monkeypatch.setattr(reading, "OPEN_FOR", -1)
        assert not reading.is_open(somebody, ada, "s", ticket)

    def test_reading_a_runs_json_is_logged(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s", [agno("r")])
        html(page.get(reverse("thread-run", args=["agt-ada", "s", "r"])))
        (event,) = events()
        assert (event.object, event.data) == ("s", {"run_id": "r"})

    def test_what_is_not_there_or_not_allowed_is_not_logged(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s", [agno("r")])
        page.get(address("nowhere"))
        page.get(reverse("thread-run", args=["agt-ada", "s", "nowhere"]))
        signed_in(person("viewer")).get(address())
        assert events() == []

    def test_without_its_event_nothing_is_read(self, page: Client, ada: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
        write_thread(ada, "s", [agno("r", "zebra")])

        monkeypatch.setattr("memory.services.reading.record", fails(OperationalError("no audit")))
        page.raise_request_exception = False
        answer = page.get(address())
        assert answer.status_code == 503
        assert "zebra" not in html(answer)


class TestRunJson:
    def test_it_is_plain_text_that_one_can_read(self, page: Client, ada: Agent, layout: str) -> None:
        write_thread(ada, "s", [agno("r", "Grüße <script>")], layout=layout)
        (link,) = set(links(page.get(address()), "/runs/r/"))
        answer = page.get(link)
        assert answer["Content-Type"] == "text/plain; charset=utf-8"
        assert answer["X-Content-Type-Options"] == "nosniff"
        shown = html(answer)
        assert json.loads(shown)["input"]["input_content"] == "Grüße <script>"
        assert '\n  "run_id": "r"' in shown

    def test_it_can_be_downloaded(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s", [agno('r "x"\n')])
        answer = page.get(reverse("thread-run", args=["agt-ada", "s", 'r "x"\n']) + "?download=1")
        assert answer["Content-Type"] == "application/json"
        assert re.fullmatch(r'attachment; filename="run-[A-Za-z0-9_.-]+\.json"', answer["Content-Disposition"])
        assert json.loads(html(answer))["run_id"] == 'r "x"\n'

    def test_a_run_without_an_id_is_found_by_its_place(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s", [agno("r"), {"content": "nameless"}])
        (link,) = set(links(page.get(address()), "at=1"))
        assert json.loads(html(page.get(link))) == {"content": "nameless"}

    @pytest.mark.parametrize("at", ["x", "-1", "99", "9" * 30, "%00", "١"])
    def test_an_odd_place_is_not_found(self, page: Client, ada: Agent, at: str) -> None:
        write_thread(ada, "s", [agno("r")])
        assert page.get(reverse("thread-run", args=["agt-ada", "s", ""]) + f"?at={at}").status_code == 404

    def test_the_tables_copy_is_the_one_shown(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s", [agno("r", "old")])
        write_run(ada, "s", agno("r", "new"))
        assert "new" in html(page.get(reverse("thread-run", args=["agt-ada", "s", "r"])))
