"""What the analyst's tools answer: search results, pages, rows, prices and survey texts."""

from math import sin
from random import Random
from typing import Any

from memory.demo.facts import load
from memory.demo.tools.common import Args, Facts, day, when

_VOICES = (
    "I type the name and wait, and it finds the wrong one first.",
    "Export of one month takes longer than making coffee.",
    "It is fast. The ticket was slow.",
    "Dites jeudi si c'est jeudi.",
    "Un carton de chaussures pour une brosse à dents !",
    "Le dimanche, j'ai le temps. Vous, non.",
    "研修の時間が取れない。",
    "夜勤の見守りが楽になった。",
    "Please keep the old filter, it did what it said.",
    "Three clicks for something I do forty times a day.",
    "Sehr zufrieden, nur die Suche könnte schneller sein.",
    "The first page after sign-in shows yesterday's numbers.",
)
_AUTHORS = (
    "Achterberg",
    "Bello",
    "Castellanos",
    "Dietrich",
    "Eriksen",
    "Fontaine",
    "Gupta",
    "Hayashi",
    "Ivanova",
    "Moreau",
)
_EVENTS = (
    ("address", "registered office moved to a shared building"),
    ("address", "registered office moved back"),
    ("court", "claim for late rent, settled with costs shared"),
    ("hiring", "head of operations, from a competitor"),
    ("press", "interview with the founder in the regional paper"),
    ("filing", "accounts filed late, fee paid"),
)


def web_search(facts: Facts, rng: Random, at: float, args: Args) -> Any:
    sources = load("sources")
    own = sources.get(facts.get("topic", ""), [])
    others = [source for key, group in sources.items() if key != facts.get("topic") for source in group]
    results = [
        {
            "position": number + 1,
            "title": source["title"],
            "url": f"https://{source['site']}/{day(at - rng.randint(3, 400) * 86400).replace('-', '/')}/{rng.randint(1000, 99999)}",
            "site": source["site"],
            "published": day(at - rng.randint(3, 400) * 86400),
            "snippet": source["snippet"],
            "score": round(0.97 - number * 0.061, 3),
            "cached": rng.random() < 0.4,
        }
        for number, source in enumerate([*own, *rng.sample(others, 9 - min(len(own), 5))])
    ]
    return {"query": args.get("query", args.get("topic", "")), "engine": "metasearch", "results": results}


def fetch_page(facts: Facts, rng: Random, at: float, args: Args) -> Any:
    own = load("sources").get(facts.get("topic", ""), load("sources")["company"])
    source = rng.choice(own)
    others = [text["snippet"] for text in own] + [article["body"] for article in load("help_center")]
    paragraphs = [source["snippet"], *rng.sample(others, min(len(others), 7))]
    rows = [
        f"| {day(at - number * 7 * 86400)} | {rng.randint(300, 990)} | {rng.uniform(-6, 6):+.1f} % |"
        for number in range(26)
    ]
    return {
        "url": args.get("url", f"https://{source['site']}/{rng.randint(1000, 99999)}"),
        "status": 200,
        "fetched": when(at),
        "title": source["title"],
        "content_type": "text/html; charset=utf-8",
        "markdown": f"# {source['title']}\n\n"
        + "\n\n".join(paragraphs)
        + "\n\n| Week | Value | Change |\n|---|---:|---:|\n"
        + "\n".join(rows),
    }


def price_history(facts: Facts, rng: Random, at: float, args: Args) -> Any:
    level = rng.uniform(48, 900)
    points = []
    for number in range(60):
        level *= 1 + rng.gauss(0, 0.008)
        close = level * (1 + 0.02 * sin(number / 9))
        points.append(
            {
                "date": day(at - (59 - number) * 86400),
                "open": round(level, 2),
                "high": round(max(level, close) * 1.006, 2),
                "low": round(min(level, close) * 0.994, 2),
                "close": round(close, 2),
                "volume": rng.randint(1_000, 90_000),
            }
        )
    return {"series": args.get("series", ""), "unit": "per lot", "source": "exchange feed, delayed", "points": points}


def read_survey(facts: Facts, rng: Random, at: float, args: Args) -> Any:
    return {
        "survey": "Product survey",
        "answers": int(facts["n"]),
        "shown": 34,
        "rows": [
            {
                "id": rng.randint(1000, 9999),
                "at": day(at - rng.randint(1, 40) * 86400),
                "size": rng.choice(("1-9", "10-49", "50+")),
                "rating": rng.randint(1, 5),
                "text": rng.choice(_VOICES),
            }
            for _ in range(34)
        ],
    }


def search_papers(facts: Facts, rng: Random, at: float, args: Args) -> Any:
    """Papers and patents: title, year, numbers and a short abstract."""
    sources = load("sources")
    own = sources.get(facts.get("topic", ""), [])
    pool = own * (9 // max(1, len(own)) + 1)
    return {
        "query": args.get("query", ""),
        "total": rng.randint(60, 900),
        "results": [
            {
                "id": f"10.5555/{rng.randint(10**6, 10**7)}",
                "title": item["title"],
                "year": int(facts["year"]) - rng.randint(0, 5),
                "authors": [f"{rng.choice('ABDEHJKLMRST')}. {name}" for name in rng.sample(_AUTHORS, 3)],
                "cited_by": rng.randint(0, 240),
                "abstract": item["snippet"],
                "open_access": rng.random() < 0.5,
                "sample": rng.randint(24, 1800),
            }
            for item in pool[:9]
        ],
    }


def company_profile(facts: Facts, rng: Random, at: float, args: Args) -> Any:
    year = int(facts["year"])
    return {
        "name": facts["company"],
        "founded": year - 9,
        "employees": int(facts["n"]),
        "accounts": [
            {
                "year": year - back,
                "revenue": rng.randint(2_000_000, 40_000_000),
                "profit": rng.randint(-400_000, 3_000_000),
                "equity": rng.randint(100_000, 9_000_000),
                "filed": day(at - back * 365 * 86400),
                "late": rng.random() < 0.3,
            }
            for back in range(1, 10)
        ],
        "officers": [
            {"name": name, "role": role, "since": year - rng.randint(1, 9), "share_pct": rng.choice((0, 0, 4, 71))}
            for name, role in zip(_AUTHORS[:5], ("director", "finance", "operations", "sales", "board"), strict=True)
        ],
        "events": [
            {"at": day(at - rng.randint(30, 2000) * 86400), "kind": kind, "text": text} for kind, text in _EVENTS
        ],
        "sanctions": {"checked": when(at), "lists": ["EU", "UN", "OFAC", "UK", "CH"], "hits": []},
    }


def python(facts: Facts, rng: Random, at: float, args: Args) -> Any:
    table = "\n".join(
        f"{number:>4}  {rng.gauss(60, 9):8.2f}  {rng.gauss(0.3, 0.08):7.3f}  {rng.random():.4f}" for number in range(48)
    )
    return {
        "code": args.get("code", ""),
        "stdout": f"draw      value     take       p\n{table}\nmean {rng.gauss(60, 1):.2f}  sd {rng.gauss(9, 0.4):.2f}  n=10000\n",
        "stderr": "",
        "seconds": round(rng.uniform(0.2, 7), 3),
    }
