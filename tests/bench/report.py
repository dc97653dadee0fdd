"""Write what was measured as Markdown: a table of pages, each ratio beside its target, and the rest."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from tests.bench.targets import Verdict

NONE: Final = "—"
UNWRITTEN: Final = "Not explained yet."
_TOPIC: Final = re.compile(r"\*\*(.+?)\.\*\*")


@dataclass
class PageResult:
    """A page in ms, by contender (`ours`, `raw`, the peers' versions), with its verdicts."""

    key: str
    title: str
    ms: dict[str, float]
    spread: dict[str, float] = field(default_factory=dict)
    size: int = 0
    trips: int | None = None
    verdicts: list[Verdict] = field(default_factory=list)


@dataclass
class Section:
    """A heading with a table below, and text around it."""

    title: str
    head: list[str]
    rows: list[list[str]]
    before: str = ""
    after: str = ""


@dataclass
class Part:
    """What one measurement found: its targets, and what else it has to show."""

    verdicts: list[Verdict]
    sections: list[Section]


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    """Lay a table out; every column but the first is of figures."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '·') for cell in line)} |" for line in lines)


def ms(value: float | None) -> str:
    """Write milliseconds with three digits."""
    if value is None:
        return NONE
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def times(value: float) -> str:
    return f"{value:,.0f}×" if value >= 20 else f"{value:.2g}×"


def pages(results: list[PageResult], peers: list[str]) -> Section:
    """The pages: ms of each contender, and how they compare."""
    head = ["page", "ours", "raw", *(f"AgentOS {version}" for version in peers), "ours / raw"]
    head += ["peer / ours", "round trips", "KB sent"]
    rows = []
    for one in results:
        ours, raw = one.ms["ours"], one.ms.get("raw")
        versions = [one.ms.get(version) for version in peers]
        ratios = [times(value / ours) for value in versions if value]
        rows.append(
            [
                *(one.title, ms(ours), ms(raw), *map(ms, versions)),
                *(times(ours / raw) if raw else NONE, " · ".join(ratios) or NONE),
                *(NONE if one.trips is None else str(one.trips), f"{one.size / 1000:.0f}" if one.size else NONE),
            ]
        )
    return Section("Pages, in milliseconds", head, rows)


def verdicts(found: list[Verdict]) -> Section:
    """All targets, each with what was measured; those of one topic stand together."""
    topics = list(dict.fromkeys(one.target.topic for one in found))
    rows = [
        [one.target.topic, one.what, one.target.words, figure(one), one.mark]
        for one in sorted(found, key=lambda one: topics.index(one.target.topic))
    ]
    return Section("Targets", ["topic", "target", "limit", "measured", ""], rows)


def limits(found: list[Verdict], paragraphs: dict[str, str]) -> Section:
    """The paragraph of each topic that misses a target; one that is not written yet is named."""
    topics = dict.fromkeys(one.target.topic for one in found if not one.ok)
    texts = [paragraphs.get(topic) or f"**{topic}.** {UNWRITTEN}" for topic in topics]
    return Section("Limits", [], [], "\n\n".join(["What is missed, why, and what was tried.", *texts]))


def paragraphs(text: str) -> dict[str, str]:
    """Read paragraphs by their topic, which stands in bold at the beginning of each."""
    parts = re.split(r"^(?=\*\*)", text, flags=re.MULTILINE)
    return {head[1]: part.strip() for part in parts if (head := _TOPIC.match(part))}


def unexplained(found: list[Verdict], written: dict[str, str]) -> list[str]:
    """The topics that miss a target and have no paragraph."""
    return sorted({one.target.topic for one in found if not one.ok} - written.keys())


def figure(one: Verdict) -> str:
    if one.target.unit == "×":
        return times(one.value)
    return f"{one.value:,.0f}{one.target.unit}" if abs(one.value) >= 100 else f"{one.value:.3g}{one.target.unit}"


def missed(found: list[Verdict]) -> list[str]:
    """Say which ratios miss their target by more than a third."""
    return [
        f"{one.what}: {figure(one)}, {one.target.words} wanted" for one in found if one.target.missed_by_far(one.value)
    ]


def document(title: str, facts: dict[str, str], chart: str, sections: list[Section]) -> str:
    """Put the report together; `chart` is the name of the picture beside it."""
    lines = [f"# {title}", "", *(f"- {name}: {value}" for name, value in facts.items()), "", f"![Charts]({chart})", ""]
    for section in sections:
        lines += [f"## {section.title}", ""]
        lines += [section.before, ""] if section.before else []
        lines += [table(section.head, section.rows), ""] if section.rows else []
        lines += [section.after, ""] if section.after else []
    return "\n".join(lines).rstrip() + "\n"
