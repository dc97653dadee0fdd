"""The Webhook Enricher's few threads, from before its session storage was turned off."""

import json
from random import Random

from memory.demo import clock, facts, tools, workflow
from memory.demo.cast import WEBHOOK_BOT
from memory.demo.sessions import Plan, Thread
from memory.demo.shapes import Call, Json, Turn

_STOPPED_DAYS_AGO = 21.8


def backfill(rng: Random, now: float) -> Thread:
    """The one thread of a workflow: extract the company from the event, then enrich it."""
    company = facts.load("webhooks")[0]
    at = now - (_STOPPED_DAYS_AGO + 4.5) * clock.DAY
    domain = json.dumps({"domain": company["domain"]})
    payload = _payload(rng, company, at)
    steps = [workflow.Step("Extract", payload, domain), workflow.Step("Enrich", domain, _answer(company))]
    return workflow.build(WEBHOOK_BOT, rng, "wf-backfill-2", "Backfill companies", steps, at)


def plans(rng: Random, now: float) -> list[Plan]:
    made = []
    for number, company in enumerate(facts.load("webhooks")):
        at = now - (_STOPPED_DAYS_AGO + 0.2 + number * 2.3) * clock.DAY
        particulars = {**facts.make(rng, "en", None, at), "company": company["company"], "topic": "company"}
        args = {"domain": company["domain"]}
        call = Call("company_profile", args, tools.result("company_profile", particulars, rng, at, args))
        turn = Turn(_payload(rng, company, at), at, None, _answer(company), [call])
        if number == 3:
            turn.status, turn.error = "ERROR", "Error code: 503 - The server is overloaded or not ready yet."
        day = tools.common.day(at)
        made.append(Plan(WEBHOOK_BOT, f"wh/{day}/{company['key']}.updated#{rng.randint(10, 99)}", [turn]))
    return made


def _payload(rng: Random, company: Json, at: float) -> str:
    event = {
        "event": "company.updated",
        "id": f"evt_{rng.getrandbits(64):016x}",
        "sent_at": tools.common.when(at),
        "company": {"name": company["company"], "domain": company["domain"], "industry": None, "size": None},
    }
    return json.dumps(event, ensure_ascii=False, indent=2)


def _answer(company: Json) -> str:
    found = {name: company[name] for name in ("company", "domain", "industry", "size", "place")}
    return "```json\n" + json.dumps(found, ensure_ascii=False, indent=2) + "\n```"
