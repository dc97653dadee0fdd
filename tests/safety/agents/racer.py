"""An agent whose runs race with deletions, with the real Agno; it runs in a conformance environment.

argv[1] is {"dsn", "schema", "rounds", "seed", "deletes"}. Each round says "ready ID" before its run,
whose model takes a random while; with `deletes` the library deletes the thread itself meanwhile, as
the SDK does. Prints the number of runs that raised at the end.
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
crashed = 0


class Slow(Echo):
    def invoke(self, messages, **more):
        time.sleep(chance.random() * 0.03)
        return super().invoke(messages, **more)


def speak(session_id: str, text: str) -> None:
    Agent(id="racer", model=Slow(), db=db, telemetry=False).run(text, session_id=session_id, user_id="alice")


for number in range(task["rounds"]):
    session_id = f"race-{number}"
    speak(session_id, "Begin")
    print("ready", session_id, flush=True)
    killer = threading.Timer(chance.random() * 0.04, db.delete_session, (session_id,))
    if task["deletes"]:
        killer.start()
    try:
        speak(session_id, "Go on")
    except Exception as error:
        crashed += 1
        print("crashed", repr(error), flush=True)
    if task["deletes"]:
        killer.join()
    elif number % 3 == 0:
        sys.stdin.readline()

print("end", crashed, flush=True)
