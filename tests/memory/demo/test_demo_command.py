"""The demo: the command that writes it."""

from collections import Counter
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from django_tenants.utils import schema_context

from memory.demo import load
from memory.index import feed, repair
from studio.agents import memory_settings
from studio.models import Agent, AuditEvent, MemorySettingsVersion
from tests.memory.demo.made import NOW, SALES, SUPPORT, WEBHOOK, all_runs


def demo(**options: Any) -> str:
    out = StringIO()
    call_command("demo", stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def written(db: None) -> str:
    return demo()


def state() -> tuple[Any, ...]:
    """Everything that a second run could have changed."""
    rows: list[Any] = [list(Agent.objects.values_list()), list(MemorySettingsVersion.objects.values_list())]
    for one in load.AGENTS:
        with schema_context(Agent.objects.get(pk=one["id"]).schema_name), connection.cursor() as cursor:
            cursor.execute("select md5(string_agg(t::text, '' order by session_id)) from agno_sessions t")
            rows.append(cursor.fetchone())
            cursor.execute("select md5(string_agg(t::text, '' order by run_id)) from agno_runs t")
            rows.append(cursor.fetchone())
    return (*rows, AuditEvent.objects.count())


def test_the_command_makes_four_agents_whose_index_is_exact(written: str) -> None:
    assert written.count("Added ") == 4
    assert "Added Support Bot (agt-supp2ortbot3) with" in written
    for one in load.AGENTS:
        agent = Agent.objects.get(pk=one["id"])
        made = load.threads(one, NOW)
        with schema_context(agent.schema_name), connection.cursor() as cursor:
            feed.fold_all(600)
            cursor.execute("select count(*), coalesce(sum(runs), 0) from memory_thread")
            assert cursor.fetchone() == (len(made), sum(len(all_runs(thread)) for thread in made))
            cursor.execute("select count(*) from memory_backlog")
            assert cursor.fetchone() == (0,)
            ids = repair.thread_ids(None, 1000)
            assert repair.differences(ids) == []


def test_settings_have_a_history(written: str) -> None:
    versions = {
        one["fields"]["name"]: MemorySettingsVersion.objects.filter(agent_id=one["id"]).count() for one in load.AGENTS
    }
    assert versions == {"Support Bot": 4, "Research Analyst": 3, "Webhook Enricher": 3, "Sales Assistant": 1}
    webhook = Agent.objects.select_related("memory").get(pk=WEBHOOK["id"])
    assert memory_settings.values_of(webhook.memory)["session_storage"] is False


def test_versions_and_activity_tell_the_same_story(db: None) -> None:
    before = timezone.now()
    demo()
    after = timezone.now()
    for one in load.AGENTS:
        agent = Agent.objects.get(pk=one["id"])
        # the first version is made with the agent
        versions = MemorySettingsVersion.objects.filter(agent=agent).order_by("version")
        events = AuditEvent.objects.filter(agent_id=agent.pk).order_by("id")
        assert [event.action for event in events] == ["agent.create"] + ["settings.save"] * (len(versions) - 1)
        for version, event in zip(versions, events, strict=True):
            assert version.actor == event.actor
            assert version.changes == event.data.get("changes", {})
            for at in (version.created_at, event.at, agent.created_at):
                assert before <= at <= after


def test_the_audit_log_says_that_the_studio_did_it(written: str) -> None:
    events = AuditEvent.objects.filter(agent_id__in=[one["id"] for one in load.AGENTS])
    assert {event.actor for event in events} == {"Agent Studio"}
    assert Counter(event.action for event in events) == {"agent.create": 4, "settings.save": 7}


def test_a_second_run_changes_nothing_and_says_so(written: str) -> None:
    before = state()
    assert demo() == "The demo agents are there already; nothing was changed. --reset makes them again.\n"
    assert state() == before


def test_it_makes_what_is_missing(written: str) -> None:
    Agent.objects.filter(pk=SALES["id"]).delete()
    with connection.cursor() as cursor:
        cursor.execute("drop schema ag_agt_salesassis27 cascade")
    assert demo() == "Added Sales Assistant (agt-salesassis27) with 0 threads.\n"


def test_a_reset_makes_the_four_again_and_leaves_others_alone(written: str, ada: Agent) -> None:
    with schema_context(ada.schema_name), connection.cursor() as cursor:
        cursor.execute("insert into agno_sessions (session_id, session_type, created_at) values ('kept', 'agent', 1)")
    with schema_context(Agent.objects.get(pk=SUPPORT["id"]).schema_name), connection.cursor() as cursor:
        cursor.execute("delete from agno_sessions where session_id = 'ops-desk'")
    said = demo(reset=True)
    assert said.count("Removed ") == said.count("Added ") == 4
    with schema_context(Agent.objects.get(pk=SUPPORT["id"]).schema_name), connection.cursor() as cursor:
        feed.fold_all(600)
        cursor.execute("select runs from memory_thread where session_id = 'ops-desk'")
        assert cursor.fetchone() == (400,)
    with schema_context(ada.schema_name), connection.cursor() as cursor:
        cursor.execute("select count(*) from agno_sessions where session_id = 'kept'")
        assert cursor.fetchone() == (1,)
