"""Changes of people and their roles. Each change is audited, and one admin always remains."""

from collections.abc import Sequence

from django.db import IntegrityError, transaction

from studio.audit.record import Actor, record
from studio.keys import service as keys
from studio.models import Agent, Grant, User
from studio.people.changing import Refused, changing, end_sessions, lock
from studio.people.links import INVITED_FOR, link_alone_for, link_for


def invite(actor: Actor, *, email: str, name: str, role: str, agents: Sequence[Agent] | None) -> tuple[User, str]:
    """Make a person with a role on all agents (None) or chosen ones; return the person and the path of their link.

    They set a password after they have opened the link. Raises Refused if somebody has the email already.
    """
    try:
        with changing(actor) as actor:
            user = User.objects.create_user(email, name=name)
            where: Sequence[Agent | None] = [None] if agents is None else agents
            for agent in where:
                Grant.objects.create(user=user, role=role, agent=agent)
            data = {"role": role, "agents": None if agents is None else [agent.pk for agent in agents]}
            record(actor, "person.invite", object=user.email, data=data)
            return user, link_for(actor, user, INVITED_FOR, is_invitation=True)
    except IntegrityError as error:
        raise Refused(f"{email} is here already.") from error


def add_role(actor: Actor, user: User, role: str, agent: Agent | None) -> bool:
    """Give a role on one agent, or on all of them (None); return False if the person has it already."""
    with changing(actor) as actor:
        before = _roles(user)
        _, is_new = Grant.objects.get_or_create(user=user, role=role, agent=agent)
        if is_new:
            _record(actor, "person.role_add", user, agent, before)
    return is_new


def remove_role(actor: Actor, user: User, grant_id: int) -> bool:
    """Take a role away; return False if it is gone already. Raises Refused for the last admin's."""
    with changing(actor) as actor:
        before = _roles(user)
        grant = Grant.objects.select_related("agent").filter(pk=grant_id, user=user).first()
        if grant is None:
            return False
        lock(user)
        grant.delete()
        _record(actor, "person.role_remove", user, grant.agent, before)
    return True


def deactivate(actor: Actor, user: User, *, stop_keys: bool = True) -> bool:
    """Keep a person out and end their sessions, links and the API keys that they made; return False if they were out.

    Nothing that they have begun is done afterwards. Raises Refused for the last admin.
    """
    with changing(actor) as actor:
        lock(user)
        if not User.objects.filter(pk=user.pk, is_active=True).update(is_active=False):
            return False
        end_sessions(user)
        # locked before any event is written, as who has the audit log's lock must not wait for them
        made = list(keys.made_by(user).select_for_update()) if stop_keys else []
        stopped = [keys.label(key) for key in made if keys.revoke(actor, key)]
        record(actor, "person.deactivate", object=user.email, data={"keys_revoked": stopped} if stopped else {})
    return True


def reactivate(actor: Actor, user: User) -> bool:
    """Let a person in again, with the roles that they had; earlier sessions and links stay ended."""
    with changing(actor) as actor:
        if not User.objects.filter(pk=user.pk, is_active=False).update(is_active=True):
            return False
        record(actor, "person.reactivate", object=user.email)
    return True


def sign_out_everywhere(actor: Actor, user: User) -> None:
    """End all sessions of a person, and the links that they have not used."""
    with changing(actor) as actor:
        lock(user)
        end_sessions(user)
        record(actor, "person.sign_out_everywhere", object=user.email)


def new_link(actor: Actor, user: User) -> str:
    """Make a one-time link for somebody else, e.g. if they forgot their password; return its path.

    Raises Refused for somebody who is deactivated.
    """
    try:
        with transaction.atomic():
            return link_alone_for(actor, user)
    except User.DoesNotExist:
        raise Refused("Reactivate this person first.") from None


def _roles(user: User) -> list[str]:
    """Write a person's roles as words for the log: `support`, or `support on agt-x`."""
    pairs = Grant.objects.filter(user=user).order_by("role", "agent_id").values_list("role", "agent_id")
    return [role if agent_id is None else f"{role} on {agent_id}" for role, agent_id in pairs]


def _record(actor: Actor, action: str, user: User, agent: Agent | None, before: list[str]) -> None:
    after = _roles(user)
    data = {"changes": {"roles": [", ".join(before) or "none", ", ".join(after) or "none"]}}
    record(actor, action, agent=agent, object=user.email, data=data)
