"""The audit log of the whole studio, for admins: filters, pages, and the log as a file."""

import re
from typing import Final
from urllib.parse import urlencode

from django.http import HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone

from studio.audit import events, search
from studio.audit.record import record
from studio.audit.search import Wanted
from studio.compress import compressed
from studio.ids import is_agent_id
from studio.people import guard
from studio.web import AppRequest, get_only, is_fragment, vary_on_htmx, whole_number

_WHO: Final = re.compile(r"(?:person|key|system):[\w.@-]{0,64}", re.ASCII)


@compressed
@get_only
@vary_on_htmx
def audit_page(request: AppRequest) -> HttpResponse:
    guard.require(request, "admin")
    wanted = _wanted(request.GET)
    below = whole_number(request.GET.get("before", ""))
    found, older = search.page(wanted, below)
    filters = _filters(wanted)
    ctx = {
        "found": found,
        "wanted": wanted,
        "kinds": events.kind_labels(),
        "people": search.everybody(),
        "filters": urlencode(filters),
        "older": urlencode({**filters, "before": older}) if older else "",
        "is_first": below is None,
    }
    return render(request, "studio/_audit.html" if is_fragment(request) else "studio/audit.html", ctx)


@get_only
def audit_export(request: AppRequest) -> StreamingHttpResponse:
    """Send all events that match, one a line; who took them is an event itself."""
    guard.require(request, "admin")
    wanted = _wanted(request.GET)
    record(guard.actor_of(request), "audit.export", data=_filters(wanted))
    name = f"audit-{timezone.now():%Y-%m-%d}.ndjson"
    return StreamingHttpResponse(
        search.lines(wanted),
        content_type="application/x-ndjson",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _wanted(query: QueryDict) -> Wanted:
    """Read the filters; what is not known stands for all."""
    kind, who, agent = query.get("kind", ""), query.get("who", ""), query.get("agent", "").strip()
    return Wanted(
        kind if kind in events.kinds() else "",
        who if _WHO.fullmatch(who) else "",
        agent if is_agent_id(agent) else "",
        search.day(query.get("since", "")),
        search.day(query.get("until", "")),
    )


def _filters(wanted: Wanted) -> dict[str, str]:
    filters = {name: getattr(wanted, name) for name in ("kind", "who", "agent", "since", "until")}
    return {name: str(value) for name, value in filters.items() if value}
