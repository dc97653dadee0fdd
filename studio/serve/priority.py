"""Agents' sessions on the bundled server get the processor when nobody else wants it.

Postgres has no limit for it: twenty agents that sort and count without end would leave a sign-in, which hashes a
password, a hundredth of the machine.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from django.db import connection

LOWEST: Final = 19
# with those that help a session, under its role
_SESSIONS: Final = """
    select a.pid from pg_stat_activity a join public.studio_databaserole r on r.name = a.usename
"""


def lower_agents() -> None:
    """Lower the priority of the processes of agents' sessions; they cannot raise it."""
    with connection.cursor() as cursor:
        cursor.execute(_SESSIONS)
        pids = [pid for (pid,) in cursor.fetchall()]
    for pid in pids:
        # it may have ended meanwhile
        with suppress(OSError):
            if os.getpriority(os.PRIO_PROCESS, pid) < LOWEST:
                os.setpriority(os.PRIO_PROCESS, pid, LOWEST)
                # where Linux shares the processor by sessions of processes, of which each of Postgres' is one
                Path(f"/proc/{pid}/autogroup").write_text(str(LOWEST))
