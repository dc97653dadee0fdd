"""Pages of the audit log: the whole log for admins, one agent's as its Activity tab, and the download."""

import re
from typing import Any, Final

from django.http import HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from studio import token
from studio.audit import events, search
from studio.audit.events import Person
from studio.audit.record import record
from studio.audit.search import Filters
from studio.compress import compressed
from studio.ids import is_agent_id
from studio.people import guard
from studio.web import AppRequest, day, get_only, is_fragment, vary_on_htmx, whole_number, with_query

_WHO: Final = re.compile(r"[a-z]{1,16}:[\w.@-]{0,64}", re.ASCII)
_CURSOR: Final = "audit"


@compressed
@get_only
@vary_on_htmx
def audit_page(request: AppRequest) -> HttpResponse:
    guard.require(request, "admin")
    wanted = _wanted(request.GET)
    ctx = _context(request, wanted, reverse("audit"), _filters(wanted))
    ctx |= {
        "people": _choices(search.all_actors(), wanted.who),
        "kinds": events.kind_labels(),
        "download": with_query(reverse("audit-export"), **_filters(wanted)),
    }
    return render(request, "studio/_audit.html" if is_fragment(request) else "studio/audit.html", ctx)


@compressed
@get_only
@vary_on_htmx
def activity(request: AppRequest, agent_id: str) -> HttpResponse:
    """Show the events of one agent."""
    guard.get_agent(request, agent_id)
    wanted = _wanted(request.GET, agent_id)
    filters = {name: value for name, value in _filters(wanted).items() if name != "agent"}
    ctx = _context(request, wanted, reverse("activity", args=[agent_id]), filters)
    ctx |= {
        "people": _choices(search.actors_of(agent_id), wanted.who),
        # signing in is an event of no agent
        "kinds": [one for one in events.kind_labels() if one[0] != "sign-ins"],
        "download": "",
    }
    return render(request, "studio/_audit.html" if is_fragment(request) else "studio/activity.html", ctx)


@get_only
def audit_export(request: AppRequest) -> StreamingHttpResponse:
    """Send all events that match, one a line; the download is an event itself."""
    guard.require(request, "admin")
    wanted = _wanted(request.GET)
    record(guard.actor_of(request), "audit.export", data=_filters(wanted))
    name = f"audit-{timezone.now():%Y-%m-%d}.ndjson"
    return StreamingHttpResponse(
        search.lines(wanted),
        content_type="application/x-ndjson",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _context(request: AppRequest, wanted: Filters, address: str, filters: dict[str, str]) -> dict[str, Any]:
    event = whole_number(request.GET.get("event", ""))
    (below,) = token.unpack_or_none(request.GET.get("cursor", ""), _CURSOR, (int,)) or [None]
    if event is not None:
        # an event that a link leads to is the first on its page
        below = event + 1
    page = search.page(wanted, below)
    return {
        "address": address,
        "found": page.found,
        "wanted": wanted,
        "event": event,
        "event_found": any(one.event.id == event for one in page.found),
        "filters": filters,
        "newest": with_query(address, **filters),
        "older": page.older and with_query(address, **filters, cursor=token.pack(_CURSOR, page.older)),
        "is_first": below is None,
    }


def _choices(people: list[Person], who: str) -> list[tuple[str, str]]:
    """List the choices of a person, as (value, name); the one that is chosen is among them, even if unknown."""
    choices = [(person.key, person.name) for person in people]
    return choices if not who or who in dict(choices) else [*choices, (who, who)]


def _wanted(query: QueryDict, agent_id: str = "") -> Filters:
    """Read the filters of an address; unknown values are ignored."""
    kind, who, agent = query.get("kind", ""), query.get("who", ""), agent_id or query.get("agent", "").strip()
    return Filters(
        kind if kind in events.kinds() else "",
        who if _WHO.fullmatch(who) else "",
        agent if is_agent_id(agent) else "",
        day(query.get("since", "")),
        day(query.get("until", "")),
    )


def _filters(wanted: Filters) -> dict[str, str]:
    filters = {name: getattr(wanted, name) for name in ("kind", "who", "agent", "since", "until")}
    return {name: str(value) for name, value in filters.items() if value}
