"""The audit log."""

from typing import ClassVar

from django.db import models


class AuditEvent(models.Model):
    """An event of the audit log. A trigger chains the rows by hash, and they never change.

    `agent_id` is text instead of a foreign key, because the log outlives the agent.
    """

    at = models.DateTimeField()
    actor_kind = models.CharField(max_length=16)
    actor_id = models.CharField(max_length=64, blank=True)
    actor = models.CharField(max_length=200)
    ip = models.CharField(max_length=64, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    agent_id = models.CharField(max_length=58, blank=True)
    action = models.CharField(max_length=64)
    object = models.TextField(blank=True)
    data = models.JSONField(default=dict)
    reason = models.TextField(blank=True)
    prev_hash = models.BinaryField(default=b"")
    hash = models.BinaryField(default=b"")

    class Meta:
        ordering = ("-id",)
        indexes: ClassVar = [
            models.Index(fields=["agent_id", "-id"]),
            models.Index(fields=["agent_id", "actor_kind", "actor_id", "-id"], name="studio_audit_agent_actor"),
            models.Index(fields=["action", "-id"]),
            models.Index(fields=["actor_kind", "actor_id", "-id"], name="studio_audit_actor"),
            models.Index(fields=["at"], name="studio_audit_at"),
        ]
