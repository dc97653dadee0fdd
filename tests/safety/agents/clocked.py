"""An agent whose clock differs from the studio's, with the real Agno; it runs in a conformance environment.

argv[1] is {"dsn", "schema", "clocks", "rounds"}; a clock is [name, seconds ahead, units a second]. Each thread is begun
and then gone on with; while the model of that run is asked, it says "ready ID" and waits for a line. Once all have
ended, the same ids talk anew. Prints "end" and the number of runs that raised.
"""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "conformance" / "agents"))

task = json.loads(sys.argv[1])
now = time.time
clock, session_id = ["", 0, 1], ""
# before Agno is imported, which takes the function itself
time.time = lambda: (now() + clock[1]) * clock[2]

from agno.agent import Agent  # noqa: E402
from agno.db.postgres import PostgresDb  # noqa: E402
from echo import Echo  # noqa: E402

db = PostgresDb(db_url=task["dsn"].replace("postgresql", "postgresql+psycopg", 1), db_schema=task["schema"])
crashed = 0


class Waiting(Echo):
    def invoke(self, messages, **more):
        print("ready", session_id, flush=True)
        sys.stdin.readline()
        return super().invoke(messages, **more)


def speak(text: str, model: type[Echo] = Echo) -> None:
    """Go through all threads, each by its clock."""
    global clock, session_id, crashed
    for one in threads():
        clock, session_id = one
        try:
            Agent(id="clocked", model=model(), db=db, telemetry=False).run(text, session_id=session_id, user_id="alice")
        except Exception as error:
            crashed += 1
            print("crashed", repr(error), flush=True)


def threads() -> list[tuple[list, str]]:
    return [(clock, f"{clock[0]} {number}") for clock in task["clocks"] for number in range(task["rounds"])]


speak("Begin")
speak("Go on", Waiting)
print("pause", flush=True)
sys.stdin.readline()
speak("Anew")
print("end", crashed, flush=True)
