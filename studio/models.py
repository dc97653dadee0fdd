from typing import Any, ClassVar, Final

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils.crypto import salted_hmac
from django.utils.functional import cached_property
from django_tenants.models import TenantMixin

from studio import formats
from studio.ids import new_agent_id
from studio.people.access import Access

# not from 0: some versions of Agno then send every run
HISTORY_RUNS: Final = (1, 1000)
MOST_TOOL_CALLS: Final = 10_000


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").lower())


class User(AbstractBaseUser):
    """A person who signs in to the studio. Their grants say what they may do."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120, blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    # in the hash that each session is checked against: counting it up ends all sessions
    session_epoch = models.PositiveIntegerField(default=0)
    # (role, agent id or None) of each grant, if they were read together with the person
    grant_pairs: "list[tuple[str, str | None]] | None" = None

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    def __str__(self) -> str:
        return self.name or self.email

    @cached_property
    def access(self) -> Access:
        """What this person may do."""
        if self.grant_pairs is not None:
            return Access.of_grants(self.grant_pairs)
        return Access.of_grants(self.grants.values_list("role", "agent_id"))

    def _get_session_auth_hash(self, secret: str | bytes | None = None) -> str:
        """Hash what ends this person's sessions when it changes; Django compares it in every request."""
        value = f"{self.password}:{self.session_epoch}"
        return salted_hmac("studio.models.User.session", value, secret=secret, algorithm="sha256").hexdigest()


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


class Grant(models.Model):
    """A person's role on one agent, or on all agents where `agent` is null."""

    class Role(models.TextChoices):
        VIEWER = "viewer", "Viewer"
        SUPPORT = "support", "Support"
        OPERATOR = "operator", "Operator"
        PRIVACY = "privacy", "Privacy officer"
        ADMIN = "admin", "Admin"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="grants")
    role = models.CharField(max_length=16, choices=Role)
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, null=True, blank=True, related_name="grants")

    class Meta:
        # a null agent means all agents, so two of them are the same grant
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "role", "agent"], nulls_distinct=False, name="one_grant_each")
        ]


class SignInLink(models.Model):
    """A one-time sign-in link. Only the SHA-256 of its token is stored."""

    token_hash = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sign_in_links")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    is_invitation = models.BooleanField(default=False)


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
    """A saved version of an agent's settings: all values, and the changes since the version before."""

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="memory_versions")
    version = models.PositiveIntegerField()
    values = models.JSONField()
    changes = models.JSONField(default=dict)
    actor = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-version",)
        constraints: ClassVar = [models.UniqueConstraint(fields=["agent", "version"], name="one_row_per_version")]


class DatabaseRole(models.Model):
    """The Postgres role that an agent logs in with; agents.database_role makes it and sets its password."""

    agent = models.OneToOneField(Agent, primary_key=True, on_delete=models.CASCADE, related_name="database_role")
    name = models.CharField(max_length=63, unique=True)
    password_encrypted = models.TextField()
    rotated_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class ApiKey(models.Model):
    """A key of the HTTP API, `ams_<prefix>_<secret>`. Only the SHA-256 of the secret is stored."""

    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=8, unique=True)
    hash = models.CharField(max_length=64)
    scopes = ArrayField(models.CharField(max_length=32))
    # a flag of its own: a key for one agent must not widen to all of them when that agent is removed
    all_agents = models.BooleanField(default=False)
    agents = models.ManyToManyField(Agent, blank=True, related_name="api_keys")
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    # set by keys.service.authenticate only
    agent_ids: list[str]

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return self.name


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
            models.Index(
                fields=["actor_id", "-id"], condition=models.Q(action="person.sign_in"), name="studio_audit_sign_ins"
            ),
            models.Index(fields=["action", "-id"]),
            models.Index(fields=["actor_kind", "actor_id", "-id"], name="studio_audit_actor"),
            models.Index(fields=["at"], name="studio_audit_at"),
        ]
