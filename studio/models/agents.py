"""Agents, their memory settings, and their database roles."""

from typing import ClassVar, Final

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Lower
from django_tenants.models import TenantMixin

from studio import formats
from studio.ids import new_agent_id

# not from 0: some versions of Agno then send every run
HISTORY_RUNS: Final = (1, 1000)
MOST_TOOL_CALLS: Final = 10_000


class Framework(models.TextChoices):
    AGNO = "agno", "Agno"
    LANGCHAIN = "langchain", "LangChain"
    OPENAI = "open-ai-agents", "OpenAI Agents"
    STRANDS = "strands-agents", "Strands Agents"
    ADK = "google-adk", "Google ADK"


class Agent(TenantMixin):
    """An agent. Each is a tenant, whose threads are in a Postgres schema of its own."""

    class Status(models.TextChoices):
        ACTIVE = "ACTIVE", "Active"
        INACTIVE = "INACTIVE", "Inactive"

    # agents.provision makes and drops the schema, in the transaction that writes the audit event
    auto_create_schema = False
    auto_drop_schema = False

    id = models.CharField(primary_key=True, max_length=58, default=new_agent_id, editable=False)
    name = models.CharField(max_length=120)
    icon = models.CharField(max_length=16, blank=True)
    description = models.CharField(max_length=500, blank=True)
    framework = models.CharField(max_length=32, choices=Framework, default=Framework.AGNO)
    model_provider = models.CharField(max_length=60, blank=True)
    model_name = models.CharField(max_length=120, blank=True)
    instructions = models.TextField(blank=True, max_length=20_000)
    status = models.CharField(max_length=16, choices=Status, default=Status.ACTIVE)
    created_at = models.DateTimeField(auto_now_add=True)
    # set by the list of agents only: the name in lower case, and an estimate of the number of threads
    low: str
    estimate: int | None

    class Meta:
        ordering = ("name", "id")
        indexes: ClassVar = [
            models.Index(fields=["name", "id"]),
            models.Index(Lower("name"), "id", name="studio_agent_by_name"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def initials(self) -> str:
        return formats.initials(self.icon, self.name)

    @property
    def is_agno(self) -> bool:
        return self.framework == Framework.AGNO

    @property
    def is_storing(self) -> bool:
        """Whether this agent stores sessions: Agno does, if it has settings and session storage is on."""
        memory = getattr(self, "memory", None)
        return self.is_agno and memory is not None and memory.session_storage


class MemorySettings(models.Model):
    """The memory settings of an agent. Labels, defaults and ranges are declared here and nowhere else."""

    agent = models.OneToOneField(Agent, primary_key=True, on_delete=models.CASCADE, related_name="memory")
    session_storage = models.BooleanField("Session storage", default=True)
    num_history_runs = models.PositiveIntegerField(
        "No. of history runs",
        default=10,
        validators=[MinValueValidator(HISTORY_RUNS[0]), MaxValueValidator(HISTORY_RUNS[1])],
    )
    max_tool_calls_from_history = models.PositiveIntegerField(
        "Max tool calls from history",
        default=0,
        validators=[MaxValueValidator(MOST_TOOL_CALLS)],
        help_text="0 means no cap",
    )
    session_summaries = models.BooleanField("Session summaries", default=False)
    version = models.PositiveIntegerField(default=1)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(num_history_runs__gte=HISTORY_RUNS[0], num_history_runs__lte=HISTORY_RUNS[1]),
                name="history_runs_1_to_1000",
            ),
            models.CheckConstraint(
                condition=models.Q(max_tool_calls_from_history__lte=MOST_TOOL_CALLS), name="tool_calls_0_to_10000"
            ),
        ]


class MemorySettingsVersion(models.Model):
    """A saved version of an agent's settings: all values, and the changes since the version before.

    `restored_from` is the version whose values it has again, None if it was typed.
    """

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="memory_versions")
    version = models.PositiveIntegerField()
    values = models.JSONField()
    changes = models.JSONField(default=dict)
    restored_from = models.PositiveIntegerField(null=True)
    actor = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-version",)
        constraints: ClassVar = [models.UniqueConstraint(fields=["agent", "version"], name="one_row_per_version")]


class DatabaseRole(models.Model):
    """The Postgres role that an agent logs in with; agents.database_role makes it and sets its password.

    A session that began before `admitted_at`, by the database's clock, knows an old password at best. `oid` is the
    server's number of the role.
    """

    agent = models.OneToOneField(Agent, primary_key=True, on_delete=models.CASCADE, related_name="database_role")
    name = models.CharField(max_length=63, unique=True)
    password_encrypted = models.TextField()
    rotated_at = models.DateTimeField()
    admitted_at = models.DateTimeField(null=True)
    oid = models.BigIntegerField(null=True)

    def __str__(self) -> str:
        return self.name
