"""The page of one thread: long texts, and a run as it is stored."""

import json
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from memory.pages import files, run_cards
from memory.pages.run_cards import CUT, CUT_PROSE, INDENTED_UP_TO
from studio.models import Agent
from tests.memory.pages.transcript import address, agno, events
from tests.reading import html, links, text
from tests.world import HTMX, message, write_run, write_thread


def test_of_what_is_folded_nothing_is_rendered_as_markdown(
    page: Client, ada: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered: list[str] = []

    def markdown(text: str, *more: Any) -> str:
        rendered.append(text)
        return text

    monkeypatch.setattr(run_cards, "markdown", markdown)
    call = {"id": "c", "function": {"name": "f", "arguments": '{"a": "**args**"}'}}
    messages = [
        message("system", "**system**"),
        message("user", "**user**"),
        message("assistant", None, tool_calls=[call], reasoning_content="**reasoning**"),
        message("tool", "**result**", tool_call_id="c"),
        message("odd", "**unknown**"),
        message("assistant", "**answer**"),
    ]
    steps = [{"step_name": "one", "content": "**step**", "success": True}]
    write_thread(ada, "s", [agno("r", messages=messages, step_results=steps)])
    said = text(page.get(address()))
    assert rendered == ["**answer**"]
    for folded in ("system", "args", "reasoning", "result", "step"):
        assert f"**{folded}**" in said


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

    def test_of_a_run_that_is_too_large_it_says_so(
        self, page: Client, long: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(files, "PART_LIMIT", 10_000)
        href = links(page.get(address()), "part=")[0]
        fragment = page.get(href, headers=HTMX)
        assert "more than 10.0 KB" in text(fragment)
        (whole,) = links(fragment)
        for link in (whole, href):
            assert json.loads(html(page.get(link)))["run_id"] == "r"

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
        assert "Indent" in text(shown)

    @pytest.mark.parametrize(
        ("stored", "is_cut"),
        [
            pytest.param('["' + "a" * CUT + '"]', True, id="longer than what is shown"),
            # two escapes of six characters each are one character, so what is read of it is shown as half a text
            pytest.param(
                '["' + "\\ud83d\\ude00" * (CUT // 2 - 5) + '", "' + "b" * 99 + '"]', True, id="shown as less than that"
            ),
            pytest.param('["' + "a" * (INDENTED_UP_TO + 1) + '"]', False, id="shown whole"),
            pytest.param('["' + "\\u00fc" * (CUT - 10) + '"]', False, id="shown whole once it is readable"),
        ],
    )
    def test_long_json_says_that_it_is_cut_if_it_is(self, page: Client, ada: Agent, stored: str, is_cut: bool) -> None:
        messages = [message("assistant", None, tool_calls=[{"id": "c"}]), message("tool", stored, tool_call_id="c")]
        write_thread(ada, "s", [agno("r", messages=messages)])
        said = text(page.get(address()))
        assert ("Cut, " in said, "Show all" in said, "Indent" in said) == (is_cut, is_cut, not is_cut)

    def test_a_part_that_is_not_there_is_not_found(self, page: Client, long: None) -> None:
        run_url = reverse("thread-run", args=["agt-ada", "s", "r"])
        assert page.get(f"{run_url}?part=t999").status_code == 404
        assert page.get(f"{run_url}?part=%00").status_code == 404


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
