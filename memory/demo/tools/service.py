"""What the shop's help centre, payments, devices and reports answer."""

from random import Random
from typing import Any

from memory.demo.facts import load
from memory.demo.tools.common import Args, Facts, day, when

_LOG_LINES = (
    "auth: token read from storage (expired)",
    "auth: refresh refused 401",
    "ui: route /sign-in",
    "ui: route /home",
    "net: GET /v3/me 200 81 ms",
    "net: GET /v3/flags 304 12 ms",
    "store: migrate 41 -> 42 ok",
    "map: relocalise, confidence 0.41",
    "lidar: window dirty, gain 0.62",
    "motor: left stalled E-31",
    "ble: pairing mode off",
    "push: token renewed",
)
_IMAGE_LABELS = ("cardboard box", "dent", "crack", "tape", "label, torn", "wood surface", "hand", "floor tiles")
_RISK_RULES = ("new_device", "known_card", "country_match", "amount_usual", "ip_proxy", "email_age")
_ATTEMPTS = ("authorisation", "3ds_challenge", "authorisation", "capture", "settlement_notice")


def search_help_center(facts: Facts, rng: Random, at: float, args: Args) -> Any:
    query = str(args.get("query", facts["product"]))
    wanted = set(query.lower().split())
    articles = rng.sample(load("help_center"), len(load("help_center")))
    articles.sort(key=lambda article: -len(wanted & set(article["words"].lower().split())))
    results = [
        {
            "id": f"hc-{article['key']}-{rng.randint(10, 99)}",
            "title": article["title"],
            "score": round(0.93 - number * rng.uniform(0.05, 0.12), 4),
            "locale": "en",
            "updated": day(at - rng.randint(20, 400) * 86400),
            "url": f"https://help.fjordly.example/{article['key']}",
            "section": rng.choice(("Orders", "Devices", "Account", "Developers")),
            "body": article["body"],
        }
        for number, article in enumerate(articles[:5])
    ]
    return {"query": query, "took_ms": rng.randint(11, 90), "total": rng.randint(5, 64), "results": results}


def check_subscription(facts: Facts, rng: Random, at: float, args: Args) -> Any:
    return {
        "customer": facts["email"],
        "plan": "plus",
        "state": "active",
        "renews": facts["soon"],
        "points": 1240,
        "open_orders": [facts["order"]],
        "charges": [
            {
                "at": day(at - number * 30 * 86400),
                "amount": 4.9,
                "state": "paid",
                "invoice": f"P{rng.randint(100000, 999999)}",
                "method": {"brand": "visa", "last4": f"11{facts['tail']}", "expires": "08/29"},
                "used": {"free_deliveries": rng.randint(0, 4), "points_earned": rng.randint(0, 180)},
            }
            for number in range(13)
        ],
    }


def get_payment(facts: Facts, rng: Random, at: float, args: Args) -> Any:
    return {
        "order_id": facts["order"],
        "method": args.get("kind", "card"),
        "brand": rng.choice(("visa", "mastercard", "amex")),
        "last4": f"{rng.randint(0, 99):02d}{facts['tail']}",
        "amount": facts["amount"],
        "attempts": [
            {
                "id": f"pay_{rng.getrandbits(48):012x}",
                "kind": kind,
                "at": when(at - 90000 + number * 61),
                "state": rng.choice(("succeeded", "expired", "succeeded")),
                "network_reference": f"{rng.getrandbits(60):015x}",
                "processor": {"name": "adyra", "code": rng.choice(("00", "05", "91")), "text": "see code"},
                "three_ds": {"version": "2.2.0", "flow": rng.choice(("frictionless", "challenge")), "eci": "05"},
                "risk": {"score": rng.randint(1, 60), "rules": rng.sample(_RISK_RULES, 3)},
                "statement": "FJORDLY.EXAMPLE",
                "idempotency_key": f"{rng.getrandbits(128):032x}",
            }
            for number, kind in enumerate(_ATTEMPTS)
        ],
        "refunds": [],
        "disputes": [],
    }


def get_device_log(facts: Facts, rng: Random, at: float, args: Args) -> Any:
    lines = []
    clock = at - 3600
    for _ in range(int(args.get("lines", 52))):
        clock += rng.uniform(0.1, 9)
        lines.append(f"{when(clock)} {rng.choice('DIIWE')} [{rng.randint(1, 40):>2}] {rng.choice(_LOG_LINES)}")
    return {
        "device": facts["device"],
        "app": facts["version"],
        "build": rng.randint(40000, 52000),
        "os": f"Android {rng.randint(12, 16)}",
        "log": lines,
    }


def analyze_image(facts: Facts, rng: Random, at: float, args: Args) -> Any:
    return {
        "images": [
            {
                "file": f"IMG_{rng.randint(1000, 9999)}.jpg",
                "size": [4032, 3024],
                "taken": when(at - rng.randint(200, 9000)),
                "labels": [
                    {
                        "name": label,
                        "confidence": round(rng.uniform(0.55, 0.99), 3),
                        "model": "parcel-vision-3",
                        "box": [
                            rng.randint(0, 2000),
                            rng.randint(0, 1500),
                            rng.randint(100, 1900),
                            rng.randint(90, 1400),
                        ],
                    }
                    for label in rng.sample(_IMAGE_LABELS, 6)
                ],
                "text": [facts["tracking"], facts["carrier"].upper()],
                "edited": False,
            }
            for _ in range(2)
        ],
        "verdict": {"kind": "transport_damage", "confidence": round(rng.uniform(0.81, 0.97), 2)},
    }


def quote_price(facts: Facts, rng: Random, at: float, args: Args) -> Any:
    ladder = ((1, 0), (10, 6), (25, 11), (100, 15), (250, 18))
    return {
        "quote": f"Q-{facts['ticket']}",
        "sku": facts["sku"],
        "name": facts["furniture"],
        "list_price": facts["amount"],
        "quantity": int(facts["qty"]),
        "ladder": [
            {
                "from": start,
                "discount_pct": discount,
                "margin_pct": round(41 - discount * 1.1, 1),
                "approval": "auto" if discount < 12 else "sales lead",
                "lead_time_days": rng.randint(2, 30),
            }
            for start, discount in ladder
        ],
        "lines": [
            {
                "site": site,
                "delivery": day(at + rng.randint(9, 60) * 86400),
                "quantity": rng.randint(2, 30),
                "pallets": rng.randint(1, 6),
                "unload": rng.choice(("tail lift", "ramp", "by hand")),
                "contact": f"site{number}@customer.example",
                "cost_centre": rng.randint(4000, 4999),
                "carrier": facts["carrier"],
            }
            for number, site in enumerate(
                (facts["city"], facts["city"], "second site", "second site", "store"), start=1
            )
        ],
        "sites": 2,
        "terms": "30 days net",
        "valid_until": facts["day2"],
    }


def run_report(facts: Facts, rng: Random, at: float, args: Args) -> Any:
    names = (facts["product"], facts["product2"], facts["carrier"], facts["city"])
    rows = [
        {
            "key": f"{facts['sku'][:1]}{rng.randint(100, 999)}",
            "label": rng.choice(names),
            "today": rng.randint(0, 60),
            "week": rng.randint(40, 400),
            "rate": round(rng.uniform(0.2, 9), 2),
            "trend": [rng.randint(0, 40) for _ in range(14)],
        }
        for _ in range(rng.randint(14, 30))
    ]
    return {"report": args.get("report", "overview"), "generated": when(at), "total": int(facts["n"]), "rows": rows}


def receipt(facts: Facts, rng: Random, at: float, args: Args) -> Any:
    """Answer of the tools that change something."""
    return {
        "ok": True,
        "id": f"op_{rng.getrandbits(64):016x}",
        "at": when(at),
        "order_id": facts["order"],
        "ticket": facts["ticket"],
        "reason": args.get("reason", "customer request"),
    }
