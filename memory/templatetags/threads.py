"""Cells of the list of threads: 50 rows of them are most of what the page costs, so each is one call."""

from functools import lru_cache
from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()

_SHARED = SafeString(' <span class="badge">shared</span>')
_NOTHING = SafeString('<span class="muted">—</span>')


@register.filter
def about(row: dict[str, Any], with_preview: bool) -> SafeString:
    """Show what a thread is about, and who is in it; linked where the person may read it."""
    title = (
        format_html('<a class="title" href="{}" dir="auto">{}</a>', row["href"], row["title"])
        if row["href"]
        else format_html('<span class="title" dir="auto">{}</span>', row["title"])
    )
    preview = row["last_text"] if with_preview else None
    return format_html(
        '{}{}<span class="people muted small">{}{}{}</span>',
        title,
        format_html('<span class="preview muted small" dir="auto">{}</span>', preview) if preview else "",
        format_html_join(", ", '<a href="{}"><bdi>{}</bdi></a>', ((href, name) for href, name in row["people"]))
        or "no user",
        format_html(' <span class="badge" title="{} users">+{}</span>', row["users_count"], row["more_people"])
        if row["more_people"] > 0
        else "",
        _SHARED if row["shared"] else "",
    )


@register.filter
def last_run(row: dict[str, Any]) -> SafeString:
    """Show how the last run ended, and errors of the thread that this does not tell."""
    errors = row["errors"]
    return _badge(row["tone"], row["status"], 0 if errors == 1 and row["tone"] == "bad" else errors)


@lru_cache(maxsize=512)
def _badge(tone: str, status: str, errors: int) -> SafeString:
    badge = format_html('<span class="badge {}">{}</span>', tone, status) if status else _NOTHING
    if not errors:
        return badge
    words = f"{errors:,} error{'' if errors == 1 else 's'}"
    return badge + format_html(' <span class="errors small">{}</span>', words)
