"""The particulars of one conversation: order numbers, products, dates and amounts, in its language."""

import json
import re
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

CONTENT: Final = Path(__file__).parent / "content"
_NAME: Final = re.compile(r"\{\{(\w+)\}\}")
_CHOICE: Final = re.compile(r"\[\[(.+?)\]\]", re.S)
_DEVICES: Final = (
    "Pixel 8",
    "Galaxy S23",
    "Fairphone 5",
    "Xperia 10 VI",
    "Nothing Phone 2",
    "Moto G84",
    "Redmi Note 13",
)
_MARKETS: Final = ("Austria", "the Netherlands", "Poland", "Ireland", "Denmark", "Portugal", "Belgium", "Finland")
_COMPANIES: Final = (
    "Harrow & Lane", "Nimbus Ledger", "Oakhill Systems", "Brightwater Labs", "Kestrel Tools", "Solvia Energy",
    "Tandem Works", "Marlowe & Finch", "Coppergate", "Northfield Analytics", "Veloria", "Arden Robotics",
)  # fmt: skip
_WHOLE_UNITS: Final = frozenset({"ja", "ko", "hi", "uk"})
_PRICE_SCALE: Final = {"ja": 150, "ko": 1300, "hi": 80, "uk": 40, "tr": 35, "pl": 4, "zh": 7, "ar": 4, "he": 4}


@cache
def load(name: str) -> Any:
    """Read one file of content/."""
    return json.loads((CONTENT / f"{name}.json").read_text(encoding="utf-8"))


def make(rng: Random, lang: str, person: dict[str, Any] | None, at: float) -> dict[str, str]:
    """Draw the particulars of a conversation that begins at `at` (epoch seconds)."""
    locale = load("locales")[lang]
    start = datetime.fromtimestamp(at, UTC)
    products = rng.sample(locale["products"], 2)
    company, other = rng.sample(_COMPANIES, 2)
    user_id = person["id"] if person else ""

    def day(offset: int) -> str:
        date = start + timedelta(days=offset)
        return str(locale["day"].format(d=date.day, m=locale["months"][date.month - 1]))

    return {
        "lang": lang,
        "first": person["first"] if person else "Sam",
        "user": user_id,
        "email": user_id if "@" in user_id else f"customer{rng.randint(100, 999)}@example.com",
        "order": rng.choice([f"A-{rng.randint(10, 99)}{rng.randint(100, 999)}", str(rng.randint(81000, 99999))]),
        "product": products[0],
        "product2": products[1],
        "furniture": rng.choice(locale.get("furniture", locale["products"])),
        "appliance": rng.choice(locale.get("appliances", locale["products"])),
        "amount": _money(rng, locale, lang),
        "city": rng.choice(locale["cities"]),
        "street": rng.choice(locale["streets"]),
        "carrier": rng.choice(locale["carriers"]),
        "tracking": f"{rng.choice('JRLC')}{rng.choice('DXE')}{rng.randint(10**9, 10**10 - 1)}",
        "invoice": f"R{start.year % 100}-{rng.randint(10000, 99999)}",
        "ticket": f"T{rng.randint(20000, 89999)}",
        "coupon": rng.choice(("SPRING", "HELLO", "OAK", "THANKS", "MOVE")) + str(rng.choice((10, 15, 20, 25))),
        "percent": str(rng.choice((10, 15, 20, 25))),
        "sku": f"{rng.choice('ABFKLT')}{rng.randint(100, 999)}-{rng.randint(10, 99)}",
        "qty": str(rng.randint(3, 48)),
        "n": str(rng.randint(41, 960)),
        "tail": f"{rng.randint(0, 99):02d}",
        "device": rng.choice(_DEVICES),
        "version": f"{rng.randint(6, 9)}.{rng.randint(0, 14)}.{rng.randint(0, 6)}",
        "day": day(-rng.randint(1, 6)),
        "soon": day(rng.randint(2, 5)),
        "day2": day(rng.randint(6, 11)),
        "month": locale["months"][(start.month - rng.randint(3, 6)) % 12],
        "year": str(start.year),
        "lastyear": str(start.year - 1),
        "pct": _decimal(rng.uniform(1.2, 9.8), lang),
        "pct2": _decimal(rng.uniform(12, 46), lang),
        "company": company,
        "company_slug": re.sub(r"[^a-z]+", "-", company.lower()),
        "company2": other,
        "market": rng.choice(_MARKETS),
    }


def fill(text: str, facts: dict[str, str], rng: Random) -> str:
    """Put facts into `{{name}}` and pick one of `[[this|or that]]`."""
    text = _CHOICE.sub(lambda match: rng.choice(match[1].split("|")), text)
    return _NAME.sub(lambda match: facts[match[1]], text)


def fill_all(value: Any, facts: dict[str, str], rng: Random) -> Any:
    """Fill every string of a JSON value."""
    if isinstance(value, str):
        return fill(value, facts, rng)
    if isinstance(value, list):
        return [fill_all(item, facts, rng) for item in value]
    if isinstance(value, dict):
        return {key: fill_all(item, facts, rng) for key, item in value.items()}
    return value


def _money(rng: Random, locale: dict[str, Any], lang: str) -> str:
    value = rng.choice((18.9, 24.5, 39, 49.9, 64, 79, 89.9, 119, 149, 189, 249, 329, 412.5)) * _PRICE_SCALE.get(lang, 1)
    number = f"{value:,.0f}" if lang in _WHOLE_UNITS else f"{value:,.2f}"
    if lang in ("es", "de", "fr", "pt", "it", "nl", "pl", "tr"):
        number = number.translate(str.maketrans(",.", ".,"))
    return str(locale["money"].format(n=number))


def _decimal(value: float, lang: str) -> str:
    return f"{value:.1f}" if lang in ("en", "ja", "zh", "ko", "he", "ar", "hi") else f"{value:.1f}".replace(".", ",")
