"""The audit log's page: for admins, with filters, page by page, and as a file."""

import json
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from studio.audit import search
from studio.audit.record import Actor, record
from studio.models import Agent, AuditEvent, User
from tests.reading import event_ids, links, text
from tests.world import HTMX, person, signed_in

URL = "/audit/"


@pytest.fixture
def events(admin: User, ada: Agent) -> list[AuditEvent]:
    person, system = Actor.person(admin, ip="192.0.2.7", request_id="req-1"), Actor.system()
    return [
        record(person, "settings.save", agent=ada, object="v2", data={"changes": {"num_history_runs": [10, 7]}}),
        record(system, "link.create", object="a@example.com"),
        record(person, "threads.delete", agent=ada, data={"counts": {"threads": 3}}, reason="asked to"),
    ]


class TestThePage:
    def test_it_shows_who_did_what_where_newest_first(self, page: Client, events: list[AuditEvent]) -> None:
        answer = page.get(URL)
        assert event_ids(answer)[:3] == [event.pk for event in reversed(events)]
        shown = text(answer)
        assert "Admin 192.0.2.7 deleted threads 3 threads Reason: asked to request req-1 Ada's agent" in shown
        assert "changed memory settings: v2 No. of history runs 10 → to 7" in shown

    def test_it_is_filtered(self, page: Client, admin: User, events: list[AuditEvent]) -> None:
        saved, linked, deleted = (event.pk for event in events)

        def found(**filters: str) -> set[int]:
            return set(event_ids(page.get(URL, filters))) & {saved, linked, deleted}

        today = timezone.now().date()
        assert found(kind="deletions") == {deleted}
        assert found(who=f"person:{admin.pk}") == {saved, deleted}
        assert found(who="system:") == {linked}
        assert found(agent="agt-ada") == {saved, deleted}
        assert found(agent="agt-ada", kind="settings") == {saved}
        assert found(since=str(today), until=str(today)) == {saved, linked, deleted}
        assert found(until=str(today - timedelta(days=1))) == set()
        assert found(since=str(today + timedelta(days=1))) == set()

    @pytest.mark.parametrize(
        ("odd", "why"),
        [
            ({"kind": "x"}, "There is no kind “x” here."),
            ({"who": "x'"}, "Nobody is known as “x'”."),
            ({"who": "person:99999"}, "Nobody is known as “person:99999”."),
            ({"agent": "A B"}, "No agent has, or had, the id “A B”."),
            ({"agent": "agt-nobody"}, "No agent has, or had, the id “agt-nobody”."),
            ({"since": "2026-99-99"}, "From is “2026-99-99”, which is no day"),
            ({"until": "9"}, "Until is “9”, which is no day"),
            ({"since": "2026-11-23", "until": "2026-11-22"}, "From (2026-11-23) is after Until (2026-11-22)"),
            ({"event": "x"}, "“x” is not the number of an event."),
            ({"actor": "person:1"}, "There is no filter “actor” here."),
        ],
    )
    def test_what_is_not_understood_shows_and_exports_nothing_and_says_why(
        self, page: Client, events: list[AuditEvent], odd: dict[str, str], why: str
    ) -> None:
        answer = page.get(URL, odd)
        assert event_ids(answer) == []
        assert why in text(answer)
        assert "/audit/export/" not in answer.content.decode()
        export = page.get("/audit/export/", odd)
        if export.streaming:
            assert b"".join(export.streaming_content) == b""  # type: ignore[arg-type]
        else:
            assert export.status_code == 422
            assert AuditEvent.objects.filter(action="audit.export").count() == 0

    def test_of_several_filters_that_are_not_understood_each_is_named_once(
        self, page: Client, events: list[AuditEvent]
    ) -> None:
        shown = text(page.get(URL, {"kind": "x", "who": "person:99999", "agent": "agt-nobody"}))
        for why in ("no kind “x”", "known as “person:99999”", "the id “agt-nobody”"):
            assert shown.count(why) == 1
        assert text(page.get(URL, {"who": "x'"})).count("Nobody is known as") == 1

    def test_a_filter_that_is_empty_or_has_spaces_around_it_is_understood(
        self, page: Client, events: list[AuditEvent]
    ) -> None:
        empty = {"kind": "", "who": "", "agent": "", "since": "", "until": ""}
        assert {event.pk for event in events} <= set(event_ids(page.get(URL, empty)))
        assert events[0].pk in event_ids(page.get(URL, {"agent": " agt-ada ", "kind": " settings"}))

    def test_people_and_agents_are_picked_from_lists_also_those_that_are_gone(
        self, page: Client, admin: User, ada: Agent, bruno: Agent
    ) -> None:
        other = User.objects.create_user("other@example.com", name=admin.name)
        page.post("/agents/agt-bruno/remove/now/", {"confirm": "agt-bruno"})
        html = page.get(URL).content.decode()
        assert f'<option value="agt-ada" >{ada.name}</option>'.replace("'", "&#39;") in html
        assert f'<option value="agt-bruno" >{bruno.name} (removed)</option>'.replace("'", "&#39;") in html
        assert f'<option value="person:{admin.pk}" >{admin.name} ({admin.email})</option>' in html
        assert f'<option value="person:{other.pk}" >{admin.name} (other@example.com)</option>' in html
        chosen = page.get(URL, {"agent": "agt-bruno"})
        assert "removed the agent" in text(chosen)
        assert '<option value="agt-bruno" selected>' in chosen.content.decode()

    def test_its_pages_hold_each_event_once(self, page: Client, db: None) -> None:
        for _ in range(120):
            record(Actor.system(), "link.create")
        seen: list[int] = []
        address: str | None = URL
        while address:
            answer = page.get(address, headers=HTMX)
            seen += event_ids(answer)
            address = next((link for link in links(answer) if "cursor=" in link), None)
        assert seen == sorted(seen, reverse=True)
        assert len(seen) == len(set(seen)) == AuditEvent.objects.count()

    def test_an_event_of_an_agent_that_is_gone_keeps_its_id(
        self, page: Client, ada: Agent, events: list[AuditEvent]
    ) -> None:
        page.post("/agents/agt-ada/remove/now/", {"confirm": "agt-ada"})
        assert "removed the agent: Ada's agent" in text(page.get(URL, {"agent": "agt-ada"}))

    def test_it_costs_a_constant_number_of_queries(
        self, page: Client, events: list[AuditEvent], django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        page.get(URL)
        # session and person with grants, events, everybody, all agents, the sidebar
        with django_assert_num_queries(5):
            page.get(URL)
        for _ in range(40):
            record(Actor.system(), "link.create")
        with django_assert_num_queries(5):
            page.get(URL)

    def test_it_answers_htmx_with_the_table_alone(self, page: Client, events: list[AuditEvent]) -> None:
        answer = page.get(URL, headers=HTMX)
        assert answer.content.strip().startswith(b'<div id="audit"')
        assert "HX-Request" in answer.headers["vary"]

    def test_a_hostile_object_is_text(self, page: Client, db: None) -> None:
        record(Actor.system(), "link.create", object='<script>alert(1)</script>"')
        answer = page.get(URL)
        assert b"<script>alert" not in answer.content
        assert '<script>alert(1)</script>"' in text(answer)

    def test_it_is_for_admins_of_the_studio(self, db: None) -> None:
        for role in ("viewer", "support", "operator", "privacy"):
            client = signed_in(person(role))
            assert client.get(URL).status_code == client.get("/audit/export/").status_code == 403
        assert Client().get(URL).headers["location"] == "/sign-in/?next=/audit/"


class TestTheFile:
    def lines(self, page: Client, **filters: str) -> list[dict[str, Any]]:
        answer = page.get("/audit/export/", filters)
        assert answer.headers["content-type"] == "application/x-ndjson"
        assert answer.headers["content-disposition"].startswith('attachment; filename="audit-')
        return [json.loads(line) for line in b"".join(answer.streaming_content).decode().splitlines()]

    def test_it_has_every_event_with_its_hashes(
        self, page: Client, events: list[AuditEvent], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(search, "BATCH", 2)
        lines = self.lines(page)
        assert [line["id"] for line in lines] == list(AuditEvent.objects.values_list("id", flat=True))
        for newer, older in pairwise(lines):
            assert newer["prev_hash"] == older["hash"]

    def test_it_is_filtered_as_the_page_is(self, page: Client, events: list[AuditEvent]) -> None:
        assert [line["id"] for line in self.lines(page, kind="deletions", agent="agt-ada")] == [events[2].pk]

    def test_taking_it_is_an_event(self, page: Client, events: list[AuditEvent]) -> None:
        self.lines(page, kind="deletions")
        assert AuditEvent.objects.get(action="audit.export").data == {"kind": "deletions"}
