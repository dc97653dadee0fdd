"""The audit log of the whole studio, for admins: filters, pages, and the log as a file."""

import re
from typing import Final
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_safe
from django.views.decorators.vary import vary_on_headers

from studio import guard
from studio.ids import is_agent_id
from studio.services import audit, audit_log, audit_search
from studio.services.audit_search import Wanted

_WHO: Final = re.compile(r"(?:person|key|system):[\w.@-]{0,64}", re.ASCII)
_ID: Final = re.compile(r"[0-9]{1,18}", re.ASCII)


@require_safe
@vary_on_headers("HX-Request")
def audit_page(request: HttpRequest) -> HttpResponse:
    guard.require(request, "admin")
    wanted = _wanted(request.GET)
    before = request.GET.get("before", "")
    below = int(before) if _ID.fullmatch(before) else None
    found, older = audit_search.page(wanted, below)
    filters = _filters(wanted)
    ctx = {
        "found": found,
        "wanted": wanted,
        "kinds": audit_log.kind_labels(),
        "people": audit_search.everybody(),
        "filters": urlencode(filters),
        "older": urlencode({**filters, "before": older}) if older else "",
        "is_first": below is None,
    }
    htmx = request.htmx  # type: ignore[attr-defined]
    return render(request, "studio/_audit.html" if htmx and not htmx.boosted else "studio/audit.html", ctx)


@require_GET
def audit_export(request: HttpRequest) -> StreamingHttpResponse:
    """Send all events that match, one a line; who took them is an event itself."""
    guard.require(request, "admin")
    wanted = _wanted(request.GET)
    audit.record(guard.actor_of(request), "audit.export", data=_filters(wanted))
    name = f"audit-{timezone.now():%Y-%m-%d}.ndjson"
    return StreamingHttpResponse(
        audit_search.lines(wanted),
        content_type="application/x-ndjson",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _wanted(query: QueryDict) -> Wanted:
    """Read the filters; what is not known stands for all."""
    kind, who, agent = query.get("kind", ""), query.get("who", ""), query.get("agent", "").strip()
    return Wanted(
        kind if kind in audit_log.kinds() else "",
        who if _WHO.fullmatch(who) else "",
        agent if is_agent_id(agent) else "",
        audit_search.day(query.get("since", "")),
        audit_search.day(query.get("until", "")),
    )


def _filters(wanted: Wanted) -> dict[str, str]:
    filters = {name: getattr(wanted, name) for name in ("kind", "who", "agent", "since", "until")}
    return {name: str(value) for name, value in filters.items() if value}
