"""The page of one thread: page by page, and parts of it."""

import re

import pytest
from django.test import Client

from studio import ids
from studio.models import Agent
from tests.memory.pages.transcript import address, agno, articles
from tests.reading import html, links, text
from tests.world import HTMX, LAYOUTS, NOW, message, write_thread


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
            assert "This page begins in the middle of the thread." in text(shown)
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
        (link,) = set(links(shown, "run=r30"))
        assert link in (f"{address()}?run=r30#run-r30", f"{address()}?run=r30&at=30#run-r30")
        assert articles(html(page.get(link)))[0] == "r30"

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
