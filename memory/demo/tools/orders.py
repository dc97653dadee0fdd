"""What the shop's order and parcel systems answer."""

from random import Random
from typing import Any

from memory.demo.tools.common import Args, Facts, day, when

_SCANS = (
    ("registered", "Shipment data received from sender"),
    ("picked_up", "Picked up at the sender's dock"),
    ("sorted", "Sorted at the outbound hub"),
    ("departed", "Left the hub on a line-haul truck"),
    ("arrived", "Arrived at the regional depot"),
    ("sorted", "Sorted for delivery"),
    ("exception", "Not loaded: sequence gap"),
    ("held", "Held at the depot, address check"),
    ("loaded", "Loaded on the delivery vehicle"),
    ("attempted", "Delivery attempted, nobody at home"),
)
_STEPS = ("created", "payment_authorised", "payment_captured", "released", "picked", "packed", "handed_over")


def lookup_order(facts: Facts, rng: Random, at: float, args: Args) -> Any:
    start = at - rng.randint(4, 9) * 86400
    return {
        "order_id": facts["order"],
        "status": rng.choice(("packed", "in_transit", "delivered", "released")),
        "customer": {
            "id": f"c_{rng.randint(10**6, 10**7)}",
            "name": facts["first"],
            "email": facts["email"],
            "language": facts["lang"],
            "tier": rng.choice(("standard", "plus", "gold")),
            "orders_before": rng.randint(0, 31),
        },
        "lines": [
            _line(rng, facts["sku"], facts["product"], facts["amount"]),
            _line(rng, f"K{rng.randint(100, 999)}-{rng.randint(10, 99)}", facts["product2"], rng.randint(9, 90)),
        ],
        "total": facts["amount"],
        "discounts": [],
        "invoice": facts["invoice"],
        "billing": _address(facts, rng),
        "shipping": {**_address(facts, rng), "instructions": rng.choice((None, "ring twice", "leave at the door"))},
        "shipment": {
            "carrier": facts["carrier"],
            "tracking": facts["tracking"],
            "promised": facts["day"],
            "parcels": [
                {
                    "no": number,
                    "size_cm": [rng.randint(20, 180), rng.randint(20, 90), rng.randint(5, 60)],
                    "weight_kg": round(rng.uniform(0.6, 28), 2),
                    "label": f"{rng.getrandbits(80):020x}",
                    "packed_by": f"p{rng.randint(10, 99)}",
                }
                for number in (1, 2)
            ],
        },
        "history": [
            {
                "at": when(start + number * rng.randint(900, 40000)),
                "event": step,
                "by": rng.choice(("shop", "wms-2", "payments", "j.ferro")),
                "trace": f"{rng.getrandbits(64):016x}",
                "note": None,
            }
            for number, step in enumerate(_STEPS)
        ],
        "contacts": [
            {
                "at": when(at - rng.randint(1, 20) * 86400),
                "channel": rng.choice(("email", "chat", "app push", "sms")),
                "template": template,
                "state": "delivered",
            }
            for template in ("order_confirmation", "order_packed", "parcel_on_its_way", "rate_your_order")
        ],
        "risk": {"score": round(rng.random() * 30, 1), "checks": {"avs": "match", "cvc": "match", "velocity": "ok"}},
    }


def _address(facts: Facts, rng: Random) -> dict[str, Any]:
    return {
        "name": facts["first"],
        "company": None,
        "street": facts["street"],
        "postcode": str(rng.randint(10000, 99999)),
        "city": facts["city"],
        "phone": f"… {facts['tail']}",
        "verified": rng.random() < 0.9,
        "position": [round(rng.uniform(36, 58), 5), round(rng.uniform(-9, 24), 5)],
    }


def _line(rng: Random, sku: str, name: str, price: object) -> dict[str, Any]:
    return {
        "sku": sku,
        "name": name,
        "qty": rng.randint(1, 3),
        "unit_price": price,
        "weight_g": rng.randint(400, 21000),
        "warehouse": rng.choice(("central", "north", "south")),
        "returnable_days": 30,
    }


def track_parcel(facts: Facts, rng: Random, at: float, args: Args) -> Any:
    clock = at - rng.randint(3, 6) * 86400
    scans = []
    for code, text in _SCANS[: rng.randint(6, len(_SCANS))]:
        clock += rng.randint(2000, 43000)
        scans.append(
            {
                "at": when(clock),
                "code": code,
                "text": text,
                "facility": {
                    "name": f"{facts['carrier']} {facts['city']}",
                    "id": f"F{rng.randint(100, 999)}",
                    "type": rng.choice(("hub", "depot")),
                    "position": [round(rng.uniform(36, 58), 5), round(rng.uniform(-9, 24), 5)],
                },
                "scanner": f"hh-{rng.randint(1000, 9999)}",
                "weight_kg": round(rng.uniform(0.4, 21), 2),
                "next_expected_h": rng.choice((6, 12, 24)),
            }
        )
    return {
        "tracking": facts["tracking"],
        "carrier": facts["carrier"],
        "estimate": facts["day2"],
        "signature_required": rng.random() < 0.3,
        "events": scans,
    }


def list_orders(facts: Facts, rng: Random, at: float, args: Args) -> Any:
    rows = [
        {
            "order_id": f"A-{rng.randint(10000, 99999)}",
            "created": day(at - number * rng.randint(40000, 900000)),
            "status": rng.choice(("delivered", "in_transit", "held", "returned", "packed")),
            "total": round(rng.uniform(9, 480), 2),
            "items": rng.randint(1, 5),
            "city": facts["city"],
            "carrier": facts["carrier"],
            "tracking": f"JD{rng.randint(10**9, 10**10)}",
            "last_scan": when(at - rng.randint(5, 90) * 3600),
            "flags": rng.sample(["late", "gift", "address_check", "partial", "fragile"], rng.randint(0, 2)),
        }
        for number in range(rng.randint(11, 24))
    ]
    return {"filter": args.get("filter", "customer"), "count": len(rows), "next": None, "orders": rows}


def check_stock(facts: Facts, rng: Random, at: float, args: Args) -> Any:
    places = ("central", "north", "south", "west", "store-1", "store-2", "store-4", "store-7", "store-9", "transit")
    return {
        "sku": facts["sku"],
        "name": facts["product"],
        "as_of": when(at),
        "available": int(facts["qty"]),
        "places": [
            {
                "place": place,
                "city": facts["city"],
                "on_hand": rng.randint(0, 60),
                "reserved": rng.randint(0, 9),
                "incoming": [
                    {
                        "qty": rng.randint(5, 80),
                        "eta": day(at + rng.randint(2, 20) * 86400),
                        "po": rng.randint(1000, 9999),
                    }
                ],
                "picking_minutes": rng.randint(8, 240),
                "sold_30_days": rng.randint(0, 90),
                "counted": day(at - rng.randint(2, 90) * 86400),
                "shelf": f"{rng.choice('ABCDEF')}{rng.randint(1, 40)}-{rng.randint(1, 9)}",
            }
            for place in places
        ],
    }


def delivery_slots(facts: Facts, rng: Random, at: float, args: Args) -> Any:
    return {
        "city": facts["city"],
        "slots": [
            {
                "date": day(at + ahead * 86400),
                "window": window,
                "free": rng.randint(0, 4),
                "price": rng.choice((0, 4.9)),
                "carrier": facts["carrier"],
                "kind": rng.choice(("home", "point")),
            }
            for ahead in range(2, 10)
            for window in ("08-12", "12-16", "16-20")
        ],
    }
