"""Secrets are in the one place that is meant for them: no log, page, row, audit event or other answer has them."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from tests.markup import Page
from tests.server import ServedAgent, StudioServer, new_database, serving

MOST_PAGES = 150
NOT_FOLLOWED = re.compile(r"/sign-out/|/sign-in/")
SEED = """
from tests.world import run, write_thread
from studio.models import Agent
agent = Agent.objects.get(pk="agt-canary")
for number in range(3):
    write_thread(agent, f"t-{number}", [run(f"r-{number}")])
"""


@dataclass
class Flock:
    """A studio whose secrets are known, and what it said in all the places where they could be."""

    server: StudioServer
    agent: ServedAgent
    secrets: dict[str, str]
    answers: dict[str, str] = field(default_factory=dict)

    def leaks(self, texts: dict[str, str]) -> list[str]:
        return [
            f"{name} in {place}" for place, text in texts.items() for name, one in self.secrets.items() if one in text
        ]


@pytest.fixture(scope="module")
def flock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flock]:
    """Use everything that has to do with a secret, also wrongly, and go through all pages."""
    with (
        new_database() as dsn,
        serving(dsn, tmp_path_factory.mktemp("canary"), LOG_LEVEL="DEBUG", API_REQUESTS_PER_MINUTE="100000") as server,
    ):
        agent = server.create_agent("agt-canary")
        server.manage("shell", "--no-imports", "--command", SEED)
        key = server.manage("api_key", "create", "--name", "canary", "--scope", "admin").splitlines()[-1]
        admin = server.client()
        link = server.sign_in_link()
        httpx.get(link)
        # ends the one before
        unused = server.sign_in_link()
        secrets = {
            "an API key's secret": key.rpartition("_")[2],
            "a link that waits": unused.rstrip("/").rpartition("/")[2],
            "a link that was opened": link.rstrip("/").rpartition("/")[2],
            "an agent's first password": urlsplit(agent.dsn).password or "",
            "the studio's database password": urlsplit(dsn).password or "",
            "SECRET_KEY": server.env["SECRET_KEY"],
        }
        flock = Flock(server, agent, secrets)
        with httpx.Client(base_url=f"{server.url}/api", headers={"x-api-key": key}, timeout=60) as api:
            rotate(admin)
            dsn = api.get("/agents/agt-canary/db").json()["connection_uri"]["uri"]
            secrets["an agent's second password"] = urlsplit(dsn).password or ""
            use(flock, api)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(agent.dsn)  # with the password that was rotated away
        crawl(flock, admin)
        yield flock


def rotate(admin: httpx.Client) -> None:
    page = admin.get("/agents/agt-canary/connection/password/")
    form = next(form for form in Page(page.text).forms if form.method == "post" and not form.action)
    assert "was changed" in form.send(admin, page).text


def use(flock: Flock, api: httpx.Client) -> None:
    """Call all of the API but the one that hands out a password, rightly and wrongly."""
    for path, methods in api.get("/openapi.json").json()["paths"].items():
        place = path.removeprefix("/api").format(agent_id="agt-canary", session_id="t-1")
        for method in set(methods) - {"delete"}:
            for body in ("{}", "{", '{"name": 7}'):
                if not place.endswith("/db"):
                    flock.answers[f"{method} {place} {body}"] = seen(api.request(method, place, content=body))
    flock.answers["delete"] = seen(api.delete("/agents/agt-canary/threads/t-2"))
    key = api.headers["x-api-key"]
    for wrong in (key[:-1], key + "x", key.upper(), f"Bearer {key}"):
        flock.answers[f"key {len(wrong)}"] = seen(api.get("/agents/list", headers={"x-api-key": wrong}))
    flock.answers["as a parameter"] = seen(api.get("/agents/list", headers={"x-api-key": ""}))
    # an id that is taken, and a role's name that is
    flock.answers["again"] = seen(api.post("/agents", json={"id": "agt-canary", "name": "again"}))


def seen(response: httpx.Response) -> str:
    return f"{response.headers}{response.text}"


def crawl(flock: Flock, admin: httpx.Client) -> None:
    """Open every page that leads on from the first, and those that nothing leads to."""
    waiting, known = ["/agents/", "/keys/", "/people/", "/audit/", "/api/docs", "/agents/agt-canary/connection/"], set()
    while waiting and len(known) < MOST_PAGES:
        address = waiting.pop(0)
        if address in known or NOT_FOLLOWED.search(address):
            continue
        known.add(address)
        response = admin.get(address)
        flock.answers[address] = seen(response)
        if "text/html" in response.headers.get("content-type", ""):
            waiting += [urlsplit(link).path for link in Page(response.text).links if link.startswith("/")]


def test_they_are_strong_enough_to_be_found_by_chance_only(flock: Flock) -> None:
    assert all(len(secret) >= 20 for secret in flock.secrets.values())
    assert len(set(flock.secrets.values())) == 7


def test_each_is_found_where_it_is_meant_to_be(flock: Flock) -> None:
    """The search below would find them: one place that has the password, and one that has the key's."""
    assert flock.leaks({"the DSN": flock.agent.dsn}) == ["an agent's first password in the DSN"]


def test_no_page_and_no_answer_has_them(flock: Flock) -> None:
    assert len(flock.answers) > 50
    assert flock.leaks(flock.answers) == []


def test_the_servers_output_has_none(flock: Flock) -> None:
    assert flock.leaks({"the log": "\n".join(flock.server.said)}) == []


def test_no_row_of_any_table_has_them(flock: Flock) -> None:
    rows = {}
    with psycopg.connect(flock.server.dsn) as connection:
        tables = connection.execute(
            "select schemaname, tablename from pg_tables where schemaname in ('public', %s)", [flock.agent.schema]
        ).fetchall()
        for schema, table in tables:
            query = SQL("select coalesce(string_agg(t::text, ' '), '') from {} t").format(Identifier(schema, table))
            found = connection.execute(query).fetchone()
            rows[f"{schema}.{table}"] = found[0] if found else ""
    assert {"public.studio_auditevent", "public.studio_apikey", "public.studio_databaserole"} <= set(rows)
    assert all(rows[f"public.{name}"] for name in ("studio_auditevent", "studio_apikey", "studio_databaserole"))
    assert flock.leaks(rows) == []


def test_the_log_of_postgres_has_none(flock: Flock) -> None:
    with psycopg.connect(os.environ["TEST_SUPERUSER_URL"]) as connection:
        (place,) = connection.execute("select current_setting('log_directory')").fetchone() or ("",)
    logs = {str(path): path.read_text(errors="replace") for path in Path(place).iterdir()}
    assert any("password authentication failed" in text for text in logs.values())
    assert flock.leaks(logs) == []


def test_no_file_beside_the_database_has_them(flock: Flock) -> None:
    """SECRET_KEY and the database's password come from the environment here, so no file needs them."""
    home = Path(flock.server.env["DATA_DIR"])
    files = {str(path): path.read_bytes().decode("latin-1") for path in home.rglob("*") if path.is_file()}
    assert flock.leaks(files) == []
