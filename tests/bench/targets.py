"""Targets of the pages, and how a figure is compared with them."""

from dataclasses import dataclass
from typing import Final, Literal

# A ratio this far off its target ends `make bench CHECK=1` with an error.
SLACK: Final = 1 / 3
# "The same" is the same within what one machine shows of one page asked twice.
NOISE: Final = 0.1


@dataclass(frozen=True)
class Target:
    """A bound on a ratio or a figure. `against` names what it is divided by, "" for a figure by itself.

    `topic` is the head of the paragraph in limits.md that says why it is missed, when it is.
    """

    topic: str
    against: str
    limit: float
    kind: Literal["at least", "at most"]
    unit: str = "×"

    def met(self, value: float) -> bool:
        if self.kind == "at least":
            return value >= self.limit
        return value <= self.limit * (1 + (NOISE if self.is_same else 0))

    def missed_by_far(self, value: float) -> bool:
        """Whether the value is more than a third on the wrong side."""
        if self.kind == "at least":
            return value < self.limit * (1 - SLACK)
        return value > self.limit * (1 + SLACK)

    @property
    def is_same(self) -> bool:
        return self.kind == "at most" and self.limit == 1 and bool(self.against)

    @property
    def words(self) -> str:
        if self.is_same:
            return "the same"
        return f"{'≥' if self.kind == 'at least' else '≤'} {self.limit:g}{self.unit}"


def above(topic: str, against: str, limit: float, unit: str = "×") -> Target:
    return Target(topic, against, limit, "at least", unit)


def below(topic: str, against: str, limit: float, unit: str = "×") -> Target:
    return Target(topic, against, limit, "at most", unit)


@dataclass(frozen=True)
class Verdict:
    """A target beside what was measured."""

    what: str
    value: float
    target: Target

    @property
    def ok(self) -> bool:
        return self.target.met(self.value)

    @property
    def mark(self) -> str:
        return "✓" if self.ok else "✗"
