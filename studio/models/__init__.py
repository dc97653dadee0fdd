"""The tables of the public schema."""

from studio.models.agents import (
    HISTORY_RUNS,
    Agent,
    DatabaseRole,
    Framework,
    MemorySettings,
    MemorySettingsVersion,
)
from studio.models.audit import AuditEvent
from studio.models.people import ApiKey, Grant, Policy, Session, SignInLink, User

__all__ = [
    "HISTORY_RUNS",
    "Agent",
    "ApiKey",
    "AuditEvent",
    "DatabaseRole",
    "Framework",
    "Grant",
    "MemorySettings",
    "MemorySettingsVersion",
    "Policy",
    "Session",
    "SignInLink",
    "User",
]
