"""What every test begins with: two agents, Ada's and Bruno's, and people. Made once for each database."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.account.internal.userkit import user_id_to_str
from django.conf import settings
from django.db import connection, transaction
from django.template.backends.jinja2 import Template
from django.test import Client
from django.test.signals import template_rendered
from django_tenants.utils import schema_context

from memory.index import feed
from memory.index.threads import Filter, list_threads
from studio.agents import provision
from studio.audit import tombstones
from studio.audit.record import Actor
from studio.models import Agent, ApiKey, AuditEvent, Grant, User

NOW = int(time.time())
PASSWORD = "correct horse battery"
HTMX = {"HX-Request": "true"}
SYSTEM = Actor.system()
DANA = Actor("person", "901", "Dana Levi", ip="10.0.0.4")
OMAR = Actor("person", "902", "Omar Haddad", ip="10.0.0.5")
# the ways in which agents store the runs of a thread, and the ids that they may give it
LAYOUTS = ("column", "table", "both")
ODD_IDS = [
    "/",
    "a/b?c#d%20&e=\"f'<g>",
    "two words",
    "line\nbreak\r\n",
    "👩‍🚀 emoji",
    "שלום עולם",
    "..",
    "~",
    "",
    " ",
    "x" * 4096,
    "%_\\",
    "\u202egnp.exe",
]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock():
        if Agent.objects.filter(pk="agt-ada").exists():
            return
        provision.create_agent(
            Actor.system(), agent_id="agt-ada", name="Ada's agent", icon="🅰️", model_name="gpt-4o-mini"
        )
        provision.create_agent(Actor.system(), agent_id="agt-bruno", name="Bruno's agent", icon="🅱️")
        for role in Grant.Role.values:
            user = User.objects.create_user(f"{role}@example.com", PASSWORD, name=role.title())
            Grant.objects.create(user=user, role=role)


@pytest.fixture
def ada(db: None) -> Agent:
    return Agent.objects.get(pk="agt-ada")


@pytest.fixture
def bruno(db: None) -> Agent:
    return Agent.objects.get(pk="agt-bruno")


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.get(email="admin@example.com")


def person(role: str) -> User:
    """The one who has this role for all agents."""
    return User.objects.get(email=f"{role}@example.com")


def new_person(role: str, agent: Agent | None = None, email: str = "guest@example.com") -> User:
    """Somebody new, who has this role for one agent or for all."""
    user = User.objects.create_user(email)
    Grant.objects.create(user=user, role=role, agent=agent)
    return user


@pytest.fixture
def page(admin: User) -> Client:
    """A browser where an admin is signed in, without JavaScript."""
    return signed_in(admin)


def signed_in(user: User, *, minutes_ago: float = 0) -> Client:
    """A browser where somebody signed in by password a while ago; within 15 minutes nothing is asked again."""
    client = Client()
    # as stored: other changes may have counted up their session_epoch
    client.force_login(User.objects.get(pk=user.pk))
    session = client.session
    session[AUTHENTICATION_METHODS_SESSION_KEY] = [{"method": "password", "at": time.time() - 60 * minutes_ago}]
    session["account_authentication_methods_user"] = user_id_to_str(user)
    session.save()
    return client


def is_in(client: Client) -> bool:
    return client.get("/agents/").status_code == 200


def fails(error: Exception) -> Callable[..., Any]:
    """Something to put in the place of what shall fail."""

    def fail(*args: Any, **more: Any) -> None:
        raise error

    return fail


def sql(query: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values or None)
        return list(cursor.fetchall()) if cursor.description else []


@pytest.fixture(autouse=True, scope="session")
def _head_beside_the_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Give the tests a file of their own for the audit log's head, because it belongs to one database."""
    settings.AUDIT_HEAD_FILE = tmp_path_factory.mktemp("audit") / "audit-head"


@pytest.fixture(autouse=True, scope="session")
def _responses_carry_their_context() -> Iterator[None]:
    """Set `response.context` to the context of the page; Django leaves it empty for templates in Jinja2."""
    render = Template.render

    def telling(template: Template, context: dict[str, Any] | None = None, request: Any = None) -> Any:
        context = {} if context is None else context
        html = render(template, context, request)
        template_rendered.send(sender=template, template=template, context=context)
        return html

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Template, "render", telling)
        yield


@pytest.fixture
def transactional_db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Commit what a test writes, so that other connections see it; its events, keys and people are removed at the end.

    Not pytest-django's, which empties all tables: the log refuses that.
    """
    with django_db_blocker.unblock():
        last = AuditEvent.objects.order_by("-id").values_list("id", flat=True).first() or 0
        before = {model: list(model.objects.values_list("pk", flat=True)) for model in (ApiKey, User)}
        try:
            yield
        finally:
            for model, ids in before.items():
                model.objects.exclude(pk__in=ids).delete()
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("grant delete on public.studio_auditevent to current_user")
                cursor.execute("alter table public.studio_auditevent disable trigger user")
                cursor.execute("delete from public.studio_auditevent where id > %s", [last])
                cursor.execute("alter table public.studio_auditevent enable trigger user")
                cursor.execute("revoke delete on public.studio_auditevent from current_user")
            settings.AUDIT_HEAD_FILE.unlink(missing_ok=True)
            tombstones.path().unlink(missing_ok=True)


@pytest.fixture
def analyze(db: None) -> Iterator[Callable[..., None]]:
    """Analyse tables. No rollback undoes that, so at the end the tables are analysed again when they are empty."""
    taken = []

    def analyze(*tables: str) -> None:
        with connection.cursor() as cursor:
            for table in tables:
                taken.append(f"{connection.schema_name}.{table}")
                cursor.execute(f"analyze {taken[-1]}")

    yield analyze
    with connection.cursor() as cursor:
        for table in taken:
            cursor.execute(f"delete from {table}")
            cursor.execute(f"analyze {table}")


@pytest.fixture(autouse=True)
def _public_again() -> Iterator[None]:
    yield
    connection.set_schema_to_public()


def message(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {
        "id": f"m-{time.monotonic_ns()}",
        "role": role,
        "content": content,
        "from_history": False,
        "created_at": NOW,
        **more,
    }


def run(run_id: str, text: str = "Hello", answer: str = "Hi there", *, at: int = NOW, **more: Any) -> dict[str, Any]:
    """Return a run as Agno stores it: a user message and an answer."""
    return {
        "run_id": run_id,
        "status": "COMPLETED",
        "created_at": at,
        "model": "gpt-4o-mini",
        "content": answer,
        "input": {"input_content": text},
        "messages": [message("user", text, created_at=at), message("assistant", answer, created_at=at)],
        "metrics": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15, "duration": 1.5},
        **more,
    }


def write_thread(
    agent: Agent,
    session_id: str,
    runs: list[Any] | None = None,
    *,
    layout: str = "column",
    user_id: str | None = "alice@example.com",
    at: int = NOW,
    **session: Any,
) -> None:
    """Write a thread as an agent does, and fold it; `layout` is column (agno 2.5), table (3.1) or both."""
    runs = [run(f"{session_id}-1")] if runs is None else runs
    row = {
        "session_id": session_id,
        "session_type": "agent",
        "user_id": user_id,
        "runs": json.dumps(runs) if layout in ("column", "both") else None,
        "created_at": at,
        "updated_at": at,
        **{key: json.dumps(value) if isinstance(value, dict | list) else value for key, value in session.items()},
    }
    with schema_context(agent.schema_name), connection.cursor() as cursor:
        names = ", ".join(row)
        cursor.execute(
            f"insert into agno_sessions ({names}) values ({', '.join(['%s'] * len(row))})", list(row.values())
        )
        if layout in ("table", "both"):
            for index, item in enumerate(runs):
                _insert_run(session_id, item, index)
        feed.fold_all()


def session_ids(agent: Agent) -> set[str]:
    """The threads that an agent has."""
    with schema_context(agent.schema_name):
        return {row["session_id"] for row in list_threads(Filter()).rows}


def write_run(agent: Agent, session_id: str, item: dict[str, Any], index: int = 0) -> None:
    """Write a run into the table as an agent does, and fold it."""
    with schema_context(agent.schema_name):
        _insert_run(session_id, item, index)
        feed.fold_all()


def _insert_run(session_id: str, item: dict[str, Any], index: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into agno_runs (run_id, session_id, run_type, user_id, parent_run_id, status, run_index, run_data,"
            " created_at) values (%s, %s, 'agent', %s, %s, %s, %s, %s, %s)",
            [
                item["run_id"],
                session_id,
                item.get("user_id"),
                item.get("parent_run_id"),
                item.get("status"),
                index,
                json.dumps(item),
                item.get("created_at") or NOW,
            ],
        )
