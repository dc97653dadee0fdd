"""The Support Bot's odd threads: attacks, edge cases, ids that any text may be, and one of 400 runs."""

from random import Random
from typing import Final

from memory.demo import clock, scripts
from memory.demo.cast import SUPPORT_BOT
from memory.demo.facts import fill, load
from memory.demo.sessions import Plan, thread_id
from memory.demo.shapes import Json, Turn

OPS_RUNS: Final = 400
_OPS: Final = (
    "ops-team@example.com",
    "bob@example.com",
    "emma.lindqvist@example.com",
    "j.okafor@example.com",
    "slack:U04T8QJ2M",
)
# script -> (who, hours ago)
_WHEN: Final = {
    "hostile": ("3f2b9c1e-77aa-4c1d-9a8e-5d0b6c7e8f90", 7.2),
    "markdown": ("emma.lindqvist@example.com", 29.0),
    "parts": ("priya.raman@example.com", 52.0),
    "long-log": ("t.nguyen@example.com", 77.0),
    "wish": ("o'brien@example.com", 120.0),
    "two-words": ("+44 7700 900142", 160.0),
}


def plans(rng: Random, now: float) -> list[Plan]:
    content = load("special")
    made = [_special(rng, now, content[key], user, hours) for key, (user, hours) in _WHEN.items()]
    made += [_odd_id(rng, now - (11 + 37 * number) * 3600, one) for number, one in enumerate(content["odd-ids"])]
    return [*made, _ops_desk(rng, now)]


def _special(rng: Random, now: float, script: Json, user_id: str, hours: float) -> Plan:
    person = next(one for one in load("people") if one["id"] == user_id)
    times = clock.turns(rng, now, now - hours * 3600, len(script["turns"]))
    facts = scripts.facts_for(script, rng, person, times[0])
    turns = scripts.play(script, rng, facts, times, [user_id])
    return Plan(SUPPORT_BOT, thread_id(rng), turns, owner=user_id, name=script.get("name"))


def _odd_id(rng: Random, at: float, one: Json) -> Plan:
    person = rng.choice(scripts.people("support", one["lang"]) or scripts.people("support"))
    return Plan(SUPPORT_BOT, one["id"], [Turn(one["user"][0], at, person["id"], one["reply"])], owner=person["id"])


def _ops_desk(rng: Random, now: float) -> Plan:
    """The thread that the operations team has kept open for two months."""
    desk = load("ops_desk")
    first = now - (clock.DAYS - 2) * clock.DAY
    step = (now - 5400 - first) / OPS_RUNS
    turns: list[Turn] = []
    last = -1
    for number in range(OPS_RUNS):
        last = rng.choice([index for index in range(len(desk)) if index != last])
        user_id = rng.choice(_OPS)
        person = {"id": user_id, "first": "team"}
        at = first + (number + rng.random() * 0.8) * step
        script = {"lang": "en", "turns": [desk[last]]}
        facts = scripts.facts_for(script, rng, person, at)
        turns += scripts.play(script, rng, facts, [at], [user_id], rng.randrange(6))
        turns[-1].status = "ERROR" if number % 97 == 40 else "COMPLETED"
        turns[-1].error = "Request timed out."
    return Plan(
        SUPPORT_BOT,
        "ops-desk",
        turns,
        owner=_OPS[0],
        name="Ops desk",
        summary=fill(
            "Daily questions of the operations team: stuck parcels, queue length, returns, carrier notices. "
            "Tickets are named in the answers; open ones are watched here.",
            {},
            rng,
        ),
        topics=("operations", "carriers", "returns", "queue"),
    )
