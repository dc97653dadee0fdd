"""Who acts is asked again in the transaction of each change: what was taken away a moment before counts."""

import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test import Client

from studio.agents import provision
from studio.api import auth
from studio.keys import service as keys
from studio.models import Agent, ApiKey, AuditEvent, Grant, User
from studio.people import guard, second_factor
from studio.people import service as people
from studio.people.changing import Refused
from tests.reading import text
from tests.rounds import rounds
from tests.world import PASSWORD, SYSTEM, new_person, person, signed_in, sql, write_thread

MEMORY: Final = {"session_storage": "on", "num_history_runs": "7", "max_tool_calls_from_history": "0", "version": "1"}
NEW_PASSWORD: Final = "another horse battery"
# what an admin does on pages: method, address ({} is somebody else's number), form
CHANGES: Final[list[tuple[str, str, dict[str, Any]]]] = [
    ("post", "/agents/new/", {"name": "New", "agent_id": "agt-n", "framework": "agno", "status": "ACTIVE"}),
    ("post", "/agents/agt-ada/edit/", {"name": "Other", "framework": "agno", "status": "ACTIVE"}),
    ("post", "/agents/agt-ada/remove/now/", {"confirm": "agt-ada"}),
    ("post", "/agents/agt-ada/connection/", {}),
    ("post", "/agents/agt-ada/connection/password/", {}),
    ("post", "/agents/agt-ada/memory/", MEMORY),
    ("post", "/agents/agt-ada/delete-threads/now/", {"id": "s-1", "expect": "1", "confirm": "1"}),
    ("get", "/agents/agt-ada/threads/?q=words", {}),
    ("get", "/agents/agt-ada/threads/s-1/", {}),
    ("get", "/agents/agt-ada/threads/s-1/export/", {}),
    ("get", "/audit/export/", {}),
    ("post", "/keys/new/", {"name": "n", "scopes": ["admin"], "reach": "all", "days": "30"}),
    ("post", "/keys/spare000/revoke/", {}),
    ("post", "/people/invite/", {"email": "new@example.com", "name": "", "role": "admin", "reach": "all"}),
    ("post", "/people/{}/roles/add/", {"role": "admin", "agent": ""}),
    ("post", "/people/{}/roles/remove/", {"grant": "own"}),
    ("post", "/people/{}/deactivate/", {}),
    ("post", "/people/{}/sign-out/", {}),
    ("post", "/people/{}/link/", {}),
    (
        "post",
        "/account/password/",
        {"old_password": PASSWORD, "new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD},
    ),
    ("post", "/account/sign-out-everywhere/", {}),
]
# what no role is needed for
OWN: Final = ("/account/",)
CALLS: Final[list[tuple[str, str, str]]] = [
    ("post", "/api/agents", '{"name": "New"}'),
    ("delete", "/api/agents/agt-ada", ""),
    ("get", "/api/agents/agt-ada/db", ""),
    ("patch", "/api/agents/agt-ada/memory", '{"num_history_runs": 7}'),
    ("delete", "/api/agents/agt-ada/threads/s-1", ""),
    ("get", "/api/agents/agt-ada/threads?q=words", ""),
    ("get", "/api/agents/agt-ada/threads/s-1/runs", ""),
    ("get", "/api/agents/agt-ada/threads/s-1/messages", ""),
]


def changes_by(**who: Any) -> QuerySet[AuditEvent]:
    """Return the events of what somebody did; what they were refused is logged, too."""
    return AuditEvent.objects.filter(**who).exclude(action__startswith="refusal.")


def take_role(user: User) -> None:
    Grant.objects.create(user=user, role="viewer")
    people.remove_role(SYSTEM, user, user.grants.get(role="admin").pk)


def narrow_role(user: User) -> None:
    """Take away the agent of the changes, and leave another."""
    Grant.objects.create(user=user, role="admin", agent=Agent.objects.get(pk="agt-bruno"))
    people.remove_role(SYSTEM, user, user.grants.get(role="admin", agent=None).pk)


def end_session(user: User) -> None:
    sql("delete from django_session")


def change_password(user: User) -> None:
    sql("update studio_user set session_epoch = session_epoch + 1, password = 'other' where id = %s", user.pk)


WAYS_OUT: Final[dict[str, Callable[[User], Any]]] = {
    "deactivated": lambda user: people.deactivate(SYSTEM, user),
    "signed out everywhere": lambda user: people.sign_out_everywhere(SYSTEM, user),
    "this session ended": end_session,
    "password changed elsewhere": change_password,
    "role taken": take_role,
    "agent taken": narrow_role,
}


@pytest.fixture
def mallory(ada: Agent) -> User:
    """A second admin, somebody with a thread, and a key to be revoked."""
    write_thread(ada, "s-1")
    key, _ = keys.create(SYSTEM, name="spare", scopes=["agents:read"])
    ApiKey.objects.filter(pk=key.pk).update(prefix="spare000")
    user = new_person("admin", email="mallory@example.com")
    user.set_password(PASSWORD)
    user.save()
    return user


def just_before(monkeypatch: pytest.MonkeyPatch, module: Any, happens: Callable[[], Any]) -> None:
    """Let something happen after the request was let in, once it says who acts."""
    actor_of = module.actor_of

    def late(request: Any) -> Any:
        actor = actor_of(request)
        happens()
        return actor

    monkeypatch.setattr(module, "actor_of", late)


def send(client: Client, method: str, address: str, form: dict[str, Any]) -> Any:
    other = person("viewer")
    form = {name: str(other.grants.get().pk) if value == "own" else value for name, value in form.items()}
    return getattr(client, method)(address.format(other.pk), *([form] if form else []))


@pytest.mark.parametrize("way_out", WAYS_OUT)
@pytest.mark.parametrize(("method", "address", "form"), CHANGES, ids=[change[1] for change in CHANGES])
def test_a_change_in_flight_is_not_made(
    method: str, address: str, form: dict[str, Any], way_out: str, mallory: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way_out in ("role taken", "agent taken") and address.startswith(OWN):
        way_out = "deactivated"
    client = signed_in(mallory)
    just_before(monkeypatch, guard, lambda: WAYS_OUT[way_out](mallory))
    answer = send(client, method, address, form)
    assert answer.status_code == 403
    assert "Nothing was changed" in text(answer)
    assert not changes_by(actor_kind="person", actor_id=str(mallory.pk)).exists()
    assert not User.objects.filter(email="new@example.com").exists()
    assert not Agent.objects.filter(pk="agt-n").exists()
    assert sql("select count(*) from ag_agt_ada.agno_sessions") == [(1,)]


@pytest.mark.parametrize(("method", "address", "form"), CHANGES, ids=[change[1] for change in CHANGES])
def test_the_same_change_is_made_where_nothing_was_taken(
    method: str, address: str, form: dict[str, Any], mallory: User
) -> None:
    answer = send(signed_in(mallory), method, address, form)
    assert answer.status_code in (200, 201, 303)
    assert changes_by(actor_kind="person", actor_id=str(mallory.pk)).exists()


@pytest.mark.parametrize(("method", "address", "body"), CALLS, ids=[call[1] for call in CALLS])
@pytest.mark.parametrize("way_out", ["revoked", "expired", "its maker deactivated", "nothing"])
def test_a_keys_call_in_flight_is_refused_once_it_is_stopped(
    method: str, address: str, body: str, way_out: str, mallory: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = guard.Actor.person(mallory)
    key, secret = keys.create(maker, name="k", scopes=["admin"])
    ways: dict[str, Callable[[], Any]] = {
        "revoked": lambda: keys.revoke(SYSTEM, key),
        "expired": lambda: sql("update studio_apikey set expires_at = now() - interval '1 s' where id = %s", key.pk),
        "its maker deactivated": lambda: people.deactivate(SYSTEM, mallory),
        "nothing": lambda: None,
    }
    just_before(monkeypatch, auth, ways[way_out])
    content = {"data": body, "content_type": "application/json"} if body else {}
    answer = getattr(Client(), method)(address, headers={"x-api-key": secret}, **content)
    done = changes_by(actor_kind="key").exists()
    assert (answer.status_code == 401, done) == ((False, True) if way_out == "nothing" else (True, False))


def test_somebody_who_is_deactivated_while_they_sign_in_or_out(mallory: User, monkeypatch: pytest.MonkeyPatch) -> None:
    newcomer = guard.newcomer
    monkeypatch.setattr(guard, "newcomer", lambda *given: (newcomer(*given), people.deactivate(SYSTEM, mallory))[0])
    client = Client()
    assert client.post("/sign-in/", {"login": mallory.email, "password": PASSWORD}).status_code == 403
    assert client.get("/agents/").status_code == 302
    people.reactivate(SYSTEM, mallory)
    client = signed_in(mallory)
    just_before(monkeypatch, guard, lambda: people.deactivate(SYSTEM, mallory))
    assert client.post("/sign-out/").status_code == 302
    assert client.get("/agents/").status_code == 302
    assert not changes_by(actor_kind="person").exists()


def test_setting_a_password_does_not_make_somebody_active_again(mallory: User) -> None:
    """Nor does it write back anything else that was read before."""
    stale = User.objects.get(pk=mallory.pk)
    people.deactivate(SYSTEM, mallory)
    stale.set_password(NEW_PASSWORD)
    client = signed_in(person("admin"))
    admin = person("admin")
    sql("update studio_user set name = 'Renamed' where id = %s", admin.pk)
    form = {"old_password": PASSWORD, "new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}
    assert client.post("/account/password/", form).status_code == 303
    assert client.get("/agents/").status_code == 200
    assert User.objects.get(pk=admin.pk).name == "Renamed"
    assert not User.objects.get(pk=mallory.pk).is_active


def test_removing_factors_ends_the_persons_sessions(mallory: User) -> None:
    sql("insert into mfa_authenticator (user_id, type, data, created_at) values (%s, 'totp', '{}', now())", mallory.pk)
    client = signed_in(mallory)
    assert second_factor.remove(SYSTEM, mallory)
    assert client.get("/agents/").status_code == 302


class TestRaces:
    """Two browsers and a key do what they can, while everything is taken away from them."""

    ACTS: Final[list[tuple[str, dict[str, Any]]]] = [
        ("/people/{}/roles/add/", {"role": "support", "agent": ""}),
        ("/people/{}/sign-out/", {}),
        ("/people/{}/link/", {}),
        ("/agents/agt-storm/edit/", {"name": "Storm", "framework": "agno", "status": "ACTIVE"}),
        ("/keys/new/", {"name": "n", "scopes": ["admin"], "reach": "all", "days": "30"}),
    ]

    @pytest.fixture
    def boss(self, transactional_db: None) -> Iterator[User]:
        """An admin, and an agent that is there for the time of the test only."""
        agent = provision.create_agent(SYSTEM, agent_id="agt-storm", name="Storm")
        yield User.objects.get(email="admin@example.com")
        provision.remove_agent(SYSTEM, agent)

    def storm(self, mallory: User, take: Callable[[], Any]) -> list[int]:
        """Send requests by three threads until everything was taken and refused; return the answers."""
        target = new_person("viewer", email="target@example.com")
        taken, answers = threading.Event(), list[int]()

        def act(client: Client, start: int) -> None:
            client.raise_request_exception = False
            try:
                for number in range(start, start + 300):
                    address, form = self.ACTS[number % len(self.ACTS)]
                    form = {**form, "description": str(number)} if "edit" in address else form
                    answers.append(client.post(address.format(target.pk), form).status_code)
                    if taken.is_set() and answers[-1] in (302, 403):
                        return
            finally:
                connection.close()

        browsers = [signed_in(mallory) for _ in range(3)]
        threads = [threading.Thread(target=act, args=(one, start)) for start, one in enumerate(browsers)]
        for thread in threads:
            thread.start()
        while len(answers) < 4:
            threads[0].join(0.005)
        try:
            take()
        finally:
            taken.set()
            for thread in threads:
                thread.join()
        target.delete()
        return answers

    @pytest.mark.attack
    def test_nothing_is_done_after_a_deactivation(self, boss: User) -> None:
        late = answered = 0
        for number in range(rounds(3, 10)):
            mallory = new_person("admin", email=f"mallory-{number}@example.com")
            answers = self.storm(mallory, lambda who=mallory: people.deactivate(SYSTEM, who))
            answered += len(answers)
            end = AuditEvent.objects.get(action="person.deactivate", object=mallory.email).pk
            late += changes_by(actor_id=str(mallory.pk), id__gt=end).count()
            assert not set(answers) & {500, 503}
            assert not keys.usable().filter(creator=mallory).exists()
        print(f"{answered} requests, {late} events after the deactivation")
        assert late == 0

    @pytest.mark.attack
    def test_nothing_is_done_after_the_role_is_gone(self, boss: User) -> None:
        for number in range(rounds(2, 6)):
            mallory = new_person("admin", email=f"mallory-{number}@example.com")
            grant = mallory.grants.get().pk
            self.storm(mallory, lambda who=mallory, grant=grant: people.remove_role(SYSTEM, who, grant))
            end = AuditEvent.objects.get(action="person.role_remove", object=mallory.email).pk
            assert not changes_by(actor_id=str(mallory.pk), id__gt=end).exists()

    @pytest.mark.attack
    def test_two_who_sign_each_other_out_wait_for_each_other(self, boss: User) -> None:
        """Neither waits for what the other holds: a deadlock would be an error in one of them."""
        pair = [new_person("admin", email=f"{name}@example.com") for name in ("one", "two")]
        said: list[str] = []

        def sign_out(me: User, other: User) -> None:
            try:
                for _ in range(rounds(10, 50)):
                    me.refresh_from_db()
                    actor = guard.Actor.person(me, standing=guard.Standing(me.session_epoch))
                    try:
                        people.sign_out_everywhere(actor, other)
                    except guard.PermissionDenied:
                        said.append("refused")
                    else:
                        said.append("done")
            except (Refused, Exception) as error:
                said.append(repr(error))
            finally:
                connection.close()

        threads = [threading.Thread(target=sign_out, args=couple) for couple in (pair, pair[::-1])]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(said) <= {"done", "refused"}
        assert "done" in said
