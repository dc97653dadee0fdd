"""Activity: the agent's part of the audit log."""

import re
from typing import Final
from urllib.parse import urlencode

from django.http import HttpResponse, QueryDict
from django.shortcuts import render

from studio.audit import events
from studio.compress import compressed
from studio.people import guard
from studio.web import AppRequest, get_only, is_fragment, vary_on_htmx, whole_number

_WHO: Final = re.compile(r"[a-z]{1,16}:[\w.@-]{0,64}", re.ASCII)


@compressed
@get_only
@vary_on_htmx
def activity(request: AppRequest, agent_id: str) -> HttpResponse:
    agent = guard.get_agent(request, agent_id)
    kind, who = _filters(request.GET)
    before, event = (whole_number(request.GET.get(name, "")) for name in ("before", "event"))
    # an event that somebody links to is the first of its page, however old it is
    below = event + 1 if event is not None else before
    page = events.of_agent(agent.pk, kind=kind, who=who, below=below)
    filters = {name: value for name, value in (("kind", kind), ("who", who)) if value}
    ctx = {
        "page": page,
        "kinds": events.kind_labels(),
        "kind": kind,
        "who": who,
        "who_name": next((person.name for person in page.people if person.key == who), ""),
        "event": event,
        "event_found": any(one.id == event for one in page.events),
        "is_first": below is None,
        "filters": urlencode(filters),
        "older": urlencode({**filters, "before": page.older}) if page.older else "",
    }
    return render(request, "memory/_activity.html" if is_fragment(request) else "memory/activity.html", ctx)


def _filters(query: QueryDict) -> tuple[str, str]:
    """Read kind and who; what is not known stands for all."""
    kind, who = query.get("kind", ""), query.get("who", "")
    return kind if kind in events.kinds() else "", who if _WHO.fullmatch(who) else ""
