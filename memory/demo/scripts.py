"""Turn a written conversation of content/ into the turns of one thread."""

from random import Random
from typing import Any, Final

from memory.demo import facts as particulars
from memory.demo import tools
from memory.demo.media import attachment
from memory.demo.shapes import Call, Json, Member, Turn

SUPPORT: Final = ("support_en", "support_es_pt_it", "support_de_fr", "support_more")
RESEARCH: Final = ("research_en", "research_more")
_ERRORS: Final = (
    "Request timed out.",
    "Connection error.",
    "Error code: 500 - {'error': {'message': 'The server had an error while processing your request.', 'type': 'server_error'}}",
    "Error code: 429 - {'error': {'message': 'You exceeded your current quota.', 'code': 'insufficient_quota'}}",
    "Error code: 400 - {'error': {'message': \"This model's maximum context length is 128000 tokens.\", 'code': 'context_length_exceeded'}}",
)


def load(names: tuple[str, ...]) -> list[Json]:
    return [script for name in names for script in particulars.load(name)]


def people(role: str = "", lang: str = "") -> list[Json]:
    """List the demo's users, each as often as they write, by role and language."""
    return [
        person
        for person in particulars.load("people")
        if (not role or person["role"] == role) and (not lang or person["lang"] == lang)
        for _ in range(person["weight"])
    ]


def pick(pool: list[Json], rng: Random, seen: set[str]) -> Json:
    """Draw a person, first those who have not written yet, and remember them."""
    person = rng.choice([person for person in pool if person["id"] not in seen] or pool)
    seen.add(person["id"])
    return person


def facts_for(script: Json, rng: Random, person: Json | None, at: float) -> dict[str, str]:
    return {**particulars.make(rng, script["lang"], person, at), "topic": script.get("topic", "general")}


def play(
    script: Json, rng: Random, facts: dict[str, str], times: list[float], users: list[str | None], opening: int = 0
) -> list[Turn]:
    """Fill a script's first turns, one for each of `times`; `users` are its speakers, the owner first."""

    def filled(text: Any) -> Any:
        return particulars.fill_all(text, facts, rng)

    turns = []
    for number, (line, at) in enumerate(zip(script["turns"], times, strict=False)):
        wording = opening % len(line["user"]) if number == 0 else rng.randrange(len(line["user"]))
        text = filled(line["user"][wording])
        turn = Turn(
            text=text,
            at=at,
            user_id=users[min(line.get("by", 0), len(users) - 1)],
            reply=filled(line.get("reply", "")),
            calls=[_call(call, facts, rng, at) for call in filled(line.get("calls", []))],
            status=line.get("status", "COMPLETED"),
            hold=_waiting(line["hold"], facts) if "hold" in line else None,
            error=filled(line.get("text", "")),
            members=[_member(member, facts, rng, at) for member in filled(line.get("members", []))],
        )
        kind = "images" if "image" in script.get("tags", ()) and number == 1 else line.get("media")
        if kind:
            turn.media, turn.parts = attachment(kind, text, rng)
        turns.append(turn)
    return turns


def break_off(turns: list[Turn], rng: Random) -> None:
    """Let the last answer of a thread fail or be cancelled, as happens now and then."""
    chance = rng.random()
    last = turns[-1]
    if chance > 0.11 or last.status != "COMPLETED" or last.members:
        return
    last.status = "ERROR" if chance < 0.07 else "CANCELLED"
    last.error = rng.choice(_ERRORS)
    last.calls = last.calls[:1] if chance < 0.02 else []


def _call(call: Json, facts: dict[str, str], rng: Random, at: float) -> Call:
    args = {**tools.arguments(call["tool"], facts), **call.get("args", {})}
    if "error" in call:
        return Call(call["tool"], args, call["error"], error=True, seconds=round(rng.uniform(1.5, 5.1), 6))
    return Call(call["tool"], args, tools.result(call["tool"], facts, rng, at, args))


def _waiting(tool: str, facts: dict[str, str]) -> Call:
    return Call(tool, {**tools.arguments(tool, facts), "reason": "customer request"}, "")


def _member(member: Json, facts: dict[str, str], rng: Random, at: float) -> Member:
    call = _call({"tool": member["tool"]}, facts, rng, at)
    return Member(member["id"], member["task"], member["answer"], call)
