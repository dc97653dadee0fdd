"""Filters and tags for every page: times, numbers, icons. All take whatever was stored, and never raise."""

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from lucide.templatetags.lucide import lucide

from studio.agents.sidebar import Neighbour
from studio.models import Agent, Framework
from studio.render import Html
from studio.templatetags.addresses import address

register = template.Library()

NOTHING: Final = "—"
_MONTHS: Final = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
# a number this large is not seconds: some writers store milli-, micro- or nanoseconds
_UNITS: Final = ((10**17, 10**9), (10**14, 10**6), (10**11, 10**3))


def moment(value: Any) -> datetime | None:
    """Read a time: a datetime, or epoch seconds, or the finer units that it must then be; else None."""
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    number = _number(value)
    if number is None or not 0 < number < 10**20:
        return None
    for size, unit in _UNITS:
        if number >= size:
            number /= unit
            break
    try:
        return datetime.fromtimestamp(number, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _number(value: Any) -> float | None:
    """Read a finite number; None for everything else, also for what no float can hold."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def iso(at: datetime) -> str:
    """Write a time as 2026-11-22T08:51:07, without its zone, which is UTC; faster than strftime."""
    return at.isoformat(timespec="seconds")[:19]


def _no_time(value: Any) -> SafeString | str:
    if value is None or value == "":
        return NOTHING
    return format_html('<span class="muted" title="Stored: {}">no valid time</span>', str(value)[:40])


def since(at: datetime, now: datetime) -> str:
    """Say how long ago something was; studio.js refreshes with the same words."""
    seconds = (now - at).total_seconds()
    days = (now.date() - at.date()).days
    if -60 < seconds < 60:
        return "just now"
    if 0 < seconds < 3600:
        return f"{int(seconds // 60)} min ago"
    if 0 < seconds < 86_400:
        return f"{int(seconds // 3600)} h ago"
    if days == 1:
        return "yesterday"
    if 1 < days < 7:
        return f"{days} days ago"
    return f"{at.day} {_MONTHS[at.month - 1]}" + ("" if at.year == now.year else f" {at.year}")


@register.filter
def ago(value: Any) -> SafeString | str:
    """Show a stored time as `<time>`: relative words, the absolute time in UTC as its title."""
    at = moment(value)
    if at is None:
        return _no_time(value)
    stamp, words = iso(at), since(at, timezone.now())
    return format_html('<time datetime="{}Z" title="{} UTC" data-ago>{}</time>', stamp, stamp.replace("T", " "), words)


@register.filter
def when(value: Any) -> SafeString | str:
    """Show a stored time as `<time>` in full: day, minute and zone."""
    at = moment(value)
    if at is None:
        return _no_time(value)
    stamp, words = iso(at), f"{at.day} {at:%b %Y, %H:%M} UTC"
    return format_html('<time datetime="{}Z" title="{} UTC">{}</time>', stamp, stamp.replace("T", " "), words)


def _three_digits(number: float) -> str:
    return f"{number:.1f}" if number < 99.95 else f"{number:.0f}"


@register.filter
def compact(value: Any) -> str:
    """Shorten a count to three digits: 950, 18.4k, 1.2M."""
    return _compact(value) if type(value) is int else _shortened(value)


@lru_cache(maxsize=4096)
def _compact(value: int) -> str:
    # a list has hundreds of them, mostly small
    return _shortened(value)


def _shortened(value: Any) -> str:
    number = _number(value)
    if number is None:
        return NOTHING
    sign, number = ("−" if number < 0 else ""), abs(number)
    if number < 1000:
        return f"{sign}{number:.0f}"
    for suffix in "kMBT":
        number /= 1000
        if number < 999.5 or suffix == "T":
            return f"{sign}{_three_digits(number)}{suffix}" if number < 10**6 else f"{sign}{number:.0e}{suffix}"
    return NOTHING


@register.filter
def count(value: Any) -> str:
    """Write a count in full, with commas: 1,234."""
    number = _number(value)
    return NOTHING if number is None else f"{int(number):,}"


@register.filter
def size(value: Any) -> str:
    """Show bytes with a unit: 640 B, 1.2 KB, 3.4 MB (1 KB is 1,000 bytes)."""
    number = _number(value)
    if number is None or number < 0:
        return NOTHING
    if number < 1000:
        return f"{number:.0f} B"
    for suffix in ("KB", "MB", "GB", "TB"):
        number /= 1000
        if number < 999.5 or suffix == "TB":
            return f"{_three_digits(number)} {suffix}"
    return NOTHING


@register.filter
def duration(value: Any) -> str:
    """Show seconds as one or two units: 640 ms, 2.6 s, 3 min 20 s, 2 h 5 min."""
    seconds = _number(value)
    if seconds is None or not 0 <= seconds < 10**9:
        return NOTHING
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"


@lru_cache(maxsize=256)
def _svg(name: str, pixels: int) -> str:
    return lucide(name, size=pixels, aria_hidden="true", **{"class": "icon"})


@register.simple_tag
def icon(name: str, size: int = 16) -> str:
    """Draw a Lucide icon as inline SVG, hidden from screen readers."""
    return _svg(name, size)


@register.simple_tag(takes_context=True)
def current(context: template.Context, *names: str) -> SafeString:
    """Write aria-current on a link when the page's URL name is among `names` (the first: the page itself)."""
    match = getattr(context.get("request"), "resolver_match", None)
    name = match.url_name if match else None
    if name not in names:
        return SafeString("")
    return format_html(' aria-current="{}"', "page" if name == names[0] else "true")


def _storage(agent: Neighbour) -> tuple[bool, str]:
    if agent.framework != Framework.AGNO:
        return False, "not available"
    return bool(agent.storage), "on" if agent.storage else "off"


@lru_cache(maxsize=8)
def _dot(on: bool, words: str) -> SafeString:
    """Draw the dot for session storage, filled when it is on; its words are the title, and for screen readers."""
    return format_html(
        '<span class="{}" title="Session storage {}"><span class="unseen">, session storage {}</span></span>',
        "dot" if on else "dot off",
        words,
        words,
    )


@register.filter
def initials(agent: Agent | Neighbour) -> str:
    """Shorten an agent to its icon, or else the first letters of two words of its name."""
    return agent.icon or "".join(word[0] for word in agent.name.split()[:2]).upper()


@register.simple_tag
def agent_links(agents: list[Neighbour], here: Agent | None) -> SafeString:
    """List the sidebar's agents; as text, because forty of them by a template were a third of every page's time."""
    # an agent's id needs no quoting anywhere
    before, after = address("memory", "0").split("0")
    html, current = Html(), here.pk if here else ""
    for agent in agents:
        html.put('<li><a href="%s%s%s"', before, agent.id, after)
        if agent.id == current:
            html.put(' aria-current="true"')
        html.put(
            '><span class="icon-text" aria-hidden="true">%s</span><span class="name">%s</span>',
            *(initials(agent), agent.name),
        )
        html.add(_dot(*_storage(agent)))
        html.put("</a></li>\n")
    return html.done()


@register.simple_tag
def options(pairs: Iterable[Sequence[str]], chosen: str) -> SafeString:
    """List what a `<select>` offers, from (value, words, …), with what is chosen."""
    html = Html()
    for value, words, *_ in pairs:
        html.put('<option value="%s"', value)
        html.put(" selected>%s</option>" if value == chosen else ">%s</option>", words)
    return html.done()


@register.simple_tag
def storage(agent: Agent) -> SafeString:
    """Draw the dot for session storage with its words beside it."""
    on, words = _storage(Neighbour.of(agent))
    return format_html(
        '<span class="state"><span class="{}"></span><span><span class="unit">storage </span>{}</span></span>',
        "dot" if on else "dot off",
        words,
    )
