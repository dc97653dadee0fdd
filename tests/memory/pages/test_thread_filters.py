"""The list of threads: filters in the address."""

import re
import time

import pytest
from django.test import Client

from studio.models import Agent
from tests.markup import Page
from tests.memory.pages.thread_list import THREADS, chips, named
from tests.reading import html, links, text, titles
from tests.world import HTMX, NOW, run, write_thread


class TestFilters:
    def test_each_is_a_chip_that_takes_itself_off(self, page: Client, ada: Agent) -> None:
        named(ada, "One")
        asked = {
            "user": "alice@example.com",
            "q": "One",
            "status": "COMPLETED",
            "active": "7d",
            "since": "2020-01-01",
            "until": "2999-12-31",
        }
        response = page.get(THREADS, asked)
        assert titles(response) == ["One"]
        assert chips(response) == [
            "User: alice@example.com",
            "“One”",
            "Last run: Completed",
            "Active: last 7 days",
            "From 2020-01-01",
            "Until 2999-12-31",
        ]
        for name in asked:
            without = page.get(THREADS, {key: value for key, value in asked.items() if key != name})
            here = re.search(r'hx-get="([^"]+)"\s+hx-trigger="threads-deleted', html(without))
            assert here is not None
            assert here[1].replace("&amp;", "&") in [link.replace("&amp;", "&") for link in links(response, THREADS)]
        assert chips(page.get(THREADS, {"errors": "1", "shared": "1"})) == ["Has errors", "Shared"]

    def test_they_choose_what_they_say(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "new", [run("n1", "New")], at=NOW)
        write_thread(ada, "old", [run("o1", "Old", status="ERROR")], at=NOW - 20 * 86_400, user_id="bob")
        write_thread(ada, "two", [run("t1", "Two"), run("t2", user_id="bob")], at=NOW - 3 * 86_400)

        def shown(**asked: str) -> list[str]:
            return titles(page.get(THREADS, asked))

        assert shown() == ["New", "Two", "Old"]
        assert shown(active="24h") == ["New"]
        assert shown(active="7d") == ["New", "Two"]
        assert shown(status="ERROR") == shown(errors="1") == ["Old"]
        assert shown(shared="1") == ["Two"]
        assert shown(user="bob") == ["Two", "Old"]
        day = time.strftime("%Y-%m-%d", time.gmtime(NOW - 20 * 86_400))
        assert shown(since=day, until=day) == shown(until=day) == ["Old"]
        assert shown(since=str(NOW - 5), until=str(NOW + 5)) == ["New"]
        assert shown(q="old", active="7d") == []

    def test_a_user_may_be_typed_as_it_is(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s1", user_id="Zoë Ü / 100%")
        response = page.get(THREADS, {"user": "Zoë Ü / 100%"})
        assert len(titles(response)) == 1
        assert 'value="Zoë Ü / 100%"' in html(response)

    @pytest.mark.parametrize("typed", ["~x", "~not base64!", "~AA", "~~", "~é"])
    def test_a_user_that_begins_as_an_encoded_one_is_no_mistake(self, page: Client, ada: Agent, typed: str) -> None:
        named(ada, "Theirs", user_id=typed)
        named(ada, "Other")
        response = page.get(THREADS, {"user": typed})
        assert (titles(response), chips(response)) == (["Theirs"], [f"User: {typed}"])
        form = next(form for form in Page(html(response)).forms if "user" in form.fields and form.method == "get")
        assert titles(page.get(THREADS, form.fields)) == ["Theirs"]

    @pytest.mark.parametrize("typed", ["~x", "~", "~AA", "%", "_", "\\"])
    def test_no_search_refuses_what_was_typed(self, page: Client, ada: Agent, typed: str) -> None:
        named(ada, "One")
        events = ("object", "agent", "actor", "action")
        fields = {
            THREADS: ("q", "user", "status", "sort"),
            "/agents/agt-ada/users/": ("q", "sort"),
            "/agents/": ("q",),
            "/people/": ("q",),
            "/audit/": events,
            "/agents/agt-ada/activity/": events,
        }
        for path, names in fields.items():
            for field in names:
                assert page.get(path, {field: typed}).status_code == 200, (path, field)

    def test_the_empty_user_is_not_everybody(self, page: Client, ada: Agent) -> None:
        named(ada, "Theirs", user_id="")
        named(ada, "Other")
        response = page.get(THREADS, {"user": "~"})
        assert (titles(response), chips(response)) == (["Theirs"], ["User: (empty id)"])

    def test_sorting_is_a_link_in_the_head_and_keeps_the_filters(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "few", [run("f1", "Few")], at=NOW)
        write_thread(ada, "many", [run("m1", "Many"), run("m2")], at=NOW - 9)
        response = page.get(THREADS, {"q": "e"})
        (link,) = links(response, "sort=runs")
        assert "q=e" in link
        response = page.get(link, {"q": "e", "sort": "runs"})
        assert re.search(r'aria-sort="descending"\s*>\s*<a[^>]*>Runs', html(response))
        assert titles(page.get(THREADS, {"sort": "runs"})) == ["Many", "Few"]

    def test_an_unknown_sort_is_the_usual_one(self, page: Client, ada: Agent) -> None:
        named(ada, "A", "B")
        assert titles(page.get(THREADS, {"sort": "id; drop table"})) == ["A", "B"]

    @pytest.mark.parametrize(
        "asked",
        [
            {"cursor": "x"},
            {"cursor": "~"},
            {"user": "a\x00b"},
            {"q": "\x00"},
            {"status": "a\x00"},
            {"since": "yesterday"},
            {"since": "2026-13-40"},
            {"until": "9" * 40},
            {"until": "2026-1-1"},
            {"since": "2026-11-22\n"},
            {"active": "8d"},
            {"errors": "yes"},
            {"shared": "true"},
        ],
    )
    @pytest.mark.parametrize("headers", [{}, HTMX])
    def test_what_cannot_be_read_is_refused_politely(
        self, page: Client, ada: Agent, asked: dict[str, str], headers: dict[str, str]
    ) -> None:
        assert page.get(THREADS, asked, headers=headers).status_code == 400
        # nor does a deletion of all that match take it for no filter
        if "cursor" not in asked:
            assert page.get("/agents/agt-ada/delete-threads/", {"all": "1", **asked}).status_code == 400

    def test_a_deletion_by_a_filter_that_does_not_exist_is_refused(self, page: Client, ada: Agent) -> None:
        for name, status in (("statuss", 400), ("status", 200)):
            asked = page.get("/agents/agt-ada/delete-threads/", {"all": "1", name: "ERROR"})
            assert (name, asked.status_code) == (name, status)

    def test_days_in_the_wrong_order_are_said_to_be_so(self, page: Client, ada: Agent) -> None:
        named(ada, "One")
        backwards, one_day = ("2026-11-23", "2026-11-22"), ("2026-11-23", "2026-11-23")
        said = [text(page.get(THREADS, {"since": since, "until": until})) for since, until in (backwards, one_day)]
        assert ["From is after Until, and no day is between them." in one for one in said] == [True, False]

    def test_bytes_that_are_no_text_do_not_break_it(self, page: Client, ada: Agent) -> None:
        assert page.get(THREADS + "?q=%ff%fe&status=%ed%a0%80").status_code == 200

    def test_a_form_without_scripts_asks_the_same(self, page: Client, ada: Agent) -> None:
        named(ada, "One", "Two")
        form = next(
            form for form in Page(html(page.get(THREADS))).forms if "status" in form.fields and form.method == "get"
        )
        assert form.action == THREADS
        assert titles(page.get(form.action, {**form.fields, "q": ["two"]})) == ["Two"]
