"""The kinds of pages, each with an address in the demo where it has much to show."""

from studio.ids import encode
from tests.server import StudioServer

SUPPORT = "agt-supp2ortbot3"
RESEARCH = "agt-resea2rchnl5"
WEBHOOK = "agt-webhk2enrch3"
SALES = "agt-salesassis27"


def demo_pages(studio: StudioServer) -> dict[str, str]:
    """Return {name: path} for every kind of page, in the demo's studio."""

    def thread(agent: str, where: str) -> str:
        schema = f"ag_{agent.replace('-', '_')}"
        (row,) = studio.sql(f"select session_id from memory_thread where {where} limit 1", schema=schema)
        return f"/agents/{agent}/threads/{encode(row[0])}/"

    (user,) = studio.sql(
        "select user_id from memory_user order by threads desc limit 1", schema=f"ag_{SUPPORT.replace('-', '_')}"
    )
    support = f"/agents/{SUPPORT}"
    return {
        "agents": "/agents/",
        "agent-new": "/agents/new/",
        "agent-edit": f"{support}/edit/",
        "agent-remove": f"{support}/remove/",
        "connection": f"{support}/connection/",
        "connection-rotate": f"{support}/connection/password/",
        "memory": f"{support}/memory/",
        "memory-off": f"/agents/{WEBHOOK}/memory/",
        "memory-langchain": f"/agents/{SALES}/memory/",
        "threads": f"{support}/threads/",
        "threads-filtered": f"{support}/threads/?status=ERROR&sort=tokens",
        "threads-none": f"{support}/threads/?q=nothing-matches-this",
        "users": f"{support}/users/",
        "user": f"{support}/users/{encode(user[0])}/",
        "thread-table": thread(SUPPORT, "tool_calls > 2 and users > 1 order by last_at desc"),
        "thread-column": thread(RESEARCH, "true order by runs desc"),
        "thread-long": thread(SUPPORT, "true order by runs desc"),
        "thread-failed": thread(SUPPORT, "last_status = 'ERROR' order by last_at desc"),
        "activity": f"{support}/activity/",
        "people": "/people/",
        "audit": "/audit/",
        "account": "/account/",
        "api": "/api/docs",
        "keys": "/keys/",
        "key-new": "/keys/new/",
        "not-found": f"{support}/threads/no-such-thread/",
    }


# pages that a stranger sees
OUTSIDE = {
    "sign-in": "/sign-in/",
    "link-spent": "/sign-in/once/spent/",
    "forgotten": "/account/password/forgotten/",
    "api": "/api/docs",
}
