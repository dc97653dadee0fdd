"""What an agent's schema lacks, compared with a new agent's."""

from collections.abc import Iterator
from typing import Final

from django.db import connection, transaction
from psycopg import sql

from memory.schema.run import FILES, statements

# Each thing by its kind and its name. An index that is not valid and a trigger that is off are as good as none, and
# of a function the body counts.
_THINGS: Final = """
    select n.nspname, kind, name
    from pg_namespace n cross join lateral (
        select case c.relkind when 'S' then 'sequence' else 'table' end, c.relname::text
        from pg_class c where c.relnamespace = n.oid and c.relkind in ('r', 'p', 'S')
        union all
        select 'column', c.relname || '.' || a.attname
        from pg_class c join pg_attribute a on a.attrelid = c.oid
        where c.relnamespace = n.oid and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
        union all
        select 'index', c.relname::text
        from pg_class c join pg_index i on i.indexrelid = c.oid
        where c.relnamespace = n.oid and i.indisvalid and i.indisready
        union all
        select 'trigger', t.tgname || ' on ' || c.relname
        from pg_trigger t join pg_class c on c.oid = t.tgrelid
        where c.relnamespace = n.oid and not t.tgisinternal and t.tgenabled <> 'D'
        union all
        select 'function', p.proname || '(' || replace(oidvectortypes(p.proargtypes), n.nspname || '.', '') || ')'
            || '#' || md5(replace(p.prosrc, '"' || n.nspname || '".', ''))
        from pg_proc p where p.pronamespace = n.oid
    ) thing (kind, name)
    where n.nspname = any(%(schemas)s)
"""
# no agent's id makes this name
_MODEL: Final = "studio_model_of_agents"
# Agno drops it when all runs are in their own table
_OPTIONAL: Final = {("column", "agno_sessions.runs")}
_TOGETHER: Final = 50

Thing = tuple[str, str]


def missing(schemas: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Return each schema that lacks something, with what it lacks in words."""
    wanted = _model()
    for start in range(0, len(schemas), _TOGETHER):
        some = schemas[start : start + _TOGETHER]
        held = _things(some)
        for schema in some:
            # an agent whose schema is not there is not provisioned, and pages say so
            if held[schema] and (lacks := sorted(wanted - held[schema])):
                yield schema, [f"{kind} {name.partition('#')[0]}" for kind, name in lacks]


def _model() -> set[Thing]:
    """Return what a new agent's schema holds, by making one that is never committed."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql.SQL("create schema {}").format(sql.Identifier(_MODEL)))
        for statement in (one for name in FILES for one in statements(name, _MODEL)):
            cursor.execute(statement)
        wanted = _things([_MODEL])[_MODEL]
        transaction.set_rollback(True)
    return wanted - _OPTIONAL


def _things(schemas: list[str]) -> dict[str, set[Thing]]:
    found: dict[str, set[Thing]] = {schema: set() for schema in schemas}
    with connection.cursor() as cursor:
        cursor.execute(_THINGS, {"schemas": schemas})
        for schema, kind, name in cursor.fetchall():
            found[schema].add((kind, name))
    return found
