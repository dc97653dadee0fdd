"""The page that says how an agent's code reaches the studio and its database, and what is in the DSN."""

from pathlib import Path
from unittest import mock
from urllib.parse import unquote, urlsplit

import psycopg.conninfo
import pytest
from django.conf import LazySettings
from django.db import connection as database
from django.test import Client

from studio import postgres, vault
from studio.agents import connection, database_role, provision
from studio.audit.record import Actor
from studio.models import Agent, AuditEvent, DatabaseRole, User
from tests.reading import links, text
from tests.world import person, signed_in

PAGE, ROTATE = "/agents/agt-ada/connection/", "/agents/agt-ada/connection/password/"


def password_of(agent: Agent) -> str:
    return vault.decrypt(DatabaseRole.objects.get(agent=agent).password_encrypted) or ""


def revealed(agent: Agent) -> str:
    return connection.reveal(Actor.system(), agent)


class TestAddress:
    def test_it_is_the_studios_own_with_the_agents_role(self, ada: Agent) -> None:
        parts, own = urlsplit(revealed(ada)), database.settings_dict
        assert (parts.username, parts.password) == (ada.database_role.name, password_of(ada))
        assert (parts.hostname, str(parts.port), parts.path) == (own["HOST"], str(own["PORT"]), f"/{own['NAME']}")
        assert parts.query == ""

    def test_agents_may_be_sent_to_another_name_and_port(self, ada: Agent, settings: LazySettings) -> None:
        settings.PUBLIC_DATABASE_HOST, settings.PUBLIC_DATABASE_PORT = "db.example.com", "6543"
        assert urlsplit(revealed(ada)).netloc.endswith("@db.example.com:6543")
        settings.PUBLIC_DATABASE_HOST = "2001:db8::1"
        assert psycopg.conninfo.conninfo_to_dict(revealed(ada))["host"] == "2001:db8::1"

    def test_the_bundled_postgres_is_reached_by_tcp(self, ada: Agent, settings: LazySettings, tmp_path: Path) -> None:
        settings.DATA_DIR = tmp_path
        place = {**database.settings_dict, "HOST": postgres.dsn_parts(settings.DATA_DIR)["host"], "PORT": "5432"}
        with mock.patch.object(database, "settings_dict", place):
            parts = urlsplit(connection._uri(ada.database_role, "x"))
        assert (parts.hostname, parts.port) == ("127.0.0.1", postgres.tcp_port(settings.DATA_DIR))

    def test_a_socket_of_another_postgres_is_kept(self, ada: Agent) -> None:
        place = {**database.settings_dict, "HOST": "/var/run/postgresql", "PORT": "5433"}
        with mock.patch.object(database, "settings_dict", place):
            told = psycopg.conninfo.conninfo_to_dict(connection._uri(ada.database_role, "x"))
        assert (told["host"], told["port"], told["user"]) == ("/var/run/postgresql", "5433", ada.database_role.name)

    def test_the_demand_for_tls_is_passed_on(self, ada: Agent) -> None:
        options = {**database.settings_dict["OPTIONS"], "sslmode": "verify-full", "sslrootcert": "/etc/ca.pem"}
        with mock.patch.object(database, "settings_dict", {**database.settings_dict, "OPTIONS": options}):
            told = psycopg.conninfo.conninfo_to_dict(connection._uri(ada.database_role, "x"))
        assert (told["sslmode"], told["sslrootcert"]) == ("verify-full", "/etc/ca.pem")

    def test_the_sdk_finds_its_word_only_at_the_beginning(self, ada: Agent) -> None:
        """xpander-sdk replaces "postgresql" throughout the DSN, to name a driver."""
        role = DatabaseRole(name="ag_my_postgresql_bot")
        uri = connection._uri(role, "x")
        assert uri.count("postgresql") == 1
        assert unquote(urlsplit(uri).username or "") == role.name


class TestPassword:
    def test_it_is_long_random_and_needs_no_quoting(self) -> None:
        made = {database_role.new_password() for _ in range(50)}
        assert len(made) == 50
        assert all(len(one) == 32 and one.isalnum() and one.isascii() for one in made)

    def test_it_is_kept_encrypted_with_the_secret_key(self, ada: Agent, settings: LazySettings) -> None:
        stored, password = DatabaseRole.objects.get(agent=ada).password_encrypted, password_of(ada)
        assert password not in stored
        settings.SECRET_KEY = "another " * 8
        assert vault.decrypt(stored) is None

    def test_a_retired_secret_key_still_opens_it(self, ada: Agent, settings: LazySettings) -> None:
        password = password_of(ada)
        settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another " * 8
        assert password_of(ada) == password
        assert database_role.ensure(ada)
        settings.SECRET_KEY_FALLBACKS = []
        assert password_of(ada) == password

    def test_after_a_change_of_the_secret_key_mending_makes_a_new_one(self, ada: Agent, settings: LazySettings) -> None:
        password = password_of(ada)
        settings.SECRET_KEY = "another " * 8
        with pytest.raises(database_role.Unavailable, match=r"SECRET_KEY was changed .* manage.py grant_agents"):
            revealed(ada)
        database_role.ensure(ada)
        assert password_of(ada) not in ("", password)
        assert password_of(ada) in revealed(ada)

    def test_mending_keeps_the_one_that_was_handed_out(self, ada: Agent) -> None:
        password = password_of(ada)
        database_role.ensure(ada)
        assert password_of(ada) == password


class TestPage:
    def test_it_shows_the_address_without_the_password(self, page: Client, ada: Agent) -> None:
        answer = page.get(PAGE)
        assert f"postgresql://{ada.database_role.name}:••••••@" in text(answer)
        assert password_of(ada) not in answer.content.decode()
        assert not AuditEvent.objects.filter(action="database.reveal").exists()

    def test_showing_the_password_is_an_event(self, page: Client, ada: Agent, admin: User) -> None:
        answer = page.post(PAGE)
        assert password_of(ada) in answer.content.decode()
        assert "no-store" in answer["Cache-Control"]
        event = AuditEvent.objects.get(action="database.reveal")
        assert (event.actor, event.agent_id) == (str(admin), "agt-ada")
        assert password_of(ada) not in str(vars(event))

    def test_it_says_what_code_needs(self, page: Client, ada: Agent, settings: LazySettings) -> None:
        settings.PUBLIC_URL = "https://studio.example.com"
        assert "export XPANDER_BASE_URL=https://studio.example.com/api" in text(page.get(PAGE))

    def test_it_says_what_to_grant_where_there_is_no_role(self, page: Client, ada: Agent) -> None:
        DatabaseRole.objects.all().delete()
        with mock.patch.object(database_role, "may_create_roles", return_value=False):
            answer = page.post(PAGE)
        assert answer.status_code == 200
        assert 'ALTER ROLE "studio" CREATEROLE; and then:' in text(answer)
        assert "and then: .venv/bin/python manage.py grant_agents" in answer.content.decode()
        assert "Run: .venv/bin/python manage.py grant_agents" in page.get(PAGE).content.decode()

    def test_it_is_a_tab_for_those_who_may_connect(self, page: Client, ada: Agent) -> None:
        assert f'<a href="{PAGE}" aria-current="page">Connection</a>' in page.get(PAGE).content.decode()
        assert f'<a href="{PAGE}" >Connection</a>' in page.get("/agents/agt-ada/threads/").content.decode()
        assert PAGE not in links(signed_in(person("viewer")).get("/agents/agt-ada/threads/"))

    def test_the_password_can_be_shown_again_and_nothing_says_otherwise(self, page: Client, ada: Agent) -> None:
        for _ in range(2):
            said = text(page.post(PAGE))
            assert "The audit log notes that you have seen it." in said
            assert "once." not in said.partition("Database")[2].replace("connections at once.", "")

    def test_the_edit_page_leads_to_it(self, page: Client, ada: Agent) -> None:
        assert PAGE in page.get("/agents/agt-ada/edit/").content.decode()


class TestRotate:
    def test_it_asks_first_and_then_sets_a_new_password(self, page: Client, ada: Agent, admin: User) -> None:
        before = password_of(ada)
        assert "Change Ada's agent's database password?" in text(page.get(ROTATE))
        assert password_of(ada) == before
        answer = page.post(ROTATE, follow=True)
        assert answer.redirect_chain == [(PAGE, 303)]
        assert "The password was changed." in text(answer)
        assert password_of(ada) != before
        assert AuditEvent.objects.get(action="database.rotate").actor == str(admin)

    def test_it_says_why_it_cannot(self, page: Client, ada: Agent) -> None:
        DatabaseRole.objects.all().delete()
        answer = page.post(ROTATE, follow=True)
        assert "Run: .venv/bin/python manage.py grant_agents" in answer.content.decode()
        assert not AuditEvent.objects.filter(action="database.rotate").exists()


@pytest.mark.parametrize("address", [PAGE, ROTATE])
class TestEveryPage:
    def test_it_asks_strangers_to_sign_in(self, db: None, address: str) -> None:
        assert Client().get(address).headers["location"] == f"/sign-in/?next={address}"

    def test_an_unknown_agent_is_not_found(self, page: Client, address: str) -> None:
        assert page.get(address.replace("ada", "nobody")).status_code == 404

    def test_other_frameworks_have_none(self, page: Client, address: str) -> None:
        provision.create_agent(Actor.system(), agent_id="agt-chain", name="Chain", framework="langchain")
        assert page.get(address.replace("agt-ada", "agt-chain")).status_code == 404
        assert page.post(address.replace("agt-ada", "agt-chain")).status_code == 404
