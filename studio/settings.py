"""Django settings. Everything that differs between installations comes from the environment."""

import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from jinja2 import StrictUndefined
from whitenoise.compress import Compressor

from studio.postgres.kept_files import make_once

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()

DEBUG = env.bool("DEBUG", default=False)
DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / "var"))).absolute()
HOST = env.str("HOST", default="127.0.0.1")
PORT = env.int("PORT", default=8000)
# Where the last event of the audit log is written down; best on another disk, or another machine.
AUDIT_HEAD_FILE = Path(env.str("AUDIT_HEAD_FILE", default=str(DATA_DIR / "audit-head"))).absolute()
SECRET_KEY = env.str("SECRET_KEY", default="") or make_once(DATA_DIR / "secret_key", lambda: secrets.token_urlsafe(48))
# PUBLIC_URL is how browsers reach the studio, e.g. https://studio.example.com behind a proxy.
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  # nosec B104
PUBLIC_URL = env.str("PUBLIC_URL", default=f"http://{'localhost' if HOST in _EVERYWHERE else HOST}:{PORT}")
HTTPS = PUBLIC_URL.startswith("https://")
ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS",
    default=["127.0.0.1", "localhost", "[::1]", HOST, urlsplit(PUBLIC_URL).hostname or ""],
)
# How many proxies stand before the studio; without any, nobody's X-Forwarded-For is believed.
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL] if HTTPS else []

# How agents reach the database, where that differs from how the studio itself does.
PUBLIC_DATABASE_HOST = env.str("PUBLIC_DATABASE_HOST", default="")
PUBLIC_DATABASE_PORT = env.str("PUBLIC_DATABASE_PORT", default="")
AGENT_CONNECTION_LIMIT = env.int("AGENT_CONNECTION_LIMIT", default=20)
AGENT_STATEMENT_TIMEOUT = env.str("AGENT_STATEMENT_TIMEOUT", default="60s")
# After so long a statement is given up, and answered for with 503: in the web server after 2.5 s, where
# studio.serve.web_server does not find it set, in commands and in what is known to take long after 20 s.
LONG_STATEMENT_TIMEOUT = "20s"
STATEMENT_TIMEOUT = env.str("STATEMENT_TIMEOUT", default=LONG_STATEMENT_TIMEOUT)
API_REQUESTS_PER_MINUTE = env.int("API_REQUESTS_PER_MINUTE", default=600)
# What xpander-sdk reads as the owner of every agent; it is only passed on.
ORGANIZATION_ID = env.str("ORGANIZATION_ID", default="agent-studio")

SHARED_APPS = [
    "django_tenants",
    "studio",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
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
    "csp",
    "lucide",
]
TENANT_APPS = ["memory"]
INSTALLED_APPS = [*SHARED_APPS, *TENANT_APPS]

TENANT_MODEL = "studio.Agent"
TENANT_DOMAIN_MODEL = "studio.Agent"  # agents are found by path, never by domain
TENANT_LIMIT_SET_CALLS = True
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]

MIDDLEWARE = [
    "studio.middleware.headers",
    "csp.middleware.CSPMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "studio.middleware.client_address",
    "studio.middleware.request_id",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "studio.middleware.keep_session",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
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
            "undefined": StrictUndefined,
            "trim_blocks": True,
            "lstrip_blocks": True,
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "studio.agents.sidebar.frame",
            ],
        },
    },
    # for what packages bring; ours are all above
    {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True},
]


def _database() -> dict[str, Any]:
    url = env.str("DATABASE_URL", default="")
    if url:
        where = environ.Env.db_url_config(url)
    else:
        from studio import postgres

        where = postgres.dsn_parts(DATA_DIR)
    settings = {key.upper(): value for key, value in where.items()}
    options = {
        **settings.get("OPTIONS", {}),
        "connect_timeout": 2,
        "options": f"-c statement_timeout={STATEMENT_TIMEOUT} -c lock_timeout=2500"
        " -c idle_in_transaction_session_timeout=60000",
        "application_name": "agent-studio",
    }
    return {
        **settings,
        "ENGINE": "studio.postgres.backend",
        "CONN_MAX_AGE": env.int("CONN_MAX_AGE", default=600),
        "CONN_HEALTH_CHECKS": True,
        "DISABLE_SERVER_SIDE_CURSORS": True,
        "OPTIONS": options,
    }


DATABASES = {"default": _database()}
# Holds the counts of rate limits, which all processes on all machines must share.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "studio_cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}

AUTH_USER_MODEL = "studio.User"
AUTHENTICATION_BACKENDS = ["studio.people.adapters.Backend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "agents"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_ADAPTER = "studio.people.adapters.AccountAdapter"
MFA_ADAPTER = "studio.people.adapters.FactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_ALLOW_UNVERIFIED_EMAIL = True  # nobody comes in who was not invited
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_TOTP_TOLERANCE = 1  # times 30 s, for clocks that differ
MFA_TOTP_ISSUER = "Agent Studio"
# Browsers allow passkeys without TLS on localhost, and nowhere else.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not HTTPS

# OpenID Connect, where all three are set: the issuer's address, and what it calls the studio.
OIDC_ISSUER = env.str("OIDC_ISSUER", default="")
OIDC_CLIENT_ID = env.str("OIDC_CLIENT_ID", default="")
OIDC_CLIENT_SECRET = env.str("OIDC_CLIENT_SECRET", default="")
OIDC_NAME = env.str("OIDC_NAME", default="single sign-on") if OIDC_ISSUER else ""
if len({bool(OIDC_ISSUER), bool(OIDC_CLIENT_ID), bool(OIDC_CLIENT_SECRET)}) > 1:
    raise ImproperlyConfigured("Set OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET, or none of them.")
SOCIALACCOUNT_ADAPTER = "studio.people.adapters.SocialAdapter"
# A link begins it, as form-action keeps forms from being sent on to another site.
SOCIALACCOUNT_LOGIN_ON_GET = True
SOCIALACCOUNT_REQUESTS_TIMEOUT = 5
SOCIALACCOUNT_PROVIDERS = {
    "openid_connect": {
        "OAUTH_PKCE_ENABLED": True,
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
# Seconds without use, and since signing in, after which a session ends.
SESSION_COOKIE_AGE = round(env.float("SESSION_IDLE_HOURS", default=12) * 3600)
SESSION_ABSOLUTE_AGE = round(env.float("SESSION_DAYS", default=7) * 86_400)
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
# A monitor beside the studio asks without TLS, and takes a redirect for health.
SECURE_REDIRECT_EXEMPT = [r"^health$"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# Nothing but what a page uses: copying ids, and passkeys.
PERMISSIONS_POLICY = ", ".join(
    [
        "clipboard-write=(self)",
        "publickey-credentials-create=(self)",
        "publickey-credentials-get=(self)",
        *(
            f"{feature}=()"
            for feature in (
                *("accelerometer", "autoplay", "browsing-topics", "camera", "clipboard-read"),
                *("display-capture", "encrypted-media", "fullscreen", "geolocation", "gyroscope", "hid"),
                *("identity-credentials-get", "idle-detection", "local-fonts", "magnetometer", "microphone", "midi"),
                *("payment", "picture-in-picture", "screen-wake-lock", "serial", "storage-access", "usb"),
                *("window-management", "xr-spatial-tracking"),
            )
        ),
    ]
)

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

# Mail is sent where this is set, e.g. smtp+tls://user:password@mail.example.com:587
EMAIL_URL = env.str("EMAIL_URL", default="")
if EMAIL_URL:
    vars().update(env.email_url("EMAIL_URL"))
    EMAIL_TIMEOUT = 10
    DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", default=f"studio@{urlsplit(PUBLIC_URL).hostname}")

# 10,000 threads, and what a form has besides
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_050
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
USE_THOUSAND_SEPARATOR = False

STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
WHITENOISE_MAX_AGE = 31_536_000
# Compressing twice what nobody asks for took most of the first start.
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = (*Compressor.SKIP_COMPRESS_EXTENSIONS, "map")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "class": "studio.logs.Formatter",
            "format": "{asctime} {levelname} {name} {message}",
            "style": "{",
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="WARNING")},
}
