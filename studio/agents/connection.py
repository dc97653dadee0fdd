"""The database address that an agent is handed: where it is for others, and the agent's own role."""

from urllib.parse import quote, urlencode

from django.conf import settings
from django.db import connection, transaction

from studio import postgres, vault
from studio.agents import database_role
from studio.audit.record import Actor, record
from studio.models import Agent, DatabaseRole
from studio.postgres.home import socket_dir

PASSED_ON = ("sslmode", "sslrootcert")


def reveal(actor: Actor, agent: Agent) -> str:
    """Return the agent's DSN and log that it was handed out; raises database_role.Unavailable."""
    role = database_role.find(agent)
    password = vault.decrypt(role.password_encrypted)
    if password is None:
        raise database_role.Unavailable(
            "SECRET_KEY was changed since this password was stored. Run: manage.py grant_agents"
        )
    with transaction.atomic():
        record(actor, "database.reveal", agent=agent, object=role.name)
    return _uri(role, password)


def addresses() -> dict[str, str]:
    """Return what a program needs to find the studio, beside its key."""
    return {"api_url": f"{settings.PUBLIC_URL}/api", "organization": settings.ORGANIZATION_ID}


def address(role: DatabaseRole) -> str:
    """Return the DSN with dots for the password, to be shown."""
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
    """Write the role's name. xpander-sdk replaces "postgresql" wherever it stands in the DSN, so not there."""
    return quote(name).replace("postgresql", "%70ostgresql")


def is_bundled() -> bool:
    """Tell whether the studio runs on the Postgres that comes with it."""
    host = str(connection.settings_dict["HOST"])
    return host.startswith("/") and host == str(socket_dir(postgres.locate(settings.DATA_DIR)))


def _place() -> tuple[str, str]:
    """Return host and port for agents: as set, or the bundled server's by TCP, or the studio's own."""
    host, port = str(connection.settings_dict["HOST"]), str(connection.settings_dict["PORT"])
    if is_bundled():
        host, port = "127.0.0.1", str(postgres.tcp_port(settings.DATA_DIR))
    return settings.PUBLIC_DATABASE_HOST or host or "localhost", settings.PUBLIC_DATABASE_PORT or port or "5432"
