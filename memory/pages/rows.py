"""Rows of the lists of threads and users. A page has fifty, so they are written here and not by a template."""

from datetime import datetime
from functools import lru_cache
from typing import Any

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from memory.pages.thread_query import STATUSES, name_of_user
from memory.query import Row
from studio import ids
from studio.models import Agent
from studio.render import Html
from studio.templatetags.addresses import address
from studio.templatetags.studio import ago, compact, icon, iso, moment, since

_NOTHING = SafeString('<span class="muted">—</span>')


def thread_rows(rows: list[Row], agent: Agent, *, content: bool, deletable: bool, previews: bool) -> SafeString:
    """Write the rows of a list of threads; titles are links where `content` may be read."""
    threads, users, delete = (address(name, agent.pk) for name in ("threads", "users", "threads-delete"))
    html, now, trash = Html(), timezone.now(), icon("trash-2", 15)
    for row in rows:
        key, title = ids.encode(row["session_id"]), row["title"]
        html.put("<tr>")
        if deletable:
            html.put(
                '<td class="pick"><input type="checkbox" name="id" value="%s" aria-label="Select %s"></td>', key, title
            )
        if content:
            html.put('<td class="wide"><a class="title" href="%s%s/" dir="auto">%s</a>', threads, key, title)
        else:
            html.put('<td class="wide"><span class="title" dir="auto">%s</span>', title)
        if previews and row["last_text"]:
            html.put('<span class="preview muted small" dir="auto">%s</span>', row["last_text"])
        _people(html, row, users)
        html.put('</td><td class="status">')
        html.add(_last_run(row["last_status"] or "", row["errors"]))
        html.put('</td><td class="num at">')
        _time(html, row["last_at"], now)
        html.put('</td><td class="num second hide">')
        _time(html, row["created_at"], now)
        html.put(
            '</td><td class="num hide">%s</td><td class="num second hide">%s</td>'
            '<td class="num hide">%s</td><td class="num hide">%s</td>',
            *(compact(row[name]) for name in ("runs", "messages", "tool_calls", "tokens")),
        )
        if deletable:
            html.put(
                '<td class="act"><a class="button plain tiny" href="%s?id=%s" hx-get="%s?id=%s" hx-target="body"'
                ' hx-swap="beforeend" aria-label="Delete %s">',
                *(delete, key, delete, key, title),
            )
            html.add(trash)
            html.put("</a></td>")
        html.put("</tr>\n")
    return html.done()


def user_rows(rows: list[Row], url: str) -> SafeString:
    """Write the rows of a list of users, whose pages lie below `url`."""
    html, now = Html(), timezone.now()
    for row in rows:
        html.put(
            '<tr><td class="wide"><a class="title" href="%s%s/" dir="auto">%s</a></td>'
            '<td class="num">%s<span class="unit"> thread%s</span></td>'
            '<td class="num">%s<span class="unit"> run%s</span></td><td class="num second hide">',
            *(url, ids.encode(row["user_id"]), name_of_user(row["user_id"])),
            *(f"{row['threads']:,}", "" if row["threads"] == 1 else "s"),
            *(compact(row["runs"]), "" if row["runs"] == 1 else "s"),
        )
        _time(html, row["first_at"], now)
        html.put('</td><td class="num at">')
        _time(html, row["seen_at"], now)
        html.put("</td></tr>\n")
    return html.done()


def _people(html: Html, row: Row, users: str) -> None:
    html.put('<span class="people muted small">')
    for number, user in enumerate(row["users"]):
        html.put(", " if number else "")
        html.put('<a href="%s%s/"><bdi>%s</bdi></a>', users, ids.encode(user), name_of_user(user))
    if not row["users"]:
        html.put("no user")
    more = row["users_count"] - len(row["users"])
    if more > 0:
        html.put(' <span class="badge" title="%s users">+%s</span>', str(row["users_count"]), str(more))
    html.put(' <span class="badge">shared</span></span>' if row["shared"] else "</span>")


def _time(html: Html, value: Any, now: datetime) -> None:
    at = moment(value)
    if at is None:
        html.add(ago(value))
        return
    stamp = iso(at)
    html.put('<time datetime="%sZ" title="%s UTC" data-ago>%s</time>', stamp, stamp.replace("T", " "), since(at, now))


@lru_cache(maxsize=512)
def _last_run(status: str, errors: int) -> SafeString:
    """Show how the last run ended, and errors of the thread that this does not tell."""
    tone, word = STATUSES.get(status, ("", status[:40]))
    badge = format_html('<span class="badge {}">{}</span>', tone, word) if word else _NOTHING
    if not errors or (errors == 1 and tone == "bad"):
        return badge
    words = f"{errors:,} error{'' if errors == 1 else 's'}"
    return badge + format_html(' <span class="errors small">{}</span>', words)
