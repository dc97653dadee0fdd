"""What is around every page."""

import json
import re
from html import unescape

import pytest
from django.test import Client

from studio.models import Agent, User
from tests.reading import links, text
from tests.world import person, signed_in

PAGES = ["/agents/", "/agents/new/", "/account/password/", "/agents/agt-ada/edit/", "/agents/agt-ada/remove/"]
CLOSED_PAGES = ["/sign-in/", "/sign-in/expired/", "/account/password/forgotten/", "/no/such/page"]


class TestTabs:
    def shown(self, client: Client) -> list[str]:
        html = client.get("/agents/agt-ada/memory/").content.decode()
        start = html.index('<nav class="tabs"')
        return re.findall(r">(\w+)</a>", html[start : html.index("</nav>", start)])

    def test_an_agno_agent_has_five(self, page: Client, ada: Agent) -> None:
        assert self.shown(page) == ["Memory", "Threads", "Users", "Connection", "Activity"]

    def test_other_frameworks_have_no_threads_and_users(self, page: Client, ada: Agent) -> None:
        Agent.objects.filter(pk=ada.pk).update(framework="strands-agents")
        assert self.shown(page) == ["Memory", "Activity"]

    def test_the_open_one_is_marked(self, page: Client, ada: Agent) -> None:
        assert (
            b'href="/agents/agt-ada/memory/" aria-current="page">Memory' in page.get("/agents/agt-ada/memory/").content
        )

    def test_the_header_names_the_agent(self, page: Client, ada: Agent) -> None:
        answer = page.get("/agents/agt-ada/memory/")
        assert "Ada's agent agt-ada Agno gpt-4o-mini storage on" in text(answer)
        assert b'data-copy="agt-ada"' in answer.content
        assert "Memory · Ada's agent · Agent Studio" in text(answer)

    def test_edit_is_offered_to_admins_only(self, page: Client, ada: Agent) -> None:
        assert "/agents/agt-ada/edit/" in links(page.get("/agents/agt-ada/memory/"))
        operator = signed_in(person("operator"))
        assert "/agents/agt-ada/edit/" not in links(operator.get("/agents/agt-ada/memory/"))


@pytest.mark.parametrize("path", PAGES + CLOSED_PAGES)
class TestEveryPage:
    def html(self, page: Client, ada: Agent, path: str) -> str:
        client = page if path in PAGES else Client()
        return client.get(path).content.decode()

    def test_it_has_no_inline_script_style_or_handler(self, page: Client, ada: Agent, path: str) -> None:
        html = self.html(page, ada, path)
        assert not re.search(r"<script(?![^>]*\ssrc=)", html)
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", html)

    def test_it_loads_nothing_from_elsewhere(self, page: Client, ada: Agent, path: str) -> None:
        html = self.html(page, ada, path)
        assert not re.findall(r'(?:src|href|action)="(?!/|\?|#|data:)[^"]', html)

    def test_it_has_one_heading_one_main_and_a_way_past_the_frame(self, page: Client, ada: Agent, path: str) -> None:
        html = self.html(page, ada, path)
        assert len(re.findall(r"<h1", html)) == 1
        assert len(re.findall(r'<main[^>]*\sid="main"', html)) == 1
        assert '<a class="skip" href="#main">' in html
        assert re.search(r"<title>\s*\S[^<]* · Agent Studio\s*</title>", html)

    def test_messages_are_announced(self, page: Client, ada: Agent, path: str) -> None:
        html = self.html(page, ada, path)
        assert 'id="messages" role="status"' in html
        assert 'id="toasts" role="status"' in html

    def test_htmx_may_neither_evaluate_nor_leave_the_site(self, page: Client, ada: Agent, path: str) -> None:
        found = re.search(r'<meta name="htmx-config" content="([^"]+)">', self.html(page, ada, path))
        assert found
        config = json.loads(unescape(found[1]))
        assert config["allowEval"] is False
        assert config["allowScriptTags"] is False
        assert config["selfRequestsOnly"] is True
        assert config["historyCacheSize"] == 0
        assert config["includeIndicatorStyles"] is False
        assert config["historyRestoreAsHxRequest"] is False

    def test_its_policy_lets_the_browser_load_our_own_files_only(self, page: Client, ada: Agent, path: str) -> None:
        client = page if path in PAGES else Client()
        policy = client.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


def test_every_htmx_request_carries_the_csrf_token(admin: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin)
    html = client.get("/agents/").content.decode()
    found = re.search(r"<body hx-headers='\{\"X-CSRFToken\": \"(\w+)\"\}'>", html)
    assert found
    answer = client.post("/agents/new/", {}, headers={"X-CSRFToken": found[1]})
    assert answer.status_code == 422


def test_the_forms_of_a_page_have_one_token(page: Client) -> None:
    html = page.get("/agents/new/").content.decode()
    tokens = re.findall(r"(?:X-CSRFToken|csrfmiddlewaretoken)\W+(?:value=\W+)?(\w{64})", html)
    assert len(tokens) >= 2
    # the page's own is made apart from that of its forms
    assert len(set(tokens)) <= 2


@pytest.mark.parametrize("role", ["viewer", "support", "operator", "privacy"])
def test_what_is_for_admins_is_absent_for_other_roles(db: None, role: str) -> None:
    shown = links(signed_in(person(role)).get("/agents/"))
    assert not {"/audit/", "/people/", "/keys/", "/agents/new/"} & set(shown)
