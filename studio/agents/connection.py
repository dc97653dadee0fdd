"""The DSN that an agent connects with: the database's public address and the agent's own role."""

from urllib.parse import quote, urlencode

from django.conf import settings
from django.db import connection, transaction

from studio import postgres, vault
from studio.agents import database_role
from studio.audit.record import Actor, record
from studio.models import Agent, DatabaseRole
from studio.postgres.home import socket_dir
from studio.running import MANAGE

PASSED_ON = ("sslmode", "sslrootcert")


def reveal(actor: Actor, agent: Agent) -> str:
    """Return the agent's DSN and log that it was revealed; raise database_role.Unavailable if there is none."""
    role = database_role.find(agent)
    password = vault.decrypt(role.password_encrypted)
    if password is None:
        raise database_role.Unavailable(
            f"SECRET_KEY was changed since this password was stored. Run: {MANAGE} grant_agents"
        )
    with transaction.atomic():
        record(actor, "database.reveal", agent=agent, object=role.name)
    return _uri(role, password)


def addresses() -> dict[str, str]:
    """Return the API's address and the organization's id, which a program needs beside its key."""
    return {"api_url": f"{settings.PUBLIC_URL}/api", "organization": settings.ORGANIZATION_ID}


def address(role: DatabaseRole) -> str:
    """Return the DSN with dots in place of the password."""
    return _uri(role, "••••••")


def _uri(role: DatabaseRole, password: str) -> str:
    host, port = _place()
    database = quote(str(connection.settings_dict["NAME"]), safe="")
    options = {key: connection.settings_dict["OPTIONS"].get(key) for key in PASSED_ON}
    query = {key: value for key, value in options.items() if value}
    if host.startswith("/"):
        query, where = {"host": host, "port": port, **query}, ""
    else:
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return f"postgresql://{_user(role.name)}:{password}@{where}/{database}" + (f"?{urlencode(query)}" if query else "")


def _user(name: str) -> str:
    """Return a role's name as it stands in a URL."""
    # xpander-sdk replaces "postgresql" wherever it stands in a DSN, so it must not stand in the name
    return quote(name).replace("postgresql", "%70ostgresql")


def is_bundled() -> bool:
    """Tell whether the studio runs on the bundled Postgres."""
    host = str(connection.settings_dict["HOST"])
    return host.startswith("/") and host == str(socket_dir(postgres.locate(settings.DATA_DIR)))


def _place() -> tuple[str, str]:
    """Return host and port for agents: those of the settings, else the bundled server's TCP port, else the studio's."""
    host, port = str(connection.settings_dict["HOST"]), str(connection.settings_dict["PORT"])
    if is_bundled():
        host, port = "127.0.0.1", str(postgres.tcp_port(settings.DATA_DIR))
    return settings.PUBLIC_DATABASE_HOST or host or "localhost", settings.PUBLIC_DATABASE_PORT or port or "5432"
