"""The audit log: what is in it, and that nobody changes it."""

from typing import Any

import pytest
from django.db import DatabaseError, ProgrammingError, transaction
from django.test import Client

from studio.audit import record as audit
from studio.audit import verify
from studio.keys import service as keys
from studio.models import Agent, AuditEvent
from tests.safety.routes import Route, routes, sample
from tests.world import SYSTEM, message, person, run, signed_in, sql, write_thread


class TestWhatIsLogged:
    def test_who_where_from_and_in_which_request(self, page: Client, ada: Agent, settings: Any) -> None:
        settings.TRUSTED_PROXIES = 1
        form = {"confirm": "agt-ada"}
        page.post("/agents/agt-ada/remove/now/", form, headers={"x-request-id": "req-7"}, REMOTE_ADDR="192.0.2.7")
        event = AuditEvent.objects.get(action="agent.remove")
        assert (event.actor, event.ip, event.request_id) == ("Admin", "192.0.2.7", "req-7")
        assert (event.agent_id, event.object) == ("agt-ada", "Ada's agent")

    def test_nobody_but_a_trusted_proxy_names_a_request(self, page: Client, ada: Agent) -> None:
        """Else one could take the id of what somebody else did, or give all of one's own the same."""
        for _ in range(2):
            answer = page.post("/people/invite/", {}, headers={"x-request-id": "req-7"})
            assert answer.headers["x-request-id"] != "req-7"
        page.post("/agents/agt-ada/remove/now/", {"confirm": "agt-ada"}, headers={"x-request-id": "req-7"})
        assert AuditEvent.objects.filter(action="agent.remove").exists()
        assert not AuditEvent.objects.filter(request_id="req-7").exists()

    @pytest.mark.parametrize(
        ("proxies", "forwarded", "ip"),
        [
            (0, "203.0.113.9", "192.0.2.7"),
            (1, "203.0.113.9", "203.0.113.9"),
            (1, "6.6.6.6, 203.0.113.9", "203.0.113.9"),
            (2, "6.6.6.6, 203.0.113.9, 10.0.0.1", "203.0.113.9"),
            (2, "203.0.113.9", "192.0.2.7"),
            (1, "2001:db8::1", "2001:db8::1"),
            (1, "6.6.6.6:1, 203.0.113.9:50001", "203.0.113.9"),
            (1, '"[2001:db8::1]:4711"', "2001:db8::1"),
            (1, "::ffff:203.0.113.9", "203.0.113.9"),
            (1, "<script>", "192.0.2.7"),
            (1, "", "192.0.2.7"),
        ],
    )
    def test_the_address_behind_trusted_proxies_only(
        self, page: Client, ada: Agent, settings: Any, proxies: int, forwarded: str, ip: str
    ) -> None:
        settings.TRUSTED_PROXIES = proxies
        page.post("/agents/agt-ada/connection/", headers={"x-forwarded-for": forwarded}, REMOTE_ADDR="192.0.2.7")
        assert AuditEvent.objects.get(action="database.reveal").ip == ip

    def test_searching_in_conversations(self, page: Client, ada: Agent) -> None:
        write_thread(ada, "s-1")
        for _ in range(3):
            page.get("/agents/agt-ada/threads/", {"q": "hello  world"})
        page.get("/agents/agt-ada/threads/", {"q": "other"})
        page.get("/agents/agt-ada/threads/")
        words = [
            data["q"] for data in AuditEvent.objects.filter(action="threads.search").values_list("data", flat=True)
        ]
        assert sorted(words) == ["hello world", "other"]

    def test_not_a_search_of_somebody_who_may_not_read(self, ada: Agent) -> None:
        signed_in(person("viewer")).get("/agents/agt-ada/threads/", {"q": "hello"})
        assert not AuditEvent.objects.filter(action="threads.search").exists()

    @pytest.mark.parametrize(("seconds", "times"), [(0, 1), (290, 1), (310, 2), (86_400, 2)])
    def test_a_search_is_logged_again_after_five_minutes(
        self, page: Client, ada: Agent, seconds: int, times: int
    ) -> None:
        page.get("/agents/agt-ada/threads/", {"q": "hello"})
        sql("grant update on studio_auditevent to current_user")
        sql("alter table studio_auditevent disable trigger user")
        sql("update studio_auditevent set at = at - make_interval(secs => %s) where action = 'threads.search'", seconds)
        sql("alter table studio_auditevent enable trigger user")
        page.get("/agents/agt-ada/threads/", {"q": "hello"})
        assert AuditEvent.objects.filter(action="threads.search").count() == times

    def test_a_search_by_somebody_else_or_elsewhere_is_logged_at_once(
        self, page: Client, ada: Agent, bruno: Agent
    ) -> None:
        _, key = keys.create(SYSTEM, name="k", scopes=["agents:read", "threads:read"])
        for _ in range(2):
            page.get("/agents/agt-ada/threads/", {"q": "hello"})
            page.get("/agents/agt-bruno/threads/", {"q": "hello"})
            signed_in(person("support")).get("/agents/agt-ada/threads/", {"q": "hello"})
            Client().get("/api/agents/agt-ada/threads?q=hello", headers={"x-api-key": key})
        events = AuditEvent.objects.filter(action="threads.search").values_list("agent_id", "actor_kind", "actor_id")
        assert len(set(events)) == len(events) == 4

    def test_a_search_by_a_key(self, ada: Agent) -> None:
        _, key = keys.create(SYSTEM, name="k", scopes=["agents:read", "threads:read"])
        Client().get("/api/agents/agt-ada/threads?q=hello", headers={"x-api-key": key})
        assert AuditEvent.objects.get(action="threads.search").actor_kind == "key"

    @pytest.mark.parametrize(
        ("path", "action"),
        [
            ("threads/s-1/", "thread.read"),
            ("threads/s-1/export/", "thread.export"),
        ],
    )
    def test_reading_and_downloading(self, page: Client, ada: Agent, path: str, action: str) -> None:
        write_thread(ada, "s-1")
        answer = page.get(f"/agents/agt-ada/{path}")
        assert answer.status_code == 200
        event = AuditEvent.objects.get(action=action)
        assert (event.agent_id, event.object, event.actor) == ("agt-ada", "s-1", "Admin")

    @pytest.mark.parametrize("route", [route for route in routes() if route.is_of_an_agent], ids=lambda it: it.route)
    def test_no_content_leaves_without_an_event(self, page: Client, ada: Agent, route: Route) -> None:
        """What a tool answered, and the summary, at every address that may hold them, by page and by key."""
        secret = "canary-content"
        result = message("tool", secret, tool_call_id="c-1", tool_name="look")
        write_thread(ada, "s-1", [run("s-1-1", messages=[result])], summary={"summary": secret})
        _, key = keys.create(SYSTEM, name="k", scopes=["admin"])
        headers = {"x-api-key": key} if route.route.startswith("api/") else {}
        events = AuditEvent.objects.filter(action__in=["thread.read", "thread.export"])
        for query in ("", "?include=runs", "?format=ndjson", "?raw=1"):
            before = events.count()
            answer = page.get(route.path(**sample()) + query, headers=headers)
            told = secret in answer.getvalue().decode()
            assert events.count() > before or not told
            assert told or not route.route.endswith(("<any:session_id>/", "/runs", "/messages", "/export/")) or query

    def test_revealing_the_connection(self, page: Client, ada: Agent) -> None:
        page.post("/agents/agt-ada/connection/")
        assert AuditEvent.objects.get(action="database.reveal").agent_id == "agt-ada"


class TestAppendOnly:
    @pytest.fixture(autouse=True)
    def event(self, db: None) -> AuditEvent:
        return audit.record(SYSTEM, "link.create", object="a@example.com")

    @pytest.mark.parametrize(
        "statement",
        [
            "update studio_auditevent set actor = 'x'",
            "delete from studio_auditevent",
            "truncate studio_auditevent",
        ],
    )
    def test_the_studios_role_may_not_change_it(self, statement: str) -> None:
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            sql(statement)

    @pytest.mark.parametrize(
        "statement",
        [
            "update studio_auditevent set actor = 'x'",
            "delete from studio_auditevent",
            "truncate studio_auditevent",
        ],
    )
    def test_a_trigger_refuses_whoever_may(self, statement: str) -> None:
        """Even after the owner gave itself the right."""
        sql("grant update, delete, truncate on studio_auditevent to current_user")
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            sql(statement)

    def test_the_place_the_time_and_the_hash_are_the_databases(self, event: AuditEvent) -> None:
        forged = sql(
            "insert into studio_auditevent (id, at, actor_kind, actor_id, actor, ip, request_id, agent_id, action,"
            " object, data, reason, prev_hash, hash) values (1, '2000-01-01', 's', '', 'x', '', '', '', 'y', '', '{}',"
            " '', 'a', 'b') returning id, at > now() - interval '1 minute', prev_hash"
        )[0]
        assert (forged[0], forged[1], bytes(forged[2])) == (event.pk + 1, True, bytes(event.hash))
        assert verify.verify().faults == []
