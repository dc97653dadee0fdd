"""What a person or a model wrote into a thread is shown to nobody who may not read it, and no search tells of it."""

import json

import pytest
from django.test import Client
from django_tenants.utils import schema_context

from memory.index import feed
from memory.index.threads import Filter
from memory.services.deletion import describe, matching
from studio.models import Agent
from tests.calls import Api
from tests.reading import html
from tests.safety.routes import routes, sample
from tests.world import HTMX, LAYOUTS, NOW, message, person, run, signed_in, sql, write_thread

# the searched form of the third differs from the stored one
PLANTED = ("zanzibar", "quagmire", "ÉTOILE-polaire", "xylophone", "wombat", "nimbus")
NAME, ASKED, FOLDED, ANSWERED, SUMMARY, STATE = PLANTED
SESSION = {
    "session_data": {"session_name": f"{NAME} {FOLDED}", "session_state": {"a": STATE}},
    "summary": {"summary": SUMMARY, "topics": [SUMMARY]},
    "metadata": {"note": STATE},
}
LIST_ONLY = ("viewer", "operator")


@pytest.fixture(params=[*LAYOUTS, "not indexed"])
def planted(ada: Agent, request: pytest.FixtureRequest) -> Agent:
    said = [message("user", ASKED), message("assistant", ANSWERED)]
    layout = "column" if request.param == "not indexed" else request.param
    for n, session in enumerate(("s-1", "s-2")):
        runs = [run(f"{session}-1", ASKED, ANSWERED, messages=said)]
        write_thread(ada, session, runs, layout=layout, at=NOW - n, **SESSION)
    if request.param == "not indexed":
        with schema_context(ada.schema_name):
            sql("delete from memory_thread where session_id = 's-2'")
            sql("insert into memory_backlog (session_id, error) values ('s-2', 'broken')")
            feed.fold_all()
    # somebody who may read has searched and read, which the log says
    support = signed_in(person("support"))
    support.get(f"/agents/{ada.pk}/threads/", {"q": NAME})
    support.get(f"/agents/{ada.pk}/threads/s-1/")
    Api.with_key("agents:read", "threads:read", name="reader").get(f"agents/{ada.pk}/threads?q={ASKED}")
    return ada


def found(text: str) -> list[str]:
    return [word for word in PLANTED if word.lower() in text.lower() or json.dumps(word).strip('"') in text]


@pytest.mark.parametrize("role", LIST_ONLY)
def test_no_address_shows_it_to_whom_sees_lists_only(planted: Agent, role: str) -> None:
    client = signed_in(person(role))
    values = {**sample(planted.pk, "s-1"), "run_id": "s-1-1"}
    # what leaves the session would end it
    paths = [one.path(**values) for one in routes() if "logout" not in one.route and "sign-out" not in one.route]
    assert f"/agents/{planted.pk}/threads/" in paths
    for path in paths:
        for headers in ({}, HTMX):
            answer = client.get(path, headers=headers)
            assert answer.status_code < 500, path
            assert found(html(answer)) == [], path
    assert client.get(f"/agents/{planted.pk}/threads/").status_code == 200


def rows(client: Client, agent: Agent, **query: str) -> str:
    """The rows of a list and their number, without the words that were searched."""
    return html(client.get(f"/agents/{agent.pk}/threads/", query, headers=HTMX)).partition('id="rows"')[2]


@pytest.mark.parametrize("role", LIST_ONLY)
@pytest.mark.parametrize("sort", ["activity", "created", "runs", "tokens"])
def test_no_search_tells_of_it(planted: Agent, role: str, sort: str) -> None:
    client = signed_in(person(role))
    assert "s-1" in rows(client, planted, q="s-1", sort=sort)
    for word in (*PLANTED, "etoile"):
        said = rows(client, planted, q=word, sort=sort)
        assert "No thread matches" in said, word
        assert "s-1" not in said
        assert rows(client, planted, q=word[:4], sort=sort).count("No thread matches") == 1


def test_no_key_without_the_right_gets_it(planted: Agent) -> None:
    api = Api.with_key("agents:read", name="lists")
    here = f"agents/{planted.pk}"
    for path in ("threads", "threads?sort=runs", "threads/s-1", "threads/s-2", "users", "memory", ""):
        answer = api("GET", f"{here}/{path}".rstrip("/"))
        assert found(json.dumps(answer.body, ensure_ascii=False)) == [], path
    for word in (*PLANTED, "etoile"):
        answer = api.client.get(f"/api/{here}/threads", {"q": word}).json()
        assert (answer["items"], answer["total"]) == ([], 0)
    (first,) = api.get(f"{here}/threads?q=s-1")["items"]
    assert (first["name"], first["title"]) == (None, "s-1")
    assert api("GET", f"{here}/threads?include=runs").status == 403


def test_who_deletes_and_does_not_read_is_not_asked_by_it(planted: Agent) -> None:
    with_content = describe(planted, ["s-1", "s-2"], None, content=True)
    assert NAME in str(with_content.titles)
    assert describe(planted, ["s-1", "s-2"], None, content=False).titles == ["s-1", "s-2"]
    assert matching(planted, Filter(q=NAME), content=False) == []


def test_who_may_read_sees_it(planted: Agent) -> None:
    client = signed_in(person("support"))
    assert NAME in rows(client, planted)
    assert NAME in rows(client, planted, q="etoile")
