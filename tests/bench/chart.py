"""Draw what was measured as SVG, by hand: bars of each page, and lines of cost against size."""

import math
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH: Final = 960
LEFT: Final = 300
ROW: Final = 15
COLOURS: Final = {"ours": "#2f6fde", "raw": "#8a94a6", "2.5.14": "#e0862b", "3.1.10": "#c0504d"}
LINES: Final = ("#2f6fde", "#1f9d76", "#8e5cd9", "#c98a1b", "#c0504d", "#57606f", "#2aa1b3", "#a3455f")
_STYLE: Final = (
    "text{font:12px system-ui,sans-serif;fill:#1d2530}.m{fill:#667085}.h{font-size:15px;font-weight:600}"
    "line{stroke:#d5dae3}polyline{fill:none;stroke-width:2}"
    "@media(prefers-color-scheme:dark){text{fill:#e6e9ef}.m{fill:#98a2b3}.bg{fill:#11161d}line{stroke:#303a48}}"
)


@dataclass(frozen=True)
class Scale:
    """A logarithmic axis from `low` to `high` on `left` to `right`, in whole powers of ten."""

    low: float
    high: float
    left: float
    right: float

    @classmethod
    def over(cls, values: list[float], left: float, right: float) -> "Scale":
        low = 10 ** math.floor(math.log10(min(values)))
        high = 10 ** math.ceil(math.log10(max(values)))
        return cls(low, high if high > low else low * 10, left, right)

    def at(self, value: float) -> float:
        part = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        return self.left + part * (self.right - self.left)

    @property
    def ticks(self) -> list[float]:
        return [10.0**power for power in range(round(math.log10(self.low)), round(math.log10(self.high)) + 1)]


def draw(bars: list[tuple[str, dict[str, float]]], sizes: list[int], lines: dict[str, list[float]]) -> str:
    """Draw one picture: `bars` are pages with ms by contender; `lines` ms of pages at `sizes` threads."""
    upper, height = _bars(bars)
    lower, height = _lines(sizes, lines, height + 50) if len(sizes) > 1 else ([], height)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height + 20:.0f}" role="img"'
            ' aria-label="Milliseconds of each page by contender, and against the number of threads">',
            f"<style>{_STYLE}</style>",
            f'<rect class="bg" width="{WIDTH}" height="{height + 20:.0f}" fill="#fff"/>',
            *upper,
            *lower,
            "</svg>\n",
        ]
    )


def _bars(bars: list[tuple[str, dict[str, float]]]) -> tuple[list[str], float]:
    scale = Scale.over([value for _, ms in bars for value in ms.values()], LEFT, WIDTH - 80)
    parts = [_text(20, 28, "Milliseconds a page (logarithmic; shorter is better)", "h")]
    x = 20.0
    for name, colour in COLOURS.items():
        label = name if name in ("ours", "raw") else f"AgentOS {name}"
        parts += [f'<rect x="{x}" y="40" width="12" height="12" fill="{colour}"/>', _text(x + 18, 51, label)]
        x += 50 + 7 * len(label)
    top = y = 72.0
    for title, ms in bars:
        parts.append(_text(LEFT - 10, y + ROW * len(ms) / 2 + 4, title, anchor="end"))
        for name, value in ms.items():
            width = max(scale.at(value) - LEFT, 1)
            parts.append(
                f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{ROW - 3}" fill="{COLOURS.get(name, "#888")}"/>'
            )
            parts.append(_text(LEFT + width + 5, y + 10, f"{value:,.0f}" if value >= 100 else f"{value:.3g}", "m"))
            y += ROW
        y += 9
    for tick in scale.ticks:
        parts.insert(1, f'<line x1="{scale.at(tick):.1f}" x2="{scale.at(tick):.1f}" y1="{top - 6}" y2="{y}"/>')
        parts.append(_text(scale.at(tick), y + 14, f"{tick:g}", "m", "middle"))
    return parts, y + 20


def _lines(sizes: list[int], lines: dict[str, list[float]], top: float) -> tuple[list[str], float]:
    across = Scale(min(sizes), max(sizes), 70, WIDTH - 290)
    upward = Scale.over([value for ms in lines.values() for value in ms], top + 290, top + 30)
    parts = [_text(20, top, "Milliseconds against the number of threads (flat is good)", "h")]
    for tick in upward.ticks:
        y = upward.at(tick)
        parts += [f'<line x1="70" x2="{WIDTH - 290}" y1="{y:.1f}" y2="{y:.1f}"/>']
        parts += [_text(60, y + 4, f"{tick:g}", "m", "end")]
    for size in sizes:
        parts.append(_text(across.at(size), top + 310, f"{size:,}", "m", "middle"))
    last = sorted(lines, key=lambda name: upward.at(lines[name][-1]))
    label_y = 0.0
    for name in last:
        colour = LINES[list(lines).index(name) % len(LINES)]
        points = " ".join(
            f"{across.at(size):.1f},{upward.at(value):.1f}" for size, value in zip(sizes, lines[name], strict=True)
        )
        parts.append(f'<polyline points="{points}" stroke="{colour}"/>')
        label_y = max(upward.at(lines[name][-1]) + 4, label_y + 15)
        parts.append(
            f'<text x="{WIDTH - 278}" y="{label_y:.1f}" style="fill:{colour}">'
            f"{escape(name)}: {lines[name][-1]:.3g}</text>"
        )
    return parts, max(top + 320, label_y)


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    kinds = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{kinds} text-anchor="{anchor}">{escape(words)}</text>'
