"""The Support Bot's threads: written conversations with varied particulars, quick questions, long regulars."""

from random import Random
from typing import Final

from memory.demo import clock, scripts, special
from memory.demo.cast import SUPPORT_BOT
from memory.demo.facts import fill, load
from memory.demo.sessions import Plan, thread_id
from memory.demo.shapes import Json, Turn

# how often a script of a language is played; others once
_TIMES: Final = {"en": 3, "es": 3, "de": 3, "fr": 3, "pt": 3, "it": 2, "ja": 3, "ar": 2, "he": 2, "zh": 2}
_STAFF: Final = {"en": "bob@example.com", "es": "ops-team@example.com"}
# the newest threads, which a visitor sees first, and how many of their turns have happened
_FIRST: Final = {
    "damaged-refund": 4,
    "pedido-retraso": 5,
    "vat-invoice": 2,
    "henpin-ja": 4,
    "cancel-plus": 2,
    "login-loop": 6,
    "change-address": 2,
}
# (person, runs): threads to which somebody came back again and again
_REGULARS: Final = (
    ("kwame@example.com", 31), ("alice@example.com", 48), ("lucia@example.com", 14), ("b.meier@example.com", 12),
    ("sato@example.com", 11), ("camille.roy@example.com", 17), ("alice@example.com", 9),
)  # fmt: skip


def plans(rng: Random, now: float) -> list[Plan]:
    jobs: list[Json] = []
    for script in scripts.load(scripts.SUPPORT):
        jobs += [{"script": script, "opening": number} for number in range(_TIMES.get(script["lang"], 1))]
    jobs += [{"quick": question} for question in load("quick")]
    jobs += [{"regular": regular} for regular in _REGULARS]
    rng.shuffle(jobs)
    jobs.sort(key=_rank)
    ends = clock.endings(rng, now, len(jobs))
    seen = {user_id for user_id, _ in _REGULARS}
    made = [_plan(rng, now, job, end, seen) for job, end in zip(jobs, ends, strict=True)]
    # the oldest began under agno 2.5, in the column, and went on in the table after the upgrade
    for plan in [plan for plan in reversed(made) if plan.owner and len(plan.turns) > 2 and not plan.index_repeats][:3]:
        plan.column_turns = 2
    return [*made, *special.plans(rng, now)]


def _rank(job: Json) -> int:
    return list(_FIRST).index(job["script"]["key"]) if _opens(job) else len(_FIRST)


def _opens(job: Json) -> bool:
    return "script" in job and job["opening"] == 0 and job["script"]["key"] in _FIRST


def _plan(rng: Random, now: float, job: Json, end: float, seen: set[str]) -> Plan:
    if "quick" in job:
        return _quick(rng, job["quick"], end, seen)
    if "regular" in job:
        return _regular(rng, now, *job["regular"], end=end)
    return _scripted(rng, now, job["script"], job["opening"], end, seen)


def _scripted(rng: Random, now: float, script: Json, opening: int, end: float, seen: set[str]) -> Plan:
    tags, lang = script["tags"], script["lang"]
    role = next((tag for tag in tags if tag in ("dev", "b2b")), "support")
    person = scripts.pick(scripts.people(role, lang), rng, seen)
    whole = len(script["turns"])
    length = _FIRST.get(script["key"], whole) if opening == 0 else rng.randint(min(2, whole), whole)
    times = clock.turns(rng, now, end, length)
    facts = scripts.facts_for(script, rng, person, times[0])
    owner = None if opening and rng.random() < 0.06 else person["id"]
    shared = any(line.get("by") for line in script["turns"][:length])
    speakers = [owner, _STAFF.get(lang, "bob@example.com")] if shared else [owner]
    turns = scripts.play(script, rng, facts, times, speakers, opening)
    if opening:
        scripts.break_off(turns, rng)
    named = "name" in script and (opening == 0 or ("{{" in script["name"] and rng.random() < 0.5))
    summarised = "summary" in script and length == whole and rng.random() < 0.8
    return Plan(
        SUPPORT_BOT,
        thread_id(rng),
        turns,
        # Agno leaves the owner of a shared thread empty when each caller names only itself
        owner=None if shared and opening % 2 else owner,
        name=fill(script["name"], facts, rng) if named else None,
        summary=fill(script["summary"], facts, rng) if summarised else None,
        topics=script.get("topics", ()),
        index_repeats=shared,
    )


def _quick(rng: Random, question: Json, end: float, seen: set[str]) -> Plan:
    person = scripts.pick(scripts.people("support", question["lang"]), rng, seen)
    facts = scripts.facts_for(question, rng, person, end)
    turn = Turn(fill(question["user"], facts, rng), end - 20, person["id"], fill(question["reply"], facts, rng))
    return Plan(SUPPORT_BOT, thread_id(rng), [turn], owner=person["id"])


def _regular(rng: Random, now: float, user_id: str, count: int, *, end: float) -> Plan:
    """One long thread: the same person with one concern after the other."""
    person = next(one for one in load("people") if one["id"] == user_id)
    pool = [
        script
        for script in scripts.load(scripts.SUPPORT)
        if script["lang"] == person["lang"] and "dev" not in script["tags"]
    ]
    rng.shuffle(pool)
    times = clock.turns(rng, now, end, count)
    turns: list[Turn] = []
    number = 0
    while len(turns) < count:
        script = pool[number % len(pool)]
        facts = scripts.facts_for(script, rng, person, times[len(turns)])
        speakers: list[str | None] = [user_id, _STAFF.get(person["lang"], user_id)]
        turns += scripts.play(script, rng, facts, times[len(turns) :], speakers, number)
        number += 1
    return Plan(SUPPORT_BOT, thread_id(rng), turns, owner=user_id, index_repeats=person["lang"] in _STAFF)
