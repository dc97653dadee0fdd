"""What views read from a request."""

import re
from datetime import date

import pytest
from django.core.exceptions import BadRequest
from django.test import Client, RequestFactory

from studio import web
from studio.models import Agent
from tests.reading import html


def searched(words: str) -> str:
    return web.search_words(RequestFactory().get("/", {"q": words}), 10)


class TestWordsOfASearch:
    def test_they_are_read_without_the_blanks_around_them(self) -> None:
        assert searched("  two  words \n") == "two  words"
        assert searched(" ") == ""

    def test_they_are_cut(self) -> None:
        assert searched("x" * 11) == "x" * 10

    def test_no_words_are_empty(self) -> None:
        assert web.search_words(RequestFactory().get("/"), 10) == ""

    @pytest.mark.parametrize("words", ["\x00", "a\x00b", "x" * 11 + "\x00"])
    def test_what_postgres_refuses_is_refused_here(self, words: str) -> None:
        with pytest.raises(BadRequest):
            searched(words)


class TestADay:
    def test_it_is_read_as_a_date_field_sends_it(self) -> None:
        assert web.day("2026-11-23") == date(2026, 11, 23)

    @pytest.mark.parametrize("text", ["", "x", "2026-1-2", "2026-11- 2", "2026-02-30", "20261123", "٢٠٢٦-١١-٢٣"])
    def test_any_other_text_is_none(self, text: str) -> None:
        assert web.day(text) is None


LISTS = ["/agents/", "/people/", "/agents/agt-ada/users/", "/agents/agt-ada/threads/"]


@pytest.mark.parametrize("address", LISTS)
def test_every_list_refuses_a_nul(page: Client, ada: Agent, address: str) -> None:
    assert page.get(address, {"q": "a\x00b"}).status_code == 400


@pytest.mark.parametrize("address", LISTS)
def test_every_list_reads_as_much_as_its_field_takes(page: Client, ada: Agent, address: str) -> None:
    def field(shown: str) -> str:
        found = re.search(r'<input\s+type="search"\s+id="[^>]*>', shown)
        assert found is not None
        return found[0]

    longest = int(field(html(page.get(address))).partition('maxlength="')[2].partition('"')[0])
    assert f'value="{"x" * longest}"' in field(html(page.get(address, {"q": "x" * (longest + 1)})))
