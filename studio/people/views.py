"""Pages about people, for admins of the whole studio: the list, invitations, roles, deactivation."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import BadRequest
from django.db.models import Prefetch
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import cache_control

from studio import token
from studio.audit.record import Actor
from studio.folded import has_words
from studio.keys import service as keys
from studio.models import Grant, Policy, User
from studio.people import confirm, guard, mail, second_factor, sessions
from studio.people import service as people
from studio.people.access import ROLES
from studio.people.changing import Refused
from studio.people.forms import ROLE_WORDS, InviteForm, RoleForm
from studio.web import (
    SEARCH,
    AppRequest,
    get_only,
    get_or_post,
    is_fragment,
    post_only,
    search_words,
    see_other,
    vary_on_htmx,
    whole_number,
    with_query,
)

PAGE: Final = 50
_CURSOR: Final = "people"


@get_only
@vary_on_htmx
def people_list(request: AppRequest) -> HttpResponse:
    guard.require(request, "admin")
    q = search_words(request, SEARCH)
    (after,) = token.unpack_or_none(request.GET.get("cursor", ""), _CURSOR, (str,)) or [""]
    grants = Prefetch("grants", Grant.objects.select_related("agent").order_by("role", "agent__name"), to_attr="roles")
    found = User.objects.filter(email__gt=after).order_by("email").prefetch_related(grants)
    if q:
        found = found.filter(has_words(q, "email", "name"))
    rows = list(found[: PAGE + 1])
    ctx: dict[str, Any] = {
        "q": q,
        "people": rows[:PAGE],
        "newest": after and with_query(request.path, q=q),
        "older": len(rows) > PAGE and with_query(request.path, q=q, cursor=token.pack(_CURSOR, rows[PAGE - 1].email)),
    }
    if is_fragment(request):
        return render(request, "studio/_people.html", ctx)
    ctx |= {"policy": second_factor.policy().second_factor, "whom": Policy.Who.choices}
    return render(request, "studio/people.html", ctx)


@post_only
def factor_policy(request: AppRequest) -> HttpResponse:
    """Decide who must have a second factor."""
    user, who = guard.require(request, "admin"), request.POST.get("second_factor", "")
    if who not in Policy.Who.values:
        raise BadRequest("second_factor")
    confirm.require(request)
    try:
        changed = second_factor.require(guard.actor_of(request), user, who)
    except Refused as error:
        messages.error(request, str(error))
    else:
        words = f"A second factor is required of: {Policy.Who(who).label.lower()}."
        messages.success(request, words if changed else f"Nothing was changed. {words}")
    return see_other("people")


@cache_control(no_store=True)
@get_or_post
def invite(request: AppRequest) -> HttpResponse:
    """Show the form; a POST shows the link in its answer, because only the link's hash is stored."""
    guard.require(request, "admin")
    form = InviteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        confirm.require(request)
        try:
            person, path = people.invite(guard.actor_of(request), **form.values())
        except Refused as error:
            form.add_error("email", str(error))
        else:
            return _link(request, person, path, is_invitation=True)
    return render(request, "studio/people_invite.html", {"form": form}, status=422 if form.errors else 200)


@get_only
def person(request: AppRequest, user_id: int) -> HttpResponse:
    guard.require(request, "admin")
    return _show(request, get_object_or_404(User, pk=user_id), RoleForm())


@post_only
def role_add(request: AppRequest, user_id: int) -> HttpResponse:
    guard.require(request, "admin")
    who, form = get_object_or_404(User, pk=user_id), RoleForm(request.POST)
    if not form.is_valid():
        return _show(request, who, form, status=422)
    confirm.require(request)
    role, agent = form.cleaned_data["role"], form.cleaned_data["agent"]
    if people.add_role(guard.actor_of(request), who, role, agent):
        messages.success(request, f"{who} is now {Grant.Role(role).label} on {agent or 'all agents'}.")
    else:
        messages.info(request, f"{who} had that role already.")
    return see_other("person", who.pk)


@post_only
def role_remove(request: AppRequest, user_id: int) -> HttpResponse:
    grant = whole_number(request.POST.get("grant", "")) or 0
    change = partial(people.remove_role, grant_id=grant)
    return _change(request, user_id, change, "The role of {} is gone.", "{} did not have that role any more.")


@get_or_post
def deactivate(request: AppRequest, user_id: int) -> HttpResponse:
    """Ask, naming the API keys that the person made; a POST ends these too, unless they shall stay."""
    guard.require(request, "admin")
    if request.method != "POST":
        who = get_object_or_404(User, pk=user_id, is_active=True)
        return render(request, "studio/person_deactivate.html", {"who": who, "keys": keys.made_by(who)})
    change = partial(people.deactivate, stop_keys=request.POST.get("keys") != "keep")
    done = "{} is deactivated, and signed out everywhere."
    return _change(request, user_id, change, done, "{} was deactivated before.")


@post_only
def reactivate(request: AppRequest, user_id: int) -> HttpResponse:
    return _change(request, user_id, people.reactivate, "{} may sign in again.", "{} is active.")


@post_only
def sign_out(request: AppRequest, user_id: int) -> HttpResponse:
    return _change(request, user_id, people.sign_out_everywhere, "{} is signed out everywhere.")


@post_only
def factors_remove(request: AppRequest, user_id: int) -> HttpResponse:
    done = "{} signs in without a second factor until they add one."
    return _change(request, user_id, second_factor.remove, done, "{} has no second factor.")


def _change(
    request: AppRequest, user_id: int, change: Callable[[Actor, User], Any], done: str, otherwise: str = ""
) -> HttpResponse:
    """Change a person, confirmed first; then their page, with `otherwise` if there was nothing to change."""
    guard.require(request, "admin")
    who = get_object_or_404(User, pk=user_id)
    confirm.require(request)
    try:
        changed = change(guard.actor_of(request), who)
    except Refused as error:
        messages.error(request, str(error))
    else:
        say = messages.info if changed is False else messages.success
        say(request, (otherwise if changed is False else done).format(who))
    return see_other("person", who.pk)


@cache_control(no_store=True)
@post_only
def link(request: AppRequest, user_id: int) -> HttpResponse:
    """Make a one-time link, for somebody who forgot their password."""
    guard.require(request, "admin")
    who = get_object_or_404(User, pk=user_id)
    confirm.require(request)
    try:
        return _link(request, who, people.new_link(guard.actor_of(request), who))
    except Refused as error:
        messages.error(request, str(error))
        return see_other("person", who.pk)


def _link(request: AppRequest, who: User, path: str, *, is_invitation: bool = False) -> HttpResponse:
    mailed = mail.send_link(who, path, is_invitation=is_invitation)
    ctx = {"who": who, "link": settings.PUBLIC_URL + path, "is_invitation": is_invitation, "mailed": mailed}
    return render(request, "studio/people_link.html", ctx, status=201)


def _show(request: AppRequest, who: User, form: RoleForm, status: int = 200) -> HttpResponse:
    grants = list(Grant.objects.filter(user=who).select_related("agent").order_by("role", "agent__name"))
    ctx = {
        "who": who,
        "grants": grants,
        "form": form,
        "role_words": [(Grant.Role(role).label, ROLE_WORDS[role]) for role in ROLES],
        "factors": second_factor.names(who),
        "sessions": len(sessions.of_person(who)),
    }
    return render(request, "studio/person.html", ctx, status=status)
