"""What the roof builds from settings, and what it refuses to build."""

from __future__ import annotations

from inspect import iscoroutinefunction
from pathlib import Path

import pytest

from connector.app import create_app, wire
from connector.config import BadSetting, Settings, read_settings

_PRODUCTION = {
    "DUEBRIDGE_ENV": "production",
    "DUEBRIDGE_PUBLIC_URL": "https://pay.example.com",
    "DUEBRIDGE_SECRET_KEY": "a secret key of more than thirty-two characters",
    "DUEBRIDGE_ENCRYPTION_KEYS": "first:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
}
_SANDBOX = {"DUEBRIDGE_SANDBOX_API_KEY": "key", "DUEBRIDGE_SANDBOX_WEBHOOK_SECRET": "secret"}


def _settings(tmp_path: Path, **more: str) -> Settings:
    return read_settings({"DUEBRIDGE_DATABASE_URL": f"sqlite:///{tmp_path / 'duebridge.db'}", **more})


def test_the_sandbox_refuses_production(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="moves no real money and refuses to run in production"):
        wire(_settings(tmp_path, **_PRODUCTION, **_SANDBOX), dispatch=lambda *_: None)


def test_the_sandbox_runs_in_production_when_told_to(tmp_path: Path) -> None:
    allowed = {**_PRODUCTION, **_SANDBOX, "DUEBRIDGE_SANDBOX_ALLOW_IN_PRODUCTION": "1"}
    wiring = wire(_settings(tmp_path, **allowed), dispatch=lambda *_: None)
    assert set(wiring.gateways) == {"sandbox"}
    wiring.database.engine.dispose()


def test_production_without_the_sandbox_starts(tmp_path: Path) -> None:
    wiring = wire(_settings(tmp_path, **_PRODUCTION), dispatch=lambda *_: None)
    assert not wiring.gateways
    wiring.database.engine.dispose()


@pytest.mark.parametrize("missing", ["DUEBRIDGE_SECRET_KEY", "DUEBRIDGE_ENCRYPTION_KEYS"])
def test_production_insists_on_its_own_keys(tmp_path: Path, missing: str) -> None:
    given = {name: value for name, value in _PRODUCTION.items() if name != missing}
    with pytest.raises(BadSetting, match=missing):
        _settings(tmp_path, **given)


def test_production_insists_on_https(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="https"):
        _settings(tmp_path, **{**_PRODUCTION, "DUEBRIDGE_PUBLIC_URL": "http://pay.example.com"})


def test_an_adapter_reads_its_addresses_and_keys_from_the_environment(tmp_path: Path) -> None:
    given = {
        "DUEBRIDGE_QUICKBOOKS_CLIENT_ID": "id",
        "DUEBRIDGE_QUICKBOOKS_CLIENT_SECRET": "hidden",
        "DUEBRIDGE_QUICKBOOKS_API_URL": "http://127.0.0.1:9/",
        "DUEBRIDGE_QUICKBOOKS_WEBHOOK_SECRET": "current, previous",
    }
    wiring = wire(_settings(tmp_path, **given), dispatch=lambda *_: None)
    assert set(wiring.systems) == {"quickbooks"}
    assert wiring.webhook_secrets == {"quickbooks": ("current", "previous")}
    assert "hidden" not in repr(wiring.settings)
    wiring.database.engine.dispose()


def test_no_view_and_no_hook_is_async(tmp_path: Path) -> None:
    """Flask calls them as they are."""
    wiring = wire(_settings(tmp_path, **_SANDBOX), dispatch=lambda *_: None)
    app = create_app(wiring)
    hooks = [
        hook
        for kind in (app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs)
        for several in kind.values()
        for hook in several
    ]
    handlers = [
        handler
        for blueprint in app.error_handler_spec.values()
        for code in blueprint.values()
        for handler in code.values()
    ]
    called = [*app.view_functions.values(), *hooks, *handlers, *app.teardown_appcontext_funcs]
    assert len(called) > 50 and not [one for one in called if iscoroutinefunction(one)]
    wiring.database.engine.dispose()
