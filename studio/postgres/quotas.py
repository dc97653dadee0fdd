"""What agents may take of the bundled server, and what stays for the studio: connections, disk, the log."""

from pathlib import Path
from typing import Any, Final

from psycopg import Connection
from psycopg.sql import SQL, Identifier

from studio.postgres.dsn import NAME, SUPERUSER, Parts
from studio.postgres.home import locate
from studio.postgres.rights import open_as

# A server before this version keeps connections for superusers only.
RESERVED_SINCE: Final = 16
RESERVED: Final = "50"
SETTINGS: Final = {
    # a client that does not say who it is holds a connection meanwhile
    "authentication_timeout": "5s",
    # of each session; the studio's own have no limit
    "temp_file_limit": "512MB",
    # As JSON, so that nobody's name or text can look like a line of its own. The studio removes old files. No statement
    # and no row is logged, because they hold what users said to their agents.
    "logging_collector": "on",
    "log_destination": "jsonlog",
    "log_filename": "postgres-%Y-%m-%d-%H%M%S.log",
    "log_rotation_age": "1d",
    "log_rotation_size": "10MB",
    "log_timezone": "UTC",
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
# of ten megabytes each
LOG_FILES: Final = 10

# Of a session that has logged in, whoever it belongs to, the log says nothing: errors, notices and what a plan is
# printed to hold texts of the agent's choice, of any length. Only a superuser may change these settings.
_SILENT = "alter role all set log_min_messages = 'panic'"
# Of the studio's own no errors, whose details hold rows; a statement only where log_statement was set on purpose.
_OWN = """
    alter role {studio} set log_min_messages = 'log';
    alter role {studio} set temp_file_limit = '-1';
    alter role {superuser} set log_min_messages = 'warning';
    alter role {superuser} set temp_file_limit = '-1'
"""
# Counts, sizes and locks of others' tables. Nothing that programs ask a server for its tables' columns uses them.
_NO_STATISTICS = """
    do $$
    declare one text;
    begin
        for one in
            select format('select on %s', c.oid::regclass) from pg_class c
            where c.relnamespace = 'pg_catalog'::regnamespace and c.relkind = 'v'
                and (c.relname ~ '^pg_stat(io)?_' and c.relname <> 'pg_stat_activity' or c.relname = 'pg_locks')
            union all
            select format('execute on function %s', p.oid::regprocedure) from pg_proc p
            where p.pronamespace = 'pg_catalog'::regnamespace
                and (p.proname ~ '^pg_stat_get_' and p.proname !~ '^pg_stat_get_(activity|backend_)'
                    or p.proname ~ '^pg_(total_relation|relation|table|indexes|database|tablespace)_size$'
                    or p.proname = 'pg_lock_status')
        loop
            execute format('revoke %s from public', one);
            execute format('grant %s to {studio}', one);
        end loop;
    end $$
"""


def set_limits(superuser: Parts) -> None:
    """Set them for every role but the studio's and the superuser; safe to repeat."""
    with open_as(superuser, "postgres") as connection:
        connection.execute(_SILENT)
        connection.execute(SQL(_OWN).format(studio=Identifier(NAME), superuser=Identifier(SUPERUSER)))
        if connection.info.server_version >= RESERVED_SINCE * 10_000:
            connection.execute(SQL("grant pg_use_reserved_connections to {}").format(Identifier(NAME)))
        # to say who holds a lock, and since when
        connection.execute(SQL("grant pg_read_all_stats to {}").format(Identifier(NAME)))
        _close_statistics(connection)
    # template1 too, because new databases are copies of it
    for name in ("template1", NAME):
        with open_as(superuser, name) as connection:
            _close_statistics(connection)


def trim_log(data_dir: Path) -> None:
    """Remove all but the newest files of the server's log, in each of its formats."""
    for suffix in (".json", ".log"):
        files = sorted((locate(data_dir) / "log").glob(f"postgres-*{suffix}"), key=_changed)
        for old in files[:-LOG_FILES]:
            old.unlink(missing_ok=True)


def _close_statistics(connection: Connection[Any]) -> None:
    connection.execute(SQL(_NO_STATISTICS).format(studio=Identifier(NAME)))


def _changed(file: Path) -> float:
    # it may have gone meanwhile
    return file.stat().st_mtime if file.exists() else 0
