"""A person with their grants, read in one statement."""

from collections.abc import Sequence
from typing import Any, Final

from psycopg import sql

from studio import rows
from studio.models import User
from studio.postgres.backend.base import public_cursor

# of the person `p`
COLUMNS: Final = sql.SQL(
    "{person}, array(select array[g.role, g.agent_id] from public.studio_grant g where g.user_id = p.id),"
    " public.studio_lacks_factor(p.id)"
).format(person=rows.columns(User, "p"))
_PERSON: Final = (
    sql.SQL("select {columns} from public.studio_user p where p.id = %s and p.is_active")
    .format(columns=COLUMNS)
    .as_string(None)
)


def read_person(user_id: Any) -> User | None:
    """Read a person who may sign in."""
    with public_cursor() as cursor:
        cursor.execute(_PERSON, [user_id])
        row = cursor.fetchone()
    return person_of(row) if row else None


def person_of(values: Sequence[Any]) -> User | None:
    """Make a person of the values of COLUMNS; None if a join has found nobody."""
    *person, grants, lacks_factor = values
    user = rows.made(User, person)
    user.grant_pairs = [(role, agent_id) for role, agent_id in grants]
    user.lacks_factor = bool(lacks_factor)
    return user if user.pk is not None else None
