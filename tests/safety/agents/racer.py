"""An agent whose runs race with deletions, with the real Agno; it runs in a conformance environment.

argv[1] is {"dsn", "schema", "rounds", "seed", "deletes"}. Each round says "ready ID" while the model of a run is asked,
which takes a random while; with `deletes` the library deletes the thread itself then, as the SDK does. A run that reads
its thread after the deletion is a new conversation, and none of this. Prints the number of runs that raised at the end.
"""

import json
import random
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "conformance" / "agents"))

from agno.agent import Agent
from agno.db.postgres import PostgresDb
from echo import Echo

task = json.loads(sys.argv[1])
chance = random.Random(task["seed"])
db = PostgresDb(db_url=task["dsn"].replace("postgresql", "postgresql+psycopg", 1), db_schema=task["schema"])
in_flight = threading.Event()
crashed = 0


class Slow(Echo):
    def invoke(self, messages, **more):
        in_flight.set()
        time.sleep(chance.random() * 0.03)
        return super().invoke(messages, **more)


def speak(session_id: str, text: str) -> None:
    Agent(id="racer", model=Slow(), db=db, telemetry=False).run(text, session_id=session_id, user_id="alice")


def meet(session_id: str, wait: float) -> None:
    in_flight.wait()
    print("ready", session_id, flush=True)
    if task["deletes"]:
        time.sleep(wait)
        db.delete_session(session_id)


for number in range(task["rounds"]):
    session_id = f"race-{number}"
    speak(session_id, "Begin")
    in_flight.clear()
    meeting = threading.Thread(target=meet, args=(session_id, chance.random() * 0.04))
    meeting.start()
    try:
        speak(session_id, "Go on")
    except Exception as error:
        crashed += 1
        print("crashed", repr(error), flush=True)
    in_flight.set()
    meeting.join()
    if not task["deletes"] and number % 3 == 0:
        sys.stdin.readline()

print("end", crashed, flush=True)
