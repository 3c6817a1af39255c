"""The deployment. Everything that differs between machines comes from config/environment.py."""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from config import environment, navigation, openapi, secrets, telemetry
from imagegen import storage_url

environment.load_dotenv()
environment.read_all()
read = environment.read

BASE_DIR = environment.BASE_DIR
DEBUG: bool = read("DEBUG")
DATA_DIR: Path = read("EASEL_DATA_DIR").expanduser().resolve()
PORT: int = read("PORT")

# Where clients reach us, and what follows from it

EASEL_PUBLIC_URL: str = (read("EASEL_PUBLIC_URL") or f"http://127.0.0.1:{PORT}").rstrip("/")
_public = re.fullmatch(
    r"(?P<origin>(?P<scheme>https?)://(?P<host>\[[0-9a-fA-F:.]+\]|[\w.-]+)(:\d{1,5})?)(/[^?#\s]*)?",
    EASEL_PUBLIC_URL,
    re.ASCII,
)
if _public is None:
    raise ImproperlyConfigured(
        "EASEL_PUBLIC_URL must be http(s)://host or http(s)://host:port, such as https://easel.example."
    )
_https = _public["scheme"] == "https"
_loopback = ["127.0.0.1", "localhost", "[::1]"]

ALLOWED_HOSTS: list[str] = [_public["host"], *_loopback, *read("EASEL_ALLOWED_HOSTS")]
if any(host.startswith("*") for host in ALLOWED_HOSTS) and not DEBUG:
    raise ImproperlyConfigured("EASEL_ALLOWED_HOSTS must name the hosts: a wildcard is for DEBUG only.")
CSRF_TRUSTED_ORIGINS = [_public["origin"]]


def _networks(name: str) -> list[str]:
    entries: list[str] = read(name)
    try:
        for entry in entries:
            ip_network(entry)
    except ValueError as error:
        raise ImproperlyConfigured(
            f"{name} must list addresses or networks, such as 127.0.0.1,10.0.0.0/8: {error}."
        ) from None
    return entries


EASEL_TRUSTED_PROXIES = _networks("EASEL_TRUSTED_PROXIES")
# X-Forwarded-Proto is gunicorn's business (forwarded_allow_ips): Django would believe anybody's.

SESSION_COOKIE_NAME = "connect.sid"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_SSL_REDIRECT = False  # the proxy's business; with https in EASEL_PUBLIC_URL cookies stay off http
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _https
CSRF_FAILURE_VIEW = "config.error_pages.csrf_failure"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SILENCED_SYSTEM_CHECKS = ["security.W008"]  # SECURE_SSL_REDIRECT, as above

# Secrets

SECRET_KEY: str = read("SECRET_KEY") or (
    "insecure-key-for-debugging-only-" * 2
    if DEBUG
    else secrets.find(DATA_DIR, secrets.SECRET_KEY, variable="SECRET_KEY")
)
if len(SECRET_KEY) < 50:
    raise ImproperlyConfigured("SECRET_KEY is too short: set at least 50 random characters.")
EASEL_ENCRYPTION_KEYS: list[str] = read("EASEL_ENCRYPTION_KEYS") or [
    secrets.find(DATA_DIR, secrets.ENCRYPTION_KEY, variable="EASEL_ENCRYPTION_KEYS")
]
secrets.check_encryption_keys(EASEL_ENCRYPTION_KEYS)

# Applications

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "rest_framework_simplejwt.token_blacklist",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "axes",
    "imagegen.features",
    "imagegen.access",
    "imagegen",
    "portraits",
]

MIDDLEWARE = [
    "imagegen.database.ReleaseMiddleware",
    "config.metrics.MetricsMiddleware",
    "config.telemetry.TraceMiddleware",
    "django.middleware.security.SecurityMiddleware",
    # Headers for whatever comes from below, errors of other middleware included
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "config.security.PolicyMiddleware",
    "config.security.AdminMethodsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "config" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# Database: docs/adr/0004 has the figures behind these numbers


WAL_PAGES = 4000
"""Of SQLite's write-ahead log, 16 MB, until a writer moves them to the database, waits for the disk, and has
all others wait: every 150 generations, where 1000, SQLite's own, is every 40."""


def _database() -> dict[str, Any]:
    url = read("DATABASE_URL")
    if re.match("postgres(ql)?://", url):
        from imagegen.postgresql import watched

        config = _parsed(url)
        options = {
            "application_name": "easel",
            "connect_timeout": watched.CONNECTS_WITHIN,
            "prepare_threshold": 5,  # None, Django's, would have imagegen/prepared.py plan anew each time
            "tcp_user_timeout": 30_000,  # milliseconds; else a host that is gone goes unnoticed
            **config.get("OPTIONS", {}),
            "pool": watched.pool(connections=max(read("EASEL_DATABASE_POOL"), 1)),
        }
        return {**config, "ENGINE": "imagegen.postgresql", "CONN_MAX_AGE": 0, "OPTIONS": options}
    if url and not url.startswith("sqlite:///"):
        raise ImproperlyConfigured(_DATABASE_URL)
    options = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; "
        f"PRAGMA wal_autocheckpoint={WAL_PAGES}",
    }
    config = (
        _parsed(url)
        if url
        else {"ENGINE": "django.db.backends.sqlite3", "NAME": str(DATA_DIR / "easel.sqlite3")}
    )
    # Closing a connection costs a checkpoint of the write-ahead log.
    return {**config, "CONN_MAX_AGE": None, "OPTIONS": options}


def _parsed(url: str) -> dict[str, Any]:
    try:
        return dict(environ.Env.db_url_config(url))
    except ValueError:
        raise ImproperlyConfigured(_DATABASE_URL) from None


_DATABASE_URL = "DATABASE_URL must be postgres://user:password@host:5432/name or sqlite:////path."
DATABASES = {"default": _database()}
EASEL_REDIS_URL: str = read("EASEL_REDIS_URL")
if EASEL_REDIS_URL and not re.match(r"rediss?://[^\s/]+(/\d+)?(\?\S*)?$", EASEL_REDIS_URL):
    raise ImproperlyConfigured("EASEL_REDIS_URL must be redis://:password@host:6379/0, or rediss:// for TLS.")
CACHES = {
    "default": {"BACKEND": "imagegen.redis_server.Cache", "LOCATION": EASEL_REDIS_URL}
    if EASEL_REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}

# Files. Pictures never have a public URL: they are served through their permission check

MEDIA_ROOT = DATA_DIR / "files"
EASEL_INCOMING_DIR = DATA_DIR / "incoming"
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
try:
    _pictures = storage_url.parse(read("EASEL_STORAGE"))
except ValueError as error:
    raise ImproperlyConfigured(f"EASEL_STORAGE {error}.") from None
STORAGES = {
    "default": _pictures,
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
EASEL_S3_PRESIGNED: int = read("EASEL_S3_PRESIGNED")
EASEL_ACCEL_REDIRECT: str = read("EASEL_ACCEL_REDIRECT")
if EASEL_ACCEL_REDIRECT:
    if not re.fullmatch(r"/[\w-]+(/[\w-]+)*/", EASEL_ACCEL_REDIRECT, re.ASCII):
        raise ImproperlyConfigured("EASEL_ACCEL_REDIRECT must be a path such as /_files/.")
    if not EASEL_TRUSTED_PROXIES:
        raise ImproperlyConfigured("EASEL_ACCEL_REDIRECT needs EASEL_TRUSTED_PROXIES, which names nginx.")

# Who you are

AUTHENTICATION_BACKENDS = [
    "imagegen.access.backends.LoginPause",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "account-login"
LOGIN_REDIRECT_URL = "admin:index"
AXES_FAILURE_LIMIT = read("EASEL_LOGIN_ATTEMPTS")
AXES_COOLOFF_TIME = timedelta(seconds=read("EASEL_LOGIN_PAUSE"))
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "imagegen.access.addresses.client_address"
AXES_RESET_ON_SUCCESS = True
AXES_ENABLE_ACCESS_FAILURE_LOG = False
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False
AXES_ENABLE_ADMIN = False  # imagegen/admin/pauses.py shows less, and not what was sent
AXES_SENSITIVE_PARAMETERS = ["username", "csrfmiddlewaretoken"]
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # trying on does not prolong the pause

SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=read("EASEL_ACCESS_TOKEN_MINUTES")),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=read("EASEL_REFRESH_TOKEN_DAYS")),
    "ROTATE_REFRESH_TOKENS": True,
    "BLACKLIST_AFTER_ROTATION": True,
    "CHECK_REVOKE_TOKEN": True,  # a changed password ends all tokens
    "UPDATE_LAST_LOGIN": False,
    "ALGORITHM": "HS256",
}

# The API

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
EASEL_RATE_USER: int = read("EASEL_RATE_USER")
EASEL_RATE_ADDRESS: int = read("EASEL_RATE_ADDRESS")
EASEL_MAX_BODY_BYTES = 70 * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024  # forms of the admin; the API has a limit of its own
EASEL_MAX_WAITING: int = read("EASEL_MAX_WAITING")
EASEL_THREADS: int = read("EASEL_THREADS")
EASEL_MIN_FREE_MB: int = read("EASEL_MIN_FREE_MB")
EASEL_PORTRAIT_DAYS: int = read("EASEL_PORTRAIT_DAYS")

SPECTACULAR_SETTINGS = {
    "TITLE": "Easel",
    "DESCRIPTION": openapi.DESCRIPTION,
    "VERSION": "0.1.0",
    "LICENSE": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
    "TAGS": openapi.TAGS,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": openapi.PAGE_SETTINGS,
    "SCHEMA_PATH_PREFIX": "/api",
    "COMPONENT_SPLIT_REQUEST": True,
    "SORT_OPERATIONS": False,  # as the urls have them: the main thing first
    "GET_LIB_DOC_EXCLUDES": "config.openapi.bases",
    "PREPROCESSING_HOOKS": ["config.openapi.leave_out_aliases"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "config.openapi.complete_responses",
    ],
}

# Watching

EASEL_METRICS_ALLOWED = _networks("EASEL_METRICS_ALLOWED")
EASEL_METRICS_TOKEN: str = read("EASEL_METRICS_TOKEN")
EASEL_METRICS_DIR = DATA_DIR / "metrics"
if EASEL_METRICS_TOKEN and len(EASEL_METRICS_TOKEN) < 16:
    raise ImproperlyConfigured("EASEL_METRICS_TOKEN is too short: set at least 16 random characters.")
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
LOGGING_CONFIG = None
DEFAULT_EXCEPTION_REPORTER_FILTER = "config.error_reports.NamesAlone"
telemetry.configure(
    level=read("EASEL_LOG_LEVEL"),
    log_format=read("EASEL_LOG_FORMAT"),
    endpoint=read("OTEL_EXPORTER_OTLP_ENDPOINT"),
    stream=sys.stderr,
)

UNFOLD = {
    "SITE_TITLE": "Easel",
    "SITE_HEADER": "Easel",
    "SITE_SYMBOL": "palette",
    "STYLES": navigation.STYLES,
    "SIDEBAR": navigation.SIDEBAR,
    "DASHBOARD_CALLBACK": "config.navigation.first_page",
    "ACCOUNT": navigation.OWN_ACCOUNT,
}
