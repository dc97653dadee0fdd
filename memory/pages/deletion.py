"""Pages that delete threads: first a question with exact counts, then the deletion."""

import time
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import Resolver404, resolve, reverse
from django_htmx.http import HttpResponseClientRedirect, reswap, retarget, trigger_client_event

from memory.index import threads, users
from memory.index.removal import Size
from memory.pages.thread_list import may_read, read_query
from memory.pages.thread_query import ThreadQuery
from memory.pages.touched import Touched
from memory.query import TooLong
from memory.services import deletion
from studio import ids
from studio.compress import compressed
from studio.formats import counted
from studio.models import Agent
from studio.people import confirm, guard
from studio.render import message
from studio.web import AppRequest, get_or_post, is_fragment, post_only, see_other, vary_on_htmx, whole_number

EVENT: Final = "threads-deleted"
# more threads than this take a password or factor from the last 15 minutes
CONFIRM_ABOVE: Final = 100
# what a question about all that match is asked with
_NAMES: Final = {
    *(field.name for field in fields(ThreadQuery)),
    *("all", "id", "cursor", "back", "expect", "seal", "confirm", "csrfmiddlewaretoken"),
}
WRONG: Final = "That is not the number of threads. Nothing was deleted."


@dataclass(frozen=True, slots=True)
class Chosen:
    """The threads that somebody wants to delete: chosen by id, or all that match `query`.

    Of `unknown` others nobody knows whether they match. With `too_long` none was read, because their ids are too long.
    """

    session_ids: list[str]
    query: ThreadQuery | None = None
    unknown: int = 0
    too_long: bool = False

    @property
    def too_many(self) -> bool:
        return self.too_long or len(self.session_ids) > deletion.MOST

    @property
    def seal(self) -> str:
        """A hash of the threads' ids, which shows whether the same threads match when the form is sent."""
        return sha256("\0".join(sorted(self.session_ids)).encode()).hexdigest()[:32]

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The form fields that choose the same threads again."""
        if self.query is not None:
            return [("all", "1"), *self.query.fields().items()]
        return [("id", ids.encode(ids.key(session_id))) for session_id in self.session_ids]


@compressed
@get_or_post
@vary_on_htmx
def threads_delete(request: AppRequest, agent_id: str) -> HttpResponse:
    """Show what would be deleted."""
    # POST deletes nothing here either: it is for selections whose ids do not fit into an address
    agent = guard.get_agent(request, agent_id, "threads:delete")
    data = request.POST if request.method == "POST" else request.GET
    return _ask(request, agent, _chosen(request, agent, data))


@post_only
@vary_on_htmx
def threads_delete_now(request: AppRequest, agent_id: str) -> HttpResponse:
    """Delete the threads if they are still those of the question; else ask again and say why."""
    # selected again, because ids in a form may be forged, and other threads may match by now
    agent = guard.get_agent(request, agent_id, "threads:delete")
    chosen = _chosen(request, agent, request.POST)
    expected = whole_number(request.POST.get("expect", "")) or 0
    if chosen.too_many:
        return _ask(request, agent, chosen, status=409)
    size = deletion.preview(agent, chosen.session_ids)
    if size.threads > expected or (chosen.query and chosen.seal != request.POST.get("seal")):
        return _ask(request, agent, chosen, size, status=409, changed_from=expected)
    if size.threads > 1 and whole_number(request.POST.get("confirm", "").replace(",", "").strip()) != expected:
        return _ask(request, agent, chosen, size, status=422, wrong=WRONG)
    if size.threads > CONFIRM_ABOVE:
        confirm.require(request)
    try:
        done = deletion.delete_threads(guard.actor_of(request), agent, chosen.session_ids)
    except deletion.Busy:
        return _ask(request, agent, chosen, size, status=409, busy=True)
    _say(request, agent, done, gone=max(expected - done.threads, 0))
    return _done(request, agent)


def _chosen(request: AppRequest, agent: Agent, data: QueryDict) -> Chosen:
    """Return the threads that a form or an address names; raise BadRequest for ids that no page of ours has."""
    if data.get("all") == "1":
        if set(data) - _NAMES:
            # a filter that is left out would delete more than was asked for
            raise BadRequest("no such filter")
        # periods become fixed times, so that the form finds the same threads when it is sent
        now = int(time.time())
        query = replace(read_query(request).fixed(now), sort=threads.DEFAULT_SORT)
        if query.part and query.user is None:
            # all of nobody would be all of everybody
            raise BadRequest("part")
        # other people's threads go only where that was said
        query = replace(query, part="" if query.user is None else query.part or "owned")
        filter = query.filter(now)
        try:
            found = deletion.matching(agent, filter, content=may_read(request, agent))
        except TooLong:
            return Chosen([], query, too_long=True)
        return Chosen(found, query, deletion.unknown(agent, filter))
    try:
        given = list(dict.fromkeys(ids.decode(segment) for segment in data.getlist("id")))
        return Chosen(deletion.chosen(agent, given))
    except TooLong:
        return Chosen([], too_long=True)
    except ValueError as error:
        raise BadRequest("id") from error


def _ask(
    request: AppRequest, agent: Agent, chosen: Chosen, size: Size | None = None, status: int = 200, **why: Any
) -> HttpResponse:
    """Render the question, as a dialog for htmx, else as a page; `why` says why it is asked again."""
    if size is None and not chosen.too_many:
        size = deletion.preview(agent, chosen.session_ids)
    user = chosen.query.user if chosen.query else None
    described = deletion.describe(agent, chosen.session_ids, user, content=may_read(request, agent)) if size else None
    given = request.POST.get("back") or request.META.get("HTTP_REFERER", "")
    ctx = {
        "chosen": chosen,
        "size": size,
        "touched": Touched.of(described, user) if described else None,
        "most": deletion.MOST,
        "back": _list_address(request, agent, given),
        "changed_from": 0,
        "busy": False,
        "wrong": "",
        **why,
    }
    if not is_fragment(request):
        return render(request, "memory/delete.html", ctx, status=status)
    response = render(request, "memory/_delete_dialog.html", ctx, status=status)
    if status == 200:
        return response
    return retarget(reswap(response, "outerHTML"), "#delete-dialog")


def _say(request: AppRequest, agent: Agent, done: deletion.Deleted, gone: int) -> None:
    """Leave a message with the counts and a link to the audit event; `gone` threads were deleted by others before."""
    before = f" {counted(gone, 'other thread')} had been deleted already." if gone else ""
    if done.event_id is None:
        messages.info(request, "Nothing was left to delete: somebody else deleted it first.")
        return
    text = f"Deleted {counted(done.threads, 'thread')} with {counted(done.runs, 'run')} and "
    text += f"{counted(done.messages, 'message')}.{before}"
    messages.success(request, message("memory/_message_deleted.html", text=text, agent=agent, event_id=done.event_id))


def _done(request: AppRequest, agent: Agent) -> HttpResponse:
    """Go back to the list; with htmx an open list stays, and an event makes it fetch its rows again."""
    if not is_fragment(request):
        return see_other(_list_address(request, agent, request.POST.get("back", "")))
    current = request.htmx.current_url_abs_path or ""
    back = _list_address(request, agent, current)
    if back != current:
        return HttpResponseClientRedirect(back)
    return trigger_client_event(render(request, "studio/_messages.html"), EVENT)


def _list_address(request: AppRequest, agent: Agent, given: str) -> str:
    """Return `given` if it is the address of a list of this agent's threads, else the agent's own list."""
    # from the outside, so it is resolved: only addresses of this agent's lists are followed
    threads = reverse("threads", args=[agent.pk])
    origin = f"{request.scheme}://{request.get_host()}"
    given = given.removeprefix(origin)
    try:
        match = resolve(given.partition("?")[0])
    except Resolver404:
        return threads
    if match.kwargs.get("agent_id") != agent.pk or match.url_name not in ("threads", "user"):
        return threads
    # the deletion may have taken the user's last thread, and with it their page
    if match.url_name == "user" and users.get_user(match.kwargs["user_id"]) is None:
        return reverse("users", args=[agent.pk])
    return given
