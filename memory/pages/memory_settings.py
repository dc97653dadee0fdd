"""The Memory tab: an agent's memory settings and their versions."""

from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import ObjectDoesNotExist
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django_htmx.http import trigger_client_event

from memory.index import stats
from memory.pages.settings_conflict import SettingsConflict
from memory.pages.settings_form import SettingsForm
from studio import token
from studio.agents import memory_settings
from studio.agents.memory_settings import Conflict
from studio.compress import compressed
from studio.models import Agent, MemorySettings
from studio.people import guard
from studio.web import AppRequest, get_or_post, is_fragment, post_only, see_other, vary_on_htmx, whole_number

VERSIONS: Final = 10
PRESETS: Final = (3, 5, 10, 20)
_CURSOR: Final = "versions"


@compressed
@get_or_post
@vary_on_htmx
def memory(request: AppRequest, agent_id: str) -> HttpResponse:
    posted = request.method == "POST"
    agent = guard.get_agent(request, agent_id, "settings:write" if posted else "agents:read")
    form = _form(agent.memory, request.POST if posted else None)
    if not posted:
        return _show(request, agent, form)
    if not agent.is_agno:
        return _refused(request, agent)
    if not form.is_valid():
        return _show(request, agent, form, status=422)
    wanted = form.wanted()
    try:
        saved = memory_settings.save(guard.actor_of(request), agent, wanted, form.base)
    except Conflict as conflict:
        return _conflict(request, agent, conflict, SettingsConflict.of(conflict, form.base, wanted))
    except MemorySettings.DoesNotExist as error:
        raise Http404("the agent was removed meanwhile") from error
    return _done(request, agent, saved, _report(saved, form.base), focus=form.focus)


@post_only
def restore(request: AppRequest, agent_id: str) -> HttpResponse:
    agent = guard.get_agent(request, agent_id, "settings:write")
    if not agent.is_agno:
        return _refused(request, agent)
    old = whole_number(request.POST.get("version", "")) or 0
    base = whole_number(request.POST.get("base", "")) or 0
    try:
        values = memory_settings.values_at(agent, old)
        saved = memory_settings.restore(guard.actor_of(request), agent, old, base)
    except ObjectDoesNotExist as error:
        raise Http404("no such version, or the agent was removed meanwhile") from error
    except Conflict as conflict:
        return _conflict(request, agent, conflict, SettingsConflict.of(conflict, base, values, restored=old))
    return _done(request, agent, saved, _report(saved, base, old), focus="versions")


def _form(saved: MemorySettings, data: Any = None) -> SettingsForm:
    return SettingsForm(memory_settings.values_of(saved), saved.version, data)


def _report(saved: MemorySettings, base: int, old: int = 0) -> str:
    """Say what became of a save on top of version `base`, or of a restore of version `old`."""
    if saved.version == base:
        return f"Nothing to save: {f'version {old} is what is saved' if old else 'nothing was changed'}."
    restored = f", restored from version {old}" if old else ""
    return f"Saved as version {saved.version}{restored}. Agents get it when they are next loaded."


def _done(request: AppRequest, agent: Agent, saved: MemorySettings, said: str, *, focus: str = "") -> HttpResponse:
    """Answer a save with the new fragment and a notice, or without htmx with a redirect to the page."""
    if not request.htmx:
        messages.success(request, said)
        return see_other("memory", agent.pk)
    agent.memory = saved
    response = _show(request, agent, _form(saved), focus=focus)
    trigger_client_event(response, "notice", {"text": said})
    # the header and the sidebar show whether storage is on, and fetch themselves again
    return trigger_client_event(response, "agent-changed")


def _conflict(request: AppRequest, agent: Agent, found: Conflict, conflict: SettingsConflict) -> HttpResponse:
    """Show both changes, and the form with mine on top of theirs; saving it again saves on top of theirs."""
    theirs = memory_settings.values_of(found.current)
    if conflict.merged == theirs:
        said = f"{conflict.who} saved the same values meanwhile, as version {conflict.version}."
        return _done(request, agent, found.current, said)
    agent.memory = found.current
    form = SettingsForm.of_values(theirs, found.current.version, conflict.merged)
    return trigger_client_event(_show(request, agent, form, conflict=conflict, status=409), "agent-changed")


def _refused(request: AppRequest, agent: Agent) -> HttpResponse:
    messages.error(request, "Nothing was saved: memory settings are for Agno agents only.")
    return _show(request, agent, _form(agent.memory), status=409)


def _show(
    request: AppRequest,
    agent: Agent,
    form: SettingsForm,
    *,
    conflict: SettingsConflict | None = None,
    focus: str = "",
    status: int = 200,
) -> HttpResponse:
    (below,) = token.unpack_or_none(request.GET.get("cursor", ""), _CURSOR, (int,)) or [None]
    versions = memory_settings.versions(agent, below=below, limit=VERSIONS + 1)
    saved_values = memory_settings.values_of(agent.memory)
    measured = stats.latest_threads() if agent.is_agno else None
    ctx = {
        "form": form,
        "conflict": conflict,
        "focus": focus or (form.focus if form.errors else ""),
        "saved": agent.memory,
        "saved_values": saved_values,
        "defaults": memory_settings.defaults(),
        "editable": agent.is_agno and request.user.access.may("settings:write", agent.pk),
        "presets": PRESETS,
        "stats": measured if measured and measured.threads else None,
        "within": measured.percent_within(form.depth) if measured else 0,
        "versions": [(one, memory_settings.changes_to(one, saved_values)) for one in versions[:VERSIONS]],
        "older": token.pack(_CURSOR, versions[VERSIONS - 1].version) if len(versions) > VERSIONS else None,
        "below": below,
    }
    # the header asks for the whole page, and takes itself and the sidebar out of it
    part = is_fragment(request) and request.htmx.target != "agent-head"
    return render(request, "memory/_memory.html" if part else "memory/memory.html", ctx, status=status)
