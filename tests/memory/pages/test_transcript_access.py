"""The page of one thread: who may read it, what is logged of it, and what it costs."""

import re

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django_tenants.utils import schema_context

from memory.services import reading
from studio.audit.record import Actor
from studio.models import Agent
from tests.memory.pages.transcript import address, agno, articles, events
from tests.reading import html, text
from tests.world import HTMX, NOW, fails, person, signed_in, write_thread


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

    def test_unknown_agents_and_threads_are_not_found(self, page: Client, ada: Agent) -> None:
        assert page.get(address("nowhere")).status_code == 404
        assert page.get(address(agent="agt-nobody")).status_code == 404
        assert page.get("/agents/agt-ada/threads/~!/").status_code == 404

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
