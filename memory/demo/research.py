"""The Research Analyst's threads, whose runs agno 2.5 keeps in a column of the session."""

from random import Random
from typing import Final

from memory.demo import clock, scripts
from memory.demo.cast import RESEARCH_BOT
from memory.demo.facts import fill
from memory.demo.sessions import Plan, thread_id
from memory.demo.shapes import Json

_DESK: Final = {"name": "Research desk", "team_id": "research-desk"}
_COLLEAGUES: Final = ("maya.osei@example.com", "henrik.analyst@example.com")


def plans(rng: Random, now: float) -> list[Plan]:
    jobs = [
        (script, opening)
        for script in scripts.load(scripts.RESEARCH)
        for opening in range(4 if script["lang"] == "en" and "team" not in script["tags"] else 2)
    ]
    rng.shuffle(jobs)
    ends = clock.endings(rng, now - 400, len(jobs))
    made = [_plan(rng, now, script, opening, end) for (script, opening), end in zip(jobs, ends, strict=True)]
    # older versions of Agno copied earlier turns into each new run
    for plan in [plan for plan in reversed(made) if len(plan.turns) > 1 and plan.team is None][:4]:
        plan.copies_history = True
    return made


def _plan(rng: Random, now: float, script: Json, opening: int, end: float) -> Plan:
    lang = script["lang"]
    pool = scripts.people("research") if lang == "en" else scripts.people(lang=lang)
    person = rng.choice(pool)
    length = len(script["turns"]) if opening == 0 else rng.randint(1, len(script["turns"]))
    times = clock.turns(rng, now, end, length)
    facts = scripts.facts_for(script, rng, person, times[0])
    shared = any(line.get("by") for line in script["turns"][:length])
    colleague = next(one for one in _COLLEAGUES if one != person["id"])
    turns = scripts.play(script, rng, facts, times, [person["id"], colleague] if shared else [person["id"]], opening)
    if opening:
        scripts.break_off(turns, rng)
    varied = "{{" in script.get("name", "")
    return Plan(
        RESEARCH_BOT,
        thread_id(rng),
        turns,
        owner=None if shared and opening == 1 else person["id"],
        name=fill(script["name"], facts, rng) if "name" in script and (opening == 0 or varied) else None,
        summary=fill(script["summary"], facts, rng) if "summary" in script and opening < 2 else None,
        topics=script.get("topics", ()),
        team=dict(_DESK) if "team" in script["tags"] else None,
    )
