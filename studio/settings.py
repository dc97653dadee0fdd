"""Django settings. Whatever differs between installations is read from the environment."""

from pathlib import Path
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured
from jinja2 import StrictUndefined
from whitenoise.compress import Compressor

from studio import logs, running, secret_key
from studio.database import database
from studio.postgres.kept_files import StartFailure
from studio.proxies import in_address, is_unread, own_url, public_url

BASE_DIR = running.ROOT

env = environ.Env()


def _number(name: str, default: int) -> int:
    """Read a whole number; one that is set to nothing is not set."""
    try:
        return int(env.str(name, default="").strip() or default)
    except ValueError:
        raise StartFailure(f"{name} is not a whole number: leave it out for {default}.") from None


DEBUG = env.bool("DEBUG", default=False)
DATA_DIR = running.data_dir()
HOST = env.str("HOST", default="127.0.0.1")
PORT = _number("PORT", 8000)
# A copy of the audit log's last id and hash; it should be where whoever changes the database cannot write.
AUDIT_HEAD_FILE = Path(env.str("AUDIT_HEAD_FILE", default=str(DATA_DIR / "audit-head"))).absolute()
SECRET_KEY = secret_key.current(DATA_DIR)
# read with, and never written with; `rotate_secret` makes them needless
SECRET_KEY_FALLBACKS = secret_key.before(DATA_DIR)
# PUBLIC_URL is how browsers reach the studio, e.g. https://studio.example.com behind a proxy.
# Only compared with: the default address listens on 127.0.0.1.
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  # nosec B104
_PUBLIC_URL = env.str("PUBLIC_URL", default="").strip()
PUBLIC_URL = public_url(_PUBLIC_URL) if _PUBLIC_URL else own_url("localhost" if HOST in _EVERYWHERE else HOST, PORT)
HTTPS = PUBLIC_URL.startswith("https://")
_OWN_HOSTS = {"127.0.0.1", "localhost", "[::1]", in_address(HOST), in_address(urlsplit(PUBLIC_URL).hostname or "")}
ALLOWED_HOSTS = [*sorted(_OWN_HOSTS), *(name.strip() for name in env.list("ALLOWED_HOSTS", default=[]))]
# The number of proxies in front of the studio. With 0 the header X-Forwarded-For is ignored: anybody can send one.
TRUSTED_PROXIES = _number("TRUSTED_PROXIES", 0)
# also where a proxy sends another Host than the browser's, or leaves out its port
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]

# The address of the database for agents, where it differs from the studio's own.
PUBLIC_DATABASE_HOST = env.str("PUBLIC_DATABASE_HOST", default="")
PUBLIC_DATABASE_PORT = env.str("PUBLIC_DATABASE_PORT", default="")
# One agent must not take all connections of the server.
AGENT_CONNECTION_LIMIT = _number("AGENT_CONNECTION_LIMIT", 20)
AGENT_STATEMENT_TIMEOUT = env.str("AGENT_STATEMENT_TIMEOUT", default="60s")
# What an agent may hold, whatever it sets for itself: locks of all its sessions together, and seconds of a transaction.
AGENT_LOCK_LIMIT = _number("AGENT_LOCK_LIMIT", 1000)
AGENT_TRANSACTION_SECONDS = _number("AGENT_TRANSACTION_SECONDS", 120)
# Postgres cancels a statement after this time, and the answer is 503. The web server's default is 2.5 s, set by
# studio.serve.web_server. Commands, searches and downloads have 20 s.
LONG_STATEMENT_TIMEOUT = "20s"
STATEMENT_TIMEOUT = env.str("STATEMENT_TIMEOUT", default=LONG_STATEMENT_TIMEOUT)
# In seconds. The web server's is 2; a start or a command has time for a server that is busy or just starting.
CONNECT_TIMEOUT = _number("CONNECT_TIMEOUT", 30)
API_REQUESTS_PER_MINUTE = _number("API_REQUESTS_PER_MINUTE", 600)
# xpander-sdk reads it as the owner of every agent; the studio itself does not use it.
ORGANIZATION_ID = env.str("ORGANIZATION_ID", default="agent-studio")

SHARED_APPS = [
    "django_tenants",
    "studio",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "django_htmx",
]
TENANT_APPS = ["memory"]
INSTALLED_APPS = [*SHARED_APPS, *TENANT_APPS]

TENANT_MODEL = "studio.Agent"
TENANT_DOMAIN_MODEL = "studio.Agent"  # required by django-tenants; agents are found by path, never by domain
# Else every cursor sets the search_path again, which costs a round trip.
TENANT_LIMIT_SET_CALLS = True
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]

MIDDLEWARE = [
    "studio.middleware.no_body_for_head",
    # Before all others that answer, so that their own answers (redirects, 403, static files) have the headers too.
    "studio.middleware.headers",
    # redirects to HTTPS need the host as browsers write it
    "studio.middleware.behind_proxies",
    "studio.middleware.no_open_keys",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "studio.middleware.request_id",
    "django_htmx.middleware.HtmxMiddleware",
    "studio.middleware.BoostMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "studio.middleware.keep_session",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "studio.middleware.PersonMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "studio.people.factors.FactorFirstMiddleware",
    "studio.people.confirm.ConfirmMiddleware",
    "studio.middleware.AgentMiddleware",
]

ROOT_URLCONF = "studio.urls"
WSGI_APPLICATION = "studio.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.jinja2.Jinja2",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "environment": "studio.jinja.environment",
            "autoescape": True,
            # A misspelt name is an error and not an empty text.
            "undefined": StrictUndefined,
            "trim_blocks": True,
            "lstrip_blocks": True,
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "studio.page_context.page_context",
            ],
        },
    },
    # For the templates of packages. The studio's own are all Jinja2.
    {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True},
]

DATABASES = {
    "default": database(
        env.str("DATABASE_URL", default=""),
        DATA_DIR,
        statement_timeout=STATEMENT_TIMEOUT,
        connect_timeout=CONNECT_TIMEOUT,
        max_age=_number("CONN_MAX_AGE", 600),
    )
}
# In the database, because all processes on all machines must share the counts of rate limits; as JSON, because whoever
# changes a row must not run code here.
CACHES = {
    "default": {
        "BACKEND": "studio.cache.JsonCache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}

AUTH_USER_MODEL = "studio.User"
AUTHENTICATION_BACKENDS = ["studio.people.adapters.Backend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("email", "name")},
    },
    {"NAME": "studio.people.guessable.GuessableValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "agents"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
# Nobody signs up: an admin enters the address of whoever is invited.
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_ADAPTER = "studio.people.adapters.AccountAdapter"
# studio.people.limits counts tries instead, by account and address together
ACCOUNT_RATE_LIMITS = {"login": None, "login_failed": None}
MFA_FORMS = {
    "activate_totp": "studio.people.factor_forms.NewAppForm",
    "authenticate": "studio.people.factor_forms.CodeForm",
    "authenticate_webauthn": "studio.people.factor_forms.PasskeyForm",
    "add_webauthn": "studio.people.factor_forms.NewPasskeyForm",
}
MFA_ADAPTER = "studio.people.adapters.FactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_ALLOW_UNVERIFIED_EMAIL = True  # only invited people have an account
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_TOTP_TOLERANCE = 1  # steps of 30 s, because clocks differ
MFA_TOTP_ISSUER = "Agent Studio"
# Without TLS browsers allow passkeys on localhost only.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not HTTPS

# OpenID Connect is on when all three are set. The provider issues the id and the secret of a client.
OIDC_ISSUER = env.str("OIDC_ISSUER", default="")
OIDC_CLIENT_ID = env.str("OIDC_CLIENT_ID", default="")
OIDC_CLIENT_SECRET = env.str("OIDC_CLIENT_SECRET", default="")
OIDC_NAME = env.str("OIDC_NAME", default="single sign-on") if OIDC_ISSUER else ""
if len({bool(OIDC_ISSUER), bool(OIDC_CLIENT_ID), bool(OIDC_CLIENT_SECRET)}) > 1:
    raise ImproperlyConfigured("Set OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET, or none of them.")
if OIDC_ISSUER and not is_unread(OIDC_ISSUER):
    raise ImproperlyConfigured("OIDC_ISSUER must begin with https://, as whoever answers it decides who comes in.")
SOCIALACCOUNT_ADAPTER = "studio.people.adapters.SocialAdapter"
# It begins with a link and not a form: the policy's form-action forbids that a form is redirected to another site.
SOCIALACCOUNT_LOGIN_ON_GET = True
# seconds; a thread of the web server waits
SOCIALACCOUNT_REQUESTS_TIMEOUT = 5
SOCIALACCOUNT_PROVIDERS = {
    "openid_connect": {
        "OAUTH_PKCE_ENABLED": True,
        "provider_class": "studio.people.oidc.Provider",
        "APPS": [
            {
                "provider_id": "sso",
                "name": OIDC_NAME,
                "client_id": OIDC_CLIENT_ID,
                "secret": OIDC_CLIENT_SECRET,
                "settings": {"server_url": OIDC_ISSUER},
            }
        ]
        if OIDC_ISSUER
        else [],
    }
}

SESSION_ENGINE = "studio.people.sessions"
SESSION_SERIALIZER = "django.contrib.sessions.serializers.JSONSerializer"
# A session ends after so many seconds without use, and after so many since signing in.
SESSION_COOKIE_AGE = round(env.float("SESSION_IDLE_HOURS", default=12) * 3600)
SESSION_ABSOLUTE_AGE = round(env.float("SESSION_DAYS", default=7) * 86_400)
# The prefix __Host- keeps other hosts of the same domain from setting the cookie. Browsers accept it with TLS only.
SESSION_COOKIE_NAME = "__Host-session" if HTTPS else "session"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = HTTPS
SESSION_COOKIE_SAMESITE = "Lax"
MESSAGE_STORAGE = "studio.notices.Storage"
MESSAGE_COOKIE_NAME = "__Host-messages" if HTTPS else "messages"
CSRF_COOKIE_NAME = "__Host-csrf" if HTTPS else "csrf"
CSRF_COOKIE_SECURE = HTTPS
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "studio.errors.csrf_failed"
SECURE_SSL_REDIRECT = HTTPS
# A monitor beside the studio asks without TLS and would take the redirect for an answer.
SECURE_REDIRECT_EXEMPT = [r"^health(/live|/ready)?$"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# Without it no mail is sent. For example smtp+tls://user:password@mail.example.com:587
EMAIL_URL = env.str("EMAIL_URL", default="")
if EMAIL_URL:
    vars().update(env.email_url("EMAIL_URL"))
    EMAIL_TIMEOUT = 10
    DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", default=f"studio@{urlsplit(PUBLIC_URL).hostname}")

# a deletion of 10,000 threads names each of them, and the form has some other fields
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_050
# in memory alone, and what is larger than 2.5 MB nowhere: no page takes a file, so none shall reach the disk
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False

STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
WHITENOISE_MAX_AGE = 31_536_000
# Pages link the hashed names only, and compressing the others too took most of the first start.
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = (*Compressor.SKIP_COMPRESS_EXTENSIONS, "map")

LOGGING = logs.to_console(env.str("LOG_LEVEL", default="WARNING"))
