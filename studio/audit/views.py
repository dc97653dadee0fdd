"""Pages of the audit log: the whole log for admins, one agent's as its Activity tab, and the download."""

from collections import Counter
from typing import Any, Final

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from studio import token
from studio.audit import events, search
from studio.audit.forms import FILTERS, PLACES, AuditQuery, no_agent, nobody
from studio.audit.record import record
from studio.audit.search import Choice, Page
from studio.compress import compressed
from studio.people import guard
from studio.web import AppRequest, get_only, is_fragment, vary_on_htmx, with_query

_CURSOR: Final = "audit"
_KINDS: Final = events.kind_labels()
# signing in is an event of no agent
_KINDS_OF_AN_AGENT: Final = [one for one in _KINDS if one[0] != "sign-ins"]


@compressed
@get_only
@vary_on_htmx
def audit_page(request: AppRequest) -> HttpResponse:
    guard.require(request, "admin")
    return _audit(request, AuditQuery.read(request.GET, [kind for kind, _ in _KINDS], FILTERS + PLACES))


@compressed
@get_only
@vary_on_htmx
def activity(request: AppRequest, agent_id: str) -> HttpResponse:
    """Show the events of one agent."""
    guard.get_agent(request, agent_id)
    names = tuple(name for name in FILTERS + PLACES if name != "agent")
    query = AuditQuery.read(request.GET, [kind for kind, _ in _KINDS_OF_AN_AGENT], names, agent_id)
    ctx = _context(request, query, reverse("activity", args=[agent_id]), search.actors_of(agent_id), [])
    ctx |= {"kinds": _with_chosen(_KINDS_OF_AN_AGENT, query.filters.kind), "download": ""}
    return render(request, "studio/_audit.html" if is_fragment(request) else "studio/activity.html", ctx)


@get_only
def audit_export(request: AppRequest) -> HttpResponseBase:
    """Send all events that match, one a line; the download is an event itself."""
    guard.require(request, "admin")
    query = AuditQuery.read(request.GET, [kind for kind, _ in _KINDS], FILTERS)
    if query.wrong:
        return _audit(request, query, status=422)
    record(guard.actor_of(request), "audit.export", data=query.given)
    name = f"audit-{timezone.now():%Y-%m-%d}.ndjson"
    return StreamingHttpResponse(
        search.lines(query.filters),
        content_type="application/x-ndjson",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _audit(request: AppRequest, query: AuditQuery, status: int = 200) -> HttpResponse:
    ctx = _context(request, query, reverse("audit"), search.all_actors(), search.all_agents())
    ctx |= {
        "kinds": _with_chosen(_KINDS, query.filters.kind),
        "download": "" if ctx["wrong"] else with_query(reverse("audit-export"), **query.given),
    }
    template = "studio/_audit.html" if is_fragment(request) else "studio/audit.html"
    return render(request, template, ctx, status=status)


def _context(
    request: AppRequest, query: AuditQuery, address: str, people: list[Choice], agents: list[Choice]
) -> dict[str, Any]:
    (below,) = token.unpack_or_none(request.GET.get("cursor", ""), _CURSOR, (int,)) or [None]
    if query.event is not None:
        # an event that a link leads to is the first on its page
        below = query.event + 1
    page = Page([], None) if query.wrong else search.page(query.filters, below, query.event)
    who, agent = query.given.get("who", ""), query.given.get("agent", "")
    return {
        "address": address,
        "found": page.found,
        "wanted": query.filters,
        "wrong": list(dict.fromkeys(query.wrong + ([] if page.found else _unknown(who, people, agent, agents)))),
        "people": _choices(people, who),
        "agents": _choices(agents, agent),
        "event": query.event,
        "event_found": any(one.event.id == query.event for one in page.found),
        "filters": query.given,
        "newest": with_query(address, **query.given),
        "older": page.older and with_query(address, **query.given, cursor=token.pack(_CURSOR, page.older)),
        "is_first": below is None,
    }


def _choices(known: list[Choice], chosen: str) -> list[tuple[str, str]]:
    """List people or agents as (value, words); of two with one name the words say which is which."""
    often = Counter(one.name for one in known)
    return _with_chosen(
        [(value, f"{name} ({hint})" if often[name] > 1 else name) for value, name, hint in known], chosen
    )


def _with_chosen(choices: list[tuple[str, str]], chosen: str) -> list[tuple[str, str]]:
    """Add what is chosen and unknown, so that the form shows it."""
    return choices if not chosen or chosen in dict(choices) else [*choices, (chosen, chosen)]


def _unknown(who: str, people: list[Choice], agent: str, agents: list[Choice]) -> list[str]:
    """Say what is chosen and unknown, for a page where nothing was found."""
    said = [nobody(who)] if who and who not in {one.value for one in people} else []
    return said + ([no_agent(agent)] if agent and agent not in {one.value for one in agents} else [])
