"""Who may come in: people, their roles, sign-in links, and keys of the HTTP API."""

from hashlib import sha256
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.utils.crypto import salted_hmac
from django.utils.functional import cached_property

from studio.people import browsers
from studio.people.access import Access


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
    # read together with the person: has none, and must add one before anything else
    lacks_factor = False

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

    @property
    def mark(self) -> str:
        """A short hash of who this is and what they may do, by which a page knows that neither has changed."""
        lacks = "lacks a factor" if self.lacks_factor else ""
        return sha256(f"{self.pk}\n{self.access.in_words}\n{lacks}".encode()).hexdigest()[:16]

    def _get_session_auth_hash(self, secret: str | bytes | None = None) -> str:
        """Hash what ends this person's sessions when it changes; Django compares it in every request."""
        value = f"{self.password}:{self.session_epoch}"
        return salted_hmac("studio.models.User.session", value, secret=secret, algorithm="sha256").hexdigest()


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
    agent = models.ForeignKey("studio.Agent", on_delete=models.CASCADE, null=True, blank=True, related_name="grants")

    class Meta:
        # a null agent means all agents, so two of them are the same grant
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "role", "agent"], nulls_distinct=False, name="one_grant_each")
        ]


class Session(AbstractBaseSession):
    """A session of Django's. What it has beside its data says to whom it belongs, for the page that lists them."""

    # without a constraint: a session is stored in requests that shall not wait for whoever changes the person
    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, db_constraint=False, related_name="sessions")
    began_at = models.DateTimeField(null=True)
    used_at = models.DateTimeField(null=True)
    ip = models.CharField(max_length=64, default="")
    user_agent = models.CharField(max_length=300, default="")

    class Meta:
        db_table = "django_session"

    @property
    def mark(self) -> str:
        """A name for this session in forms; its key opens it, so it stands on no page."""
        return sha256(f"session {self.session_key}".encode()).hexdigest()[:20]

    @property
    def browser(self) -> str:
        return browsers.in_words(self.user_agent)


class Policy(models.Model):
    """What an admin has decided for all people; there is one row."""

    class Who(models.TextChoices):
        NOBODY = "nobody", "Nobody"
        ADMINS = "admins", "Admins"
        EVERYBODY = "everybody", "Everybody"

    second_factor = models.CharField(max_length=16, choices=Who, default=Who.NOBODY)


class SignInLink(models.Model):
    """A one-time sign-in link. Only the SHA-256 of its token is stored."""

    token_hash = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sign_in_links")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    is_invitation = models.BooleanField(default=False)


class ApiKey(models.Model):
    """A key of the HTTP API, `ams_<prefix>_<secret>`. Only the SHA-256 of the secret is stored."""

    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=8, unique=True)
    hash = models.CharField(max_length=64)
    scopes = ArrayField(models.CharField(max_length=32))
    # a flag of its own: a key for one agent must not widen to all of them when that agent is removed
    all_agents = models.BooleanField(default=False)
    agents = models.ManyToManyField("studio.Agent", blank=True, related_name="api_keys")
    created_by = models.CharField(max_length=200)
    # null for one that a command made
    creator = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="keys_made")
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
