"""Checks of the database, and the migrations that it lacks."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.core.management import call_command
from django.db import Error, connection
from django.db.migrations.loader import MigrationLoader
from django_tenants.utils import get_tenant_model
from psycopg import sql
from tqdm import tqdm

from studio.agents import provision
from studio.postgres.binaries import OLDEST
from studio.postgres.kept_files import StartFailure
from studio.serve.turn import only_one

SCHEMAS_A_QUERY = 200
PUBLIC = "public"

CHECK = """
    select current_database(), current_user,
        has_database_privilege(current_database(), 'create'),
        coalesce(has_schema_privilege(to_regnamespace('public'), 'usage'), false),
        coalesce(has_schema_privilege(to_regnamespace('public'), 'create'), false),
        pg_is_in_recovery(), current_setting('server_version_num')::int / 10000,
        current_setting('server_encoding')
"""

AGENTS = """
    select schema_name, to_regclass(format('%I.django_migrations', schema_name)) is not null
    from public.{agents}
    where to_regnamespace(quote_ident(schema_name)) is not null
    order by schema_name
"""


def check() -> None:
    """Raise StartFailure unless the database answers, is suitable, and grants the rights that the studio needs."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(CHECK)
            name, user, may_create, may_read, may_write, replica, version, encoding = cursor.fetchone()
    except Error as error:
        raise StartFailure(f"The database does not answer: {one_line(error)} (check DATABASE_URL).") from None
    if version < OLDEST:
        raise StartFailure(f"This is Postgres {version}: the studio needs {OLDEST} or newer.")
    if encoding != "UTF8":
        raise StartFailure(f"The database {name} stores {encoding}: make one with encoding UTF8 for the studio.")
    if replica:
        raise StartFailure(f"The database {name} is a read-only replica: set DATABASE_URL to its primary.")
    if not may_create:
        raise StartFailure(
            f"The role {user} may not create schemas in the database {name}, and each agent needs one: "
            f"run grant create on database {name} to {user}, as its owner."
        )
    if not may_read or (not may_write and unmigrated()):
        raise StartFailure(
            f"The role {user} may not make tables in the schema public of {name}: "
            f"run grant usage, create on schema public to {user}, as its owner."
        )


@dataclass(frozen=True)
class Migrated:
    """The number of schemas that were migrated, and the error of each other one, by agent id."""

    schemas: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def migrate() -> Migrated:
    """Run the missing migrations, first of the schema public, then agent by agent.

    An agent that fails does not stop the others. Each schema that is done stays done, so the next call goes
    on with the rest.
    """
    if not unmigrated():
        return Migrated()
    with _patient(), only_one():
        # asked again, because another machine may have migrated while this one waited
        left, done = unmigrated(), 0
        if left == [PUBLIC]:
            call_command("migrate_schemas", shared=True, interactive=False, verbosity=0)
            # agents are found in a table of public
            left, done = unmigrated(), 1
        agents, failed = _agents_of(left), {}
        # None shows the bar on a terminal only
        for schema in tqdm(left, desc="Updating agents", unit=" agents", disable=None if left else True):
            try:
                provision.migrate(schema)
            except Exception as error:
                failed[agents.get(schema, schema)] = one_line(error)
                connection.close()
    return Migrated(done + len(left) - len(failed), failed)


def _agents_of(schemas: list[str]) -> dict[str, str]:
    found = get_tenant_model().objects.filter(schema_name__in=schemas)
    return dict(found.values_list("schema_name", "pk"))


def unmigrated() -> list[str]:
    """Return the schemas that lack migrations; only public if that is one of them."""
    # By SQL for hundreds of agents at once: migrate_schemas takes 0.1 s for each, also if nothing is missing.
    wanted = [".".join(key) for key in MigrationLoader(None).graph.nodes]
    with connection.cursor() as cursor:
        cursor.execute("select to_regclass('public.django_migrations') is not null")
        if not cursor.fetchone()[0] or _applied([PUBLIC], wanted)[PUBLIC] < len(wanted):
            return [PUBLIC]
        cursor.execute(sql.SQL(AGENTS).format(agents=sql.Identifier(get_tenant_model()._meta.db_table)))
        agents = dict(cursor.fetchall())
    known = [schema for schema, has_table in agents.items() if has_table]
    wanted = [name for name in wanted if name.startswith(f"{provision.TENANT_APP}.")]
    applied: dict[str, int] = {}
    for start in range(0, len(known), SCHEMAS_A_QUERY):
        applied |= _applied(known[start : start + SCHEMAS_A_QUERY], wanted)
    return [schema for schema in agents if applied.get(schema, 0) < len(wanted)]


def _applied(schemas: list[str], wanted: list[str]) -> dict[str, int]:
    one = """
        select {name}, (
            select count(distinct (app, name))
            from {schema}.django_migrations
            where app || '.' || name in (select key from wanted)
        )
    """
    counts = sql.SQL(" union all ").join(
        sql.SQL(one).format(name=sql.Literal(schema), schema=sql.Identifier(schema)) for schema in schemas
    )
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("with wanted as (select unnest(%s::text[]) as key) {}").format(counts), [wanted])
        return dict(cursor.fetchall())


@contextmanager
def _patient() -> Iterator[None]:
    """Connect without a statement timeout, because a migration may build an index over millions of rows."""
    options = connection.settings_dict["OPTIONS"]
    before = dict(options)
    options["options"] = "-c lock_timeout=60000"
    connection.close()
    try:
        yield
    finally:
        connection.close()
        options.clear()
        options.update(before)


def one_line(error: BaseException) -> str:
    """Return an error's text without line breaks."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
