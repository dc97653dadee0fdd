"""What is around every page, and the filters that every page uses."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from html import unescape
from typing import Any

import pytest
from django.template import Context, Template
from django.test import Client
from django.urls import NoReverseMatch, reverse
from django.utils.html import escape
from lucide import IconDoesNotExist
from pytest_django import DjangoAssertNumQueries

from studio.models import Agent, Grant, MemorySettings, User
from studio.people import guard
from studio.templatetags import addresses, studio
from tests.markup import Page
from tests.reading import links, text
from tests.world import NOW, signed_in

PAGES = ["/agents/", "/agents/new/", "/account/password/", "/agents/agt-ada/edit/", "/agents/agt-ada/remove/"]
CLOSED_PAGES = ["/sign-in/", "/sign-in/over/", "/account/password/forgotten/", "/no/such/page"]


def person(email: str) -> User:
    return User.objects.get(email=email)


def side(response: Any) -> str:
    """The sidebar's list of agents."""
    html: str = response.content.decode()
    start = html.index('<nav id="side-agents"')
    return html[start : html.index("</nav>", start)]


class TestSidebar:
    def test_it_lists_agents_and_marks_the_one_of_the_page(self, page: Client, ada: Agent, bruno: Agent) -> None:
        shown = side(page.get("/agents/agt-ada/edit/"))
        assert shown.index("Ada") < shown.index("Bruno")
        assert re.search(r'href="/agents/agt-ada/memory/" aria-current="true"', shown)
        assert not re.search(r'href="/agents/agt-bruno/memory/" aria-current', shown)

    def test_it_hides_agents_that_the_person_may_not_see(self, ada: Agent, bruno: Agent) -> None:
        guest = User.objects.create_user("guest@example.com")
        Grant.objects.create(user=guest, role="viewer", agent=bruno)
        shown = side(signed_in(guest).get("/no/such/page"))
        assert "Bruno" in shown
        assert "Ada" not in shown

    def test_its_dot_says_whether_session_storage_is_on(self, page: Client, ada: Agent, bruno: Agent) -> None:
        MemorySettings.objects.filter(agent=bruno).update(session_storage=False)
        Agent.objects.filter(pk=ada.pk).update(framework="langchain")
        shown = side(page.get("/agents/new/"))
        assert 'class="dot off" title="Session storage not available"' in shown
        assert 'class="dot off" title="Session storage off"' in shown
        assert 'class="dot"' not in shown

    def test_it_stops_at_forty_and_leads_to_all(self, page: Client, db: None) -> None:
        Agent.objects.bulk_create(
            Agent(id=f"x{n:03}", name=f"Agent {n:03}", schema_name=f"ag_x{n:03}") for n in range(60)
        )
        answer = page.get("/agents/new/")
        assert side(answer).count("<li>") == guard.SIDEBAR
        assert "/agents/" in links(answer)
        # and the one of the page
        assert side(page.get("/agents/x059/edit/")).count("<li>") == guard.SIDEBAR + 1

    def test_capital_letters_do_not_come_first(self, page: Client, ada: Agent, bruno: Agent) -> None:
        Agent.objects.filter(pk="agt-ada").update(name="ada's agent")
        for path in ("/agents/new/", "/agents/agt-bruno/edit/"):
            shown = side(page.get(path))
            assert shown.index("ada") < shown.index("Bruno")

    def test_it_costs_one_query_however_many_agents(
        self, page: Client, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_num_queries(3):  # session, person and grants, sidebar
            page.get("/agents/new/")
        Agent.objects.bulk_create(Agent(id=f"x{n}", name=f"X {n}", schema_name=f"ag_x{n}") for n in range(30))
        with django_assert_num_queries(3):
            page.get("/agents/new/")

    def test_its_search_is_a_form_that_works_without_scripts(self, page: Client, ada: Agent) -> None:
        form = next(f for f in Page(page.get("/agents/new/").content.decode()).forms if f.action == "/agents/")
        assert (form.method, form.fields) == ("get", {"q": [""]})

    def test_whoever_is_signed_in_can_sign_out(self, page: Client) -> None:
        assert Page(page.get("/agents/").content.decode()).form("/sign-out/")


class TestTabs:
    def shown(self, client: Client) -> list[str]:
        html = client.get("/agents/agt-ada/memory/").content.decode()
        start = html.index('<nav class="tabs"')
        return re.findall(r">(\w+)</a>", html[start : html.index("</nav>", start)])

    def test_an_agno_agent_has_four(self, page: Client, ada: Agent) -> None:
        assert self.shown(page) == ["Memory", "Threads", "Users", "Activity"]

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
        operator = signed_in(person("operator@example.com"))
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
        assert len(re.findall(r'<main[^>]* id="main"', html)) == 1
        assert '<a class="skip" href="#main">' in html
        assert re.search(r"<title>\S[^<]* · Agent Studio</title>", html)

    def test_messages_are_announced(self, page: Client, ada: Agent, path: str) -> None:
        html = self.html(page, ada, path)
        assert 'id="messages" role="status"' in html
        assert 'id="toasts" role="status"' in html

    def test_htmx_may_neither_evaluate_nor_leave_the_site(self, page: Client, ada: Agent, path: str) -> None:
        found = re.search(r"<meta name=\"htmx-config\" content='([^']+)'>", self.html(page, ada, path))
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


@pytest.mark.parametrize("role", ["viewer", "support", "operator", "privacy"])
def test_what_is_for_admins_is_absent_for_other_roles(db: None, role: str) -> None:
    shown = links(signed_in(person(f"{role}@example.com")).get("/agents/"))
    assert not {"/audit/", "/people/", "/keys/", "/agents/new/"} & set(shown)


class TestTimes:
    NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("ago", "words"),
        [
            (0, "just now"),
            (59, "just now"),
            (-30, "just now"),
            (60, "1 min ago"),
            (3599, "59 min ago"),
            (3600, "1 h ago"),
            (86_399, "23 h ago"),
            (86_400, "yesterday"),
            (36 * 3600 - 1, "yesterday"),
            (36 * 3600 + 1, "2 days ago"),
            (6 * 86_400, "6 days ago"),
            (7 * 86_400, "15 Nov"),
            (-90, "22 Nov"),
            (365 * 86_400, "22 Nov 2025"),
        ],
    )
    def test_they_are_told_in_the_words_that_fit(self, ago: int, words: str) -> None:
        assert studio.since(self.NOON - timedelta(seconds=ago), self.NOON) == words

    def test_they_carry_the_absolute_time_with_its_zone(self) -> None:
        shown = studio.ago(1_763_000_000)
        assert shown.startswith('<time datetime="2025-11-13T02:13:20Z" title="2025-11-13 02:13:20 UTC" data-ago>')
        assert "13 Nov 2025, 02:13 UTC</time>" in studio.when(1_763_000_000)

    @pytest.mark.parametrize("value", [1_763_000_000, 1_763_000_000_000, 1_763_000_000_000_000, 1_763_000_000 * 10**9])
    def test_finer_units_are_recognised(self, value: int) -> None:
        at = studio.moment(value)
        assert at is not None
        assert at.year == 2025

    def test_a_datetime_is_shown_in_utc(self) -> None:
        at = datetime(2026, 1, 1, 1, 0, tzinfo=timezone(timedelta(hours=2)))
        assert "31 Dec 2025, 23:00 UTC" in studio.when(at)
        assert studio.moment(at.replace(tzinfo=None)) is not None

    @pytest.mark.parametrize("value", [None, ""])
    def test_none_is_a_dash(self, value: Any) -> None:
        assert studio.ago(value) == studio.when(value) == "—"

    @pytest.mark.parametrize(
        "value", [-1, 0, 1e20, 10**30, float("nan"), float("inf"), "x", "<b>", [], {}, True, object(), 10**400]
    )
    def test_garbage_is_said_to_be_so(self, value: Any) -> None:
        for shown in (studio.ago(value), studio.when(value)):
            assert "no valid time" in shown
            assert "<b>" not in shown

    def test_a_stored_second_survives_the_way_to_the_page(self) -> None:
        assert f"{datetime.fromtimestamp(NOW, UTC):%Y-%m-%dT%H:%M:%SZ}" in studio.ago(NOW)


class TestNumbers:
    @pytest.mark.parametrize(
        ("number", "words"),
        [
            (0, "0"),
            (999, "999"),
            (1000, "1.0k"),
            (18_432, "18.4k"),
            (99_949, "99.9k"),
            (99_950, "100k"),
            (152_300, "152k"),
            (999_499, "999k"),
            (999_500, "1.0M"),
            (1_234_567, "1.2M"),
            (10**12, "1.0T"),
            (-1500, "−1.5k"),
        ],
    )
    def test_compact_keeps_three_digits(self, number: int, words: str) -> None:
        assert studio.compact(number) == words

    @pytest.mark.parametrize(
        ("number", "words"),
        [
            (0, "0 B"),
            (640, "640 B"),
            (1234, "1.2 KB"),
            (999_700, "1.0 MB"),
            (3_400_000, "3.4 MB"),
            (5 * 10**13, "50.0 TB"),
        ],
    )
    def test_sizes_have_units(self, number: int, words: str) -> None:
        assert studio.size(number) == words

    @pytest.mark.parametrize(
        ("seconds", "words"),
        [
            (0, "0 ms"),
            (0.64, "640 ms"),
            (0.9999, "1.0 s"),
            (2.64, "2.6 s"),
            (59.96, "1 min"),
            (200, "3 min 20 s"),
            (3600, "1 h"),
            (7500, "2 h 5 min"),
        ],
    )
    def test_durations_have_units(self, seconds: float, words: str) -> None:
        assert studio.duration(seconds) == words

    def test_counts_are_written_in_full(self) -> None:
        assert studio.count(1_234_567) == "1,234,567"

    @pytest.mark.parametrize("value", [None, "", "x", float("nan"), float("inf"), [], {}, 10**400, True])
    @pytest.mark.parametrize("name", ["compact", "size", "duration", "count"])
    def test_garbage_is_a_dash(self, name: str, value: Any) -> None:
        assert getattr(studio, name)(value) == "—"

    @pytest.mark.parametrize("number", [10**15, 10**30, 1.7e308])
    def test_absurd_numbers_stay_short(self, number: float) -> None:
        assert len(studio.compact(number)) < 12
        assert len(studio.duration(number)) < 12


class TestIcons:
    def test_they_are_svg_that_screen_readers_skip(self) -> None:
        html = Template('{% load studio %}{% icon "copy" 14 %}').render(Context())
        assert html.startswith('<svg width="14" height="14"')
        assert 'aria-hidden="true"' in html
        assert "style" not in html

    def test_a_name_that_does_not_exist_is_an_error(self) -> None:
        with pytest.raises(IconDoesNotExist):
            studio.icon("no-such-icon")


class TestAddresses:
    """`{% url %}` of ours answers as Django's does."""

    def shown(self, template: str) -> str:
        return Template(template).render(Context({"id": "agt-ada", "odd": "b <c>&'"}))

    def test_it_writes_a_route_each_time_anew(self) -> None:
        for name in ("agt-ada", "agt-bruno"):
            assert self.shown(f"{{% url 'threads' '{name}' %}}") == f"/agents/{name}/threads/"
        assert self.shown("{% url 'threads' agent_id=id %}") == "/agents/agt-ada/threads/"

    def test_it_is_escaped(self) -> None:
        assert self.shown("{% url 'threads' odd %}") == escape(reverse("threads", args=["b <c>&'"]))

    def test_ids_of_threads_and_users_are_not_kept(self) -> None:
        before = addresses._remembered.cache_info().currsize
        assert self.shown("{% url 'thread' id 'a-thread' %}") == "/agents/agt-ada/threads/a-thread/"
        assert addresses._remembered.cache_info().currsize == before

    def test_a_name_that_no_route_has_is_an_error_unless_kept(self) -> None:
        with pytest.raises(NoReverseMatch):
            self.shown("{% url 'nowhere' %}")
        assert self.shown("{% url 'nowhere' as there %}[{{ there }}]") == "[]"
        assert self.shown("{% url 'threads' id as there %}[{{ there }}]") == "[/agents/agt-ada/threads/]"


def test_options_mark_what_is_chosen_and_escape_the_rest() -> None:
    html = studio.options([("a", "A", "more"), ('"><b>', "<i>")], '"><b>')
    assert html == ('<option value="a">A</option><option value="&quot;&gt;&lt;b&gt;" selected>&lt;i&gt;</option>')
