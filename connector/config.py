"""Settings: read once from the environment (DUEBRIDGE_*), then frozen."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_PREFIX = "DUEBRIDGE_"
_SHORTEST_TOKEN = 16
_SHORTEST_DONE_WORK = 4


class BadSetting(ValueError):
    """A setting that cannot work; the message names the variable and how to fix it, never its secret value."""


@dataclass(frozen=True, slots=True)
class Smtp:
    """Where mail leaves. `security` is 'none' (loopback and tests), 'starttls' or 'tls'."""

    host: str = "127.0.0.1"
    port: int = 25
    username: str = ""
    password: str = field(default="", repr=False)
    security: str = "none"
    sender: str = "billing@localhost"


@dataclass(frozen=True, slots=True)
class Retention:
    """How many days rows are kept after they have served: see `connector.jobs.retention`. 0 days: for ever."""

    sessions: int = 7
    codes: int = 1
    mails: int = 30
    webhooks: int = 30
    done_work: int = 14
    dead_work: int = 365


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the product is told from outside.

    `encryption_keys` are (id, 32 bytes), the first seals and all open; `metrics_token` opens /metrics, which is closed
    without one; `worker_folder` is where workers of one machine tell each other that they live ('': see
    `connector.jobs.presence`); `values` holds the raw DUEBRIDGE_* variables without the prefix, from which adapters'
    own settings are read.
    """

    environment: str
    database_url: str
    public_url: str
    secret_key: str = field(repr=False)
    encryption_keys: tuple[tuple[str, bytes], ...] = field(repr=False)
    smtp: Smtp
    values: Mapping[str, str] = field(repr=False)
    log_level: str = "info"
    trusted_proxies: int = 0
    metrics_token: str = field(default="", repr=False)
    retention: Retention = Retention()
    worker_folder: str = ""

    @property
    def production(self) -> bool:
        """Whether insecure conveniences must be refused."""
        return self.environment == "production"

    @property
    def secure_cookies(self) -> bool:
        """Cookies carry `Secure` wherever the public address is https."""
        return self.public_url.startswith("https://")


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Build Settings from environment variables. Raises BadSetting for what is missing or cannot work."""
    values = {name.removeprefix(_PREFIX): value for name, value in environ.items() if name.startswith(_PREFIX)}
    environment = values.get("ENV", "development")
    if environment not in ("development", "production"):
        raise BadSetting("DUEBRIDGE_ENV must be 'development' or 'production'.")
    production = environment == "production"
    public_url = values.get("PUBLIC_URL", "http://127.0.0.1:8000").rstrip("/")
    parts = urlsplit(public_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadSetting("DUEBRIDGE_PUBLIC_URL must be a full address such as https://pay.example.com.")
    if production and parts.scheme != "https":
        raise BadSetting("DUEBRIDGE_PUBLIC_URL must be https in production.")
    secret_key = values.get("SECRET_KEY", "" if production else "development-only-secret-key-not-for-production")
    if len(secret_key) < 32:
        raise BadSetting("DUEBRIDGE_SECRET_KEY must be set to at least 32 random characters.")
    database_url = values.get("DATABASE_URL") or environ.get("DATABASE_URL") or "sqlite:///duebridge.db"
    return Settings(
        environment=environment,
        database_url=database_url,
        public_url=public_url,
        secret_key=secret_key,
        encryption_keys=_encryption_keys(values.get("ENCRYPTION_KEYS", ""), production),
        smtp=_smtp(values),
        values=values,
        log_level=values.get("LOG_LEVEL", "info"),
        trusted_proxies=_whole(values, "TRUSTED_PROXIES", 0),
        metrics_token=_metrics_token(values),
        retention=_retention(values),
        worker_folder=values.get("WORKER_FOLDER", ""),
    )


def _encryption_keys(text: str, production: bool) -> tuple[tuple[str, bytes], ...]:
    """Read 'id:base64,id:base64'; each key is 32 bytes."""
    if not text:
        if production:
            raise BadSetting("DUEBRIDGE_ENCRYPTION_KEYS must be set: id:base64-of-32-bytes, newest first.")
        return (("development", b"development-only-encryption-key!"),)
    keys = []
    for part in text.split(","):
        name, _, encoded = part.strip().partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            key = b""
        if not name or len(key) != 32:
            raise BadSetting("DUEBRIDGE_ENCRYPTION_KEYS: each entry is id:base64-of-32-bytes, separated by commas.")
        keys.append((name, key))
    return tuple(keys)


def _metrics_token(values: Mapping[str, str]) -> str:
    token = values.get("METRICS_TOKEN", "")
    if token and len(token) < _SHORTEST_TOKEN:
        raise BadSetting(f"DUEBRIDGE_METRICS_TOKEN must be at least {_SHORTEST_TOKEN} random characters, or not set.")
    return token


def _retention(values: Mapping[str, str]) -> Retention:
    kept = Retention()
    days = {name: _whole(values, f"KEEP_{name.upper()}_DAYS", getattr(kept, name)) for name in Retention.__slots__}
    if 0 < days["done_work"] < _SHORTEST_DONE_WORK:
        raise BadSetting(
            f"DUEBRIDGE_KEEP_DONE_WORK_DAYS must be at least {_SHORTEST_DONE_WORK}: the job engine remembers attempts "
            "for 3 days, and work that began anew would be taken for one of them."
        )
    return Retention(**days)


def _smtp(values: Mapping[str, str]) -> Smtp:
    security = values.get("SMTP_SECURITY", "none")
    if security not in ("none", "starttls", "tls"):
        raise BadSetting("DUEBRIDGE_SMTP_SECURITY must be none, starttls or tls.")
    return Smtp(
        host=values.get("SMTP_HOST", "127.0.0.1"),
        port=_whole(values, "SMTP_PORT", 25),
        username=values.get("SMTP_USERNAME", ""),
        password=values.get("SMTP_PASSWORD", ""),
        security=security,
        sender=values.get("MAIL_FROM", "billing@localhost"),
    )


def _whole(values: Mapping[str, str], name: str, default: int) -> int:
    text = values.get(name, str(default))
    if not text.isascii() or not text.isdigit():
        raise BadSetting(f"{_PREFIX}{name} must be a whole number.")
    return int(text)
