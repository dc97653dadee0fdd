"""What the analyst's SQL tool answers: rows of one of four tables."""

from random import Random
from typing import Any, Final

from memory.demo.tools.common import Args, Facts, day

# tables of the warehouse: (column, kind of cell), and which topic reads which
_TABLES: Final[dict[str, tuple[tuple[str, object], ...]]] = {
    "accounts": (
        ("plan", ("starter", "team", "business")),
        ("month", "month"),
        ("accounts", 4200),
        ("lost", 190),
        ("churn_pct", 7.4),
        ("mrr", 180_000.0),
        ("seats_p50", 12),
        ("days_p90", 300),
    ),
    "parcels": (
        ("box", ("S", "M", "L", "XL")),
        ("month", "month"),
        ("parcels", 9200),
        ("fill_ratio", 1.0),
        ("filling_g", 240),
        ("district", ("centre", "north", "harbour", "station", "hills")),
        ("cost_per_parcel", 4.2),
        ("returned", 310),
    ),
    "sites": (
        ("site", ("old town", "station", "harbour", "motorway A4", "airport")),
        ("month", "month"),
        ("utilisation_pct", 92.0),
        ("nights", 5200),
        ("mwh", 840.0),
        ("flats_per_ha", 130),
        ("cost_per_mwh", 170.0),
        ("sample", 900),
    ),
    "offers": (
        ("supplier", ("A", "B", "C", "D", "E")),
        ("month", "month"),
        ("unit_price", 89.0),
        ("lead_days", 28),
        ("complaints_pct", 3.1),
        ("ordered", 900),
        ("minimum", 200),
        ("on_time_pct", 100.0),
    ),
}
_TABLE_OF: Final = {
    "packaging": "parcels",
    "bikes": "parcels",
    "forecast": "parcels",
    "ev": "sites",
    "tourism": "sites",
    "heat_pumps": "sites",
    "pricing": "offers",
}


def run_sql(facts: Facts, rng: Random, at: float, args: Args) -> Any:
    columns = _TABLES[_TABLE_OF.get(facts.get("topic", ""), "accounts")]
    count = rng.randint(28, 64)
    rows = [[_cell(rng, kind, at - number * 30 * 86400) for _, kind in columns] for number in range(count)]
    return {
        "query": args.get("query", args.get("topic", "")),
        "columns": [name for name, _ in columns],
        "rows": rows,
        "row_count": count,
        "elapsed_ms": rng.randint(40, 2900),
        "warehouse": "analytics_ro",
        "cost": {"bytes_scanned": rng.randint(10**7, 10**9), "cached": rng.random() < 0.3},
    }


def _cell(rng: Random, kind: object, at: float) -> object:
    """One cell: a month, a word of a choice, a whole number up to an int, or a fraction up to a float."""
    if kind == "month":
        return day(at)[:7]
    if isinstance(kind, tuple):
        return rng.choice(kind)
    return rng.randint(0, kind) if isinstance(kind, int) else round(rng.uniform(0, float(str(kind))), 2)
