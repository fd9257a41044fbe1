"""The doctor finds each fault it is there for, finds none where there is none, and tells no secret."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import pytest
import sqlalchemy as sa

from connector.config import read_settings
from connector.db import tables as t
from connector.db.engine import make_engine
from connector.db.migrations import downgrade
from connector.db.vault import Vault
from connector.doctor import Finding, Verdict, examine
from connector.doctor.database import file_system_of, skew
from tests.db.conftest import NOW

KEY = base64.b64encode(bytes(range(32))).decode()
OTHER_KEY = base64.b64encode(bytes(range(32, 64))).decode()
SECRETS = {
    "DUEBRIDGE_SECRET_KEY": "a-secret-of-many-different-characters-0123456789",
    "DUEBRIDGE_SMTP_PASSWORD": "the-password-of-mail",
    "DUEBRIDGE_QUICKBOOKS_CLIENT_SECRET": "the-secret-of-quickbooks",
    "DUEBRIDGE_SANDBOX_API_KEY": "the-key-of-the-gateway",
}


def _settings(address: str, **more: str) -> dict[str, str]:
    return {
        **SECRETS,
        "DUEBRIDGE_ENV": "production",
        # Nothing listens there: the address and the mail server have tests of their own.
        "DUEBRIDGE_PUBLIC_URL": "https://pay.invalid",
        "DUEBRIDGE_SMTP_HOST": "127.0.0.1",
        "DUEBRIDGE_SMTP_PORT": "9",
        "DUEBRIDGE_MAIL_FROM": "billing@example.com",
        "DUEBRIDGE_TRUSTED_PROXIES": "1",
        "DUEBRIDGE_ENCRYPTION_KEYS": f"first:{KEY}",
        "DUEBRIDGE_DATABASE_URL": address,
        "DUEBRIDGE_QUICKBOOKS_CLIENT_ID": "id",
        "DUEBRIDGE_QUICKBOOKS_WEBHOOK_SECRET": "verifier",
        "DUEBRIDGE_SANDBOX_WEBHOOK_SECRET": "webhooks",
        "DUEBRIDGE_SANDBOX_ALLOW_IN_PRODUCTION": "1",
        **more,
    }


def _findings(settings: Mapping[str, str], check: str) -> list[Finding]:
    return [finding for finding in examine(settings) if finding.check == check]


def _fault(settings: Mapping[str, str], check: str, words: str) -> Finding:
    """The finding that says so."""
    found = [finding for finding in _findings(settings, check) if words in finding.what]
    assert len(found) == 1, list(examine(settings))
    assert found[0].fix, "every fault comes with what to do"
    return found[0]


def _write(address: str, *statements: sa.Executable) -> None:
    engine = make_engine(address, connections=1)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(statement)
    engine.dispose()


def _beat(seconds_ago: int) -> sa.Executable:
    return sa.insert(t.executors).values(id="worker", seen=(time.time_ns() // 1000) - seconds_ago * 1_000_000)


def _work(state: str, seconds_ago: int) -> sa.Executable:
    micros = (time.time_ns() // 1000) - seconds_ago * 1_000_000
    return sa.insert(t.work).values(
        id=f"delivery:{state}", kind="delivery", partition="p", state=state, attempt=1, payload={}, created_at=NOW
    ).values(next_at=sa.literal(micros, sa.BigInteger))  # fmt: skip


def test_a_sound_installation_is_well(schema_url: str) -> None:
    _write(schema_url, _beat(3), _work("pending", 5))
    settings = _settings(schema_url)
    for check in ("packages", "settings", "keys", "adapters", "clock", "workers", "work"):
        found = _findings(settings, check)
        assert found and {finding.verdict for finding in found} == {Verdict.OK}, found
    reachable = _findings(settings, "database")
    assert reachable[0].verdict is Verdict.OK
    # The tests' own role is PostgreSQL's superuser, and that is what is found.
    questions = [finding.what for finding in reachable if finding.verdict is not Verdict.OK]
    assert [what.split(",")[0] for what in questions] in ([], ["Its role is a superuser"])


@pytest.mark.parametrize(
    ("change", "check", "words", "verdict"),
    [
        ({"DUEBRIDGE_ENV": "development"}, "settings", "for development", Verdict.WARN),
        ({"DUEBRIDGE_PUBLIC_URL": "http://pay.example.com"}, "settings", "must be https", Verdict.FAIL),
        ({"DUEBRIDGE_PUBLIC_URL": "https://localhost"}, "settings", "cannot reach", Verdict.FAIL),
        ({"DUEBRIDGE_PUBLIC_URL": "https://pay.invalid/pay"}, "settings", "has a path", Verdict.FAIL),
        ({"DUEBRIDGE_TRUSTED_PROXIES": "0"}, "settings", "share one limit", Verdict.WARN),
        ({"DUEBRIDGE_SMTP_HOST": "mail.invalid"}, "settings", "unencrypted", Verdict.FAIL),
        ({"DUEBRIDGE_MAIL_FROM": "billing@localhost"}, "settings", "billing@localhost", Verdict.WARN),
        ({"DUEBRIDGE_DATABASE_URL": "mysql://x/y"}, "settings", "mysql cannot be used", Verdict.FAIL),
        ({"DUEBRIDGE_ENCRYPTION_KEYS": ""}, "settings", "must be set", Verdict.FAIL),
        ({"DUEBRIDGE_SANDBOX_ALLOW_IN_PRODUCTION": ""}, "settings", "moves no real money", Verdict.FAIL),
        ({"DUEBRIDGE_SECRET_KEY": "a" * 40}, "keys", "not random", Verdict.FAIL),
        ({"DUEBRIDGE_ENCRYPTION_KEYS": f"a:{KEY},a:{OTHER_KEY}"}, "keys", "same id", Verdict.FAIL),
        (
            {"DUEBRIDGE_SECRET_KEY": "development-only-secret-key-not-for-production"},
            "keys",
            "for development",
            Verdict.FAIL,
        ),
        ({"DUEBRIDGE_QUICKBOOKS_CLIENT_SECRET": ""}, "adapters", "in part only", Verdict.FAIL),
        ({"DUEBRIDGE_QUICKBOOKS_WEBHOOK_SECRET": ""}, "adapters", "are refused", Verdict.WARN),
        ({"DUEBRIDGE_SANDBOX_API_KEY": ""}, "adapters", "customers cannot pay", Verdict.WARN),
        ({}, "mail", "cannot be reached", Verdict.FAIL),
        ({}, "address", "does not answer", Verdict.FAIL),
    ],
)
def test_each_fault_of_the_settings_is_found(
    sqlite_schema_url: str, change: dict[str, str], check: str, words: str, verdict: Verdict
) -> None:
    settings = _settings(sqlite_schema_url) | change
    assert _fault(settings, check, words).verdict is verdict


def test_a_database_without_tables_or_of_another_version_is_named(database_url: str) -> None:
    from connector.db.migrations import newest_revision, upgrade

    settings = _settings(database_url)
    if database_url.startswith("sqlite"):
        assert _fault(settings, "database", "There is none").verdict is Verdict.FAIL
        assert not Path(sa.engine.make_url(database_url).database or "").exists(), "asking made no file"
    else:
        assert _fault(settings, "database", "no tables").verdict is Verdict.FAIL
    upgrade(database_url)
    downgrade(database_url, "0007")
    assert _fault(settings, "database", "earlier version (0007").verdict is Verdict.FAIL
    upgrade(database_url)
    _write(database_url, sa.text("UPDATE alembic_version SET version_num = '9999'"))
    assert _fault(settings, "database", "later version (9999").verdict is Verdict.WARN
    upgrade(database_url)
    assert _fault(settings, "database", f"this one makes {newest_revision()}").verdict is Verdict.WARN


def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    settings = _settings("postgresql://someone:hunter22@127.0.0.1:9/duebridge?connect_timeout=5")
    finding = _fault(settings, "database", "cannot be reached")
    assert finding.verdict is Verdict.FAIL and "someone:***@" in finding.what and "hunter22" not in finding.what


def test_missing_and_dead_workers_and_late_work_are_noticed(schema_url: str) -> None:
    settings = _settings(schema_url)
    assert _fault(settings, "workers", "None is at work.").verdict is Verdict.FAIL
    _write(schema_url, _beat(600), _work("pending", 1200), _work("dead", 10))
    assert _fault(settings, "workers", "10 minutes ago").verdict is Verdict.FAIL
    assert _fault(settings, "work", "waited for 20 minutes").verdict is Verdict.WARN
    assert _fault(settings, "work", "1 pieces of work were given up").verdict is Verdict.WARN
    _write(schema_url, sa.text("UPDATE work SET next_at = next_at - 7200000000 WHERE state = 'pending'"))
    assert _fault(settings, "work", "waited for 140 minutes").verdict is Verdict.FAIL


def test_tokens_no_present_key_opens_are_counted(schema_url: str) -> None:
    keys = read_settings(_settings(schema_url)).encryption_keys
    engine = make_engine(schema_url, connections=1)
    with engine.begin() as connection:
        merchant = connection.execute(
            sa.insert(t.merchants).values(slug="north", created_at=NOW).returning(t.merchants.c.id)
        ).scalar_one()
        values = {"merchant_id": merchant, "system": "xero", "extra": {}, "state": "active", "created_at": NOW}
        number = connection.execute(
            sa.insert(t.connections).values(tenant="1", **values).returning(t.connections.c.id)
        ).scalar_one()
        connection.execute(
            sa.insert(t.secrets).values(
                connection_id=number,
                merchant_id=merchant,
                sealed=Vault(keys).seal(b"{}", bound_to=f"secrets:{number}"),
                changed_at=NOW,
            )
        )
    engine.dispose()
    rotated = {"DUEBRIDGE_ENCRYPTION_KEYS": f"second:{OTHER_KEY},first:{KEY}"}
    found = _findings(_settings(schema_url, **rotated), "keys")
    assert {finding.verdict for finding in found} == {Verdict.OK} and "1 of them with a former key" in found[-1].what
    lost = {"DUEBRIDGE_ENCRYPTION_KEYS": f"second:{OTHER_KEY}"}
    assert _fault(_settings(schema_url, **lost), "keys", "1 of 1 connections cannot").verdict is Verdict.FAIL


def test_another_distributions_files_among_ours_are_found(
    sqlite_schema_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners = metadata.packages_distributions()
    monkeypatch.setattr(metadata, "packages_distributions", lambda: {**owners, "portal": ["duebridge", "a-portal"]})
    assert _fault(_settings(sqlite_schema_url), "packages", "portal is owned by a-portal").verdict is Verdict.FAIL


def test_clocks_apart_are_named_with_their_side() -> None:
    assert skew("clock", 1.0, "the database's").verdict is Verdict.OK
    behind, ahead = skew("clock", 30.0, "the database's"), skew("clock", -90.0, "the proxy's")
    assert behind.verdict is Verdict.WARN and "30 seconds behind the database's" in behind.what
    assert ahead.verdict is Verdict.FAIL and "90 seconds ahead of the proxy's" in ahead.what


def test_the_deepest_mount_says_where_a_file_lies(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    deep = tmp_path / "data dir"
    deep.mkdir()
    escaped = str(deep).replace(" ", "\\040")
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/x {escaped} nfs4 rw 0 0\n/dev/sdb {tmp_path} xfs rw 0 0\n")
    assert file_system_of(deep / "duebridge.db", mounts) == "nfs4"
    assert file_system_of(tmp_path / "duebridge.db", mounts) == "xfs"
    assert file_system_of(tmp_path, tmp_path / "absent") == ""


def test_a_file_over_the_network_is_refused(sqlite_schema_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.doctor.database.file_system_of", lambda path: "nfs4")
    assert _fault(_settings(sqlite_schema_url), "disk", "over the network (nfs4)").verdict is Verdict.FAIL


def test_the_command_reports_in_json_tells_no_secret_and_says_by_its_exit_whether_all_is_well(
    sqlite_schema_url: str,
) -> None:
    settings = _settings(sqlite_schema_url)
    command = [str(Path(sys.executable).with_name("duebridge")), "doctor"]
    environment = {"PATH": os.environ["PATH"], **settings}
    report = subprocess.run([*command, "--json"], env=environment, capture_output=True, text=True, timeout=120)
    said = json.loads(report.stdout)
    assert report.returncode == 1 and said["ok"] is False
    assert {check["verdict"] for check in said["checks"]} <= {"ok", "warn", "fail"}
    lines = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert lines.returncode == 1 and "FAIL  workers: None is at work." in lines.stdout
    for words in (report.stdout, report.stderr, lines.stdout, lines.stderr):
        assert not [secret for secret in (*SECRETS.values(), KEY, "verifier") if secret in words]
