"""Whether the settings make sense together, and whether the keys do what they are for."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from itsdangerous import BadSignature, URLSafeTimedSerializer

from connector.config import Settings
from connector.db.vault import CannotOpen, Vault
from connector.doctor.finding import Finding, fail, ok, warn

# A random key of 32 characters has about 25 different ones.
_FEWEST_CHARACTERS = 12
_DEVELOPMENT_KEYS = ("development-only-secret-key-not-for-production", "development-only-encryption-key!")


def sane(told: Settings) -> Iterator[Finding]:
    """What each setting allows alone and no installation should run with."""
    if not told.production:
        yield warn(
            "settings",
            "This installation runs for development: without https and with keys everybody knows unless they are set.",
            "Set DUEBRIDGE_ENV=production.",
        )
        return
    questions = list(_questions(told))
    yield from questions
    if not questions:
        yield ok("settings", "Complete, for production.")


def _questions(told: Settings) -> Iterator[Finding]:
    address = urlsplit(told.public_url)
    if address.path or address.query:
        yield fail(
            "settings",
            "DUEBRIDGE_PUBLIC_URL has a path; links, callbacks and webhooks stand at the root of a host.",
            "Give the product a host name of its own.",
        )
    if _on_this_machine(address.hostname or ""):
        yield fail(
            "settings",
            f"DUEBRIDGE_PUBLIC_URL names {address.hostname}, which customers cannot reach.",
            "Set it to the host name customers reach.",
        )
    if not told.trusted_proxies:
        yield warn(
            "settings",
            "DUEBRIDGE_TRUSTED_PROXIES is 0: behind a proxy all callers have its address, and share one limit.",
            "Set it to the number of proxies in front, usually 1.",
        )
    if told.smtp.security == "none" and not _on_this_machine(told.smtp.host):
        yield fail(
            "settings",
            "Mail, sign-in codes among it, leaves for another machine unencrypted.",
            "Set DUEBRIDGE_SMTP_SECURITY to starttls or tls.",
        )
    if told.smtp.sender.rpartition("@")[2] in ("", "localhost"):
        yield warn(
            "settings",
            f"Mail is sent as {told.smtp.sender}, which mail servers refuse and nobody can answer.",
            "Set DUEBRIDGE_MAIL_FROM to an address of your domain.",
        )


def keys(told: Settings) -> Iterator[Finding]:
    """Sign and verify, seal and open, as the product does."""
    known = [key for _, key in told.encryption_keys if key.decode("latin-1") in _DEVELOPMENT_KEYS]
    if told.secret_key in _DEVELOPMENT_KEYS or known:
        say = fail if told.production else warn
        yield say(
            "keys",
            "A key is the one for development, which stands in the source.",
            "Make keys of your own for DUEBRIDGE_SECRET_KEY and DUEBRIDGE_ENCRYPTION_KEYS (README, Settings).",
        )
    elif min(len(set(told.secret_key)), *(len(set(key)) for _, key in told.encryption_keys)) < _FEWEST_CHARACTERS:
        yield fail("keys", "A key is not random.", "Make it as README, Settings, shows.")
    names = [name for name, _ in told.encryption_keys]
    if len(set(names)) < len(names):
        yield fail(
            "keys",
            "Two encryption keys have the same id, so that only the later one is used.",
            "Give each key in DUEBRIDGE_ENCRYPTION_KEYS an id of its own.",
        )
    try:
        signer = URLSafeTimedSerializer(told.secret_key)
        signed = signer.loads(signer.dumps("probe"), max_age=60)
        vault = Vault(told.encryption_keys)
        opened = vault.open(vault.seal(b"probe", bound_to="doctor"), bound_to="doctor")
    except (BadSignature, CannotOpen, ValueError) as fault:
        yield fail("keys", f"A key does not work: {type(fault).__name__}.", "Make it as README, Settings, shows.")
        return
    if (signed, opened) == ("probe", b"probe"):
        yield ok("keys", f"Signing works, and sealing with {names[0]!r} of {len(names)} encryption keys.")


def _on_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
