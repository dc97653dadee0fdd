"""The reference as a page: of the same description, for everybody, with nothing from elsewhere."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from studio.api import docs
from studio.api.main import api
from tests.markup import Page
from tests.reading import text

DOCS = "/api/docs"


@pytest.fixture
def shown(db: None) -> str:
    return Client().get(DOCS).content.decode()


def test_it_names_every_operation_with_its_scope(shown: str) -> None:
    read = " ".join(Page(shown).text.split())
    for path, methods in api.get_openapi_schema()["paths"].items():
        for method, operation in methods.items():
            assert f"{method.upper()} {path} {operation['x-scope']}" in read


def test_every_link_within_it_leads_somewhere(shown: str) -> None:
    anchors = {link[1:] for link in Page(shown).links if link.startswith("#")}
    assert len(anchors) > 30
    assert anchors <= set(re.findall(r'\bid="([^"]+)"', shown))


def test_it_fetches_nothing_from_elsewhere_and_has_no_script_of_its_own(shown: str) -> None:
    assert not re.search(r'(?:src|href)="(?:https?:)?//', shown)
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", shown)


def test_the_encoding_of_ids_is_documented_with_a_true_example(shown: str) -> None:
    assert "<code>order 7/2</code> becomes <code>~b3JkZXIgNy8y</code>" in shown
    address = reverse("api:get_thread", args=["agt-ada", "order 7/2"])
    assert address == "/api/agents/agt-ada/threads/~b3JkZXIgNy8y"


@pytest.mark.parametrize("address", ["/api", "/api/"])
def test_the_root_leads_to_it(db: None, address: str) -> None:
    assert Client().get(address).headers["location"] == DOCS


def test_it_is_for_reading_only(db: None) -> None:
    for method in ("post", "put", "patch", "delete"):
        assert getattr(Client(), method)(DOCS).status_code == 405


def test_an_admin_sees_the_same(page: Client) -> None:
    assert "API of Agent Studio" in text(page.get(DOCS))


def test_what_is_kept_of_it_holds_nothing_of_a_reader(page: Client) -> None:
    page.get(DOCS)
    assert set(docs._context()) == {"introduction", "groups", "models"}


def test_it_says_what_a_field_may_be_and_shows_names_as_code(shown: str) -> None:
    read = " ".join(Page(shown).text.split())
    assert "framework agno | langchain | open-ai-agents | strands-agents | google-adk default agno" in read
    assert "status ACTIVE | INACTIVE default ACTIVE" in read
    assert "may be shorter than <code>limit</code>" in shown
    assert "`" not in read
