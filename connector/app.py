"""The roof: builds the product's parts from settings and names every wing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, cast

from connector.config import BadSetting, Settings
from connector.contract import BillingSystem, PaymentGateway, Sender
from connector.db.clock import clock_of
from connector.db.engine import make_companion, make_engine
from connector.db.leases import SqlTokenStore
from connector.db.limits import SqlLimiter
from connector.db.unit_of_work import Database, Dispatch
from connector.db.vault import Vault
from connector.domain.work import Work
from connector.jobs.handlers import TABLE
from connector.jobs.runner import Handler
from connector.mail import Mailer
from connector.manifest import AdapterConfig, LimitInForce, Manifest
from connector.wiring import Timing, Wiring
from integrations import registry
from integrations.allowances import limits_in_force
from integrations.http import STRETCH
from integrations.oauth import TokenKeeper
from webhooks import dispatch as webhook_dispatch

if TYPE_CHECKING:
    from flask import Flask

HANDLERS: Mapping[Work, Handler] = {**TABLE, Work.DELIVERY: webhook_dispatch.run}


def wire(
    settings: Settings,
    *,
    clock: Callable[[], datetime] | None = None,
    dispatch: Dispatch | None = None,
    timing: Timing | None = None,
) -> Wiring:
    """Everything the product is made of. `dispatch` wakes the job engine; the real one when not given. `clock`: the
    one all processes of the database share, when not given.

    Raises BadSetting when an adapter may not run here.
    """
    engine = make_engine(settings.database_url)
    clock = clock or clock_of(engine)
    vault = Vault(settings.encryption_keys)
    limiter = SqlLimiter(make_companion(engine))
    token_store = SqlTokenStore(engine, vault)
    wake, engine_rows = (dispatch, dict) if dispatch else _job_engine(settings)

    def token_supply(system: BillingSystem, connection: str) -> Callable[[str | None], str]:
        return TokenKeeper(token_store, system).supplier(connection)

    systems: dict[str, BillingSystem] = {
        name: adapter(adapter_config(adapter.manifest, settings), limiter)
        for name, adapter in registry.SYSTEMS.items()
        if _configured(adapter.manifest, settings)
    }
    gateways: dict[str, PaymentGateway] = {
        name: adapter(adapter_config(adapter.manifest, settings), limiter)
        for name, adapter in registry.GATEWAYS.items()
        if _configured(adapter.manifest, settings) and _allowed(adapter.manifest, settings)
    }
    adapters: dict[str, BillingSystem | PaymentGateway] = {**systems, **gateways}
    senders = {name: cast(Sender, adapters[name]) for name in registry.senders() if name in adapters}
    return Wiring(
        settings=settings,
        database=Database(engine, vault, clock, wake),
        systems=systems,
        gateways=gateways,
        senders=senders,
        webhook_secrets={name: adapter_config(senders[name].manifest, settings).webhook_secrets for name in senders},
        mail=Mailer(settings.smtp, clock),
        limiter=limiter,
        token_store=token_store,
        token_supply=token_supply,
        clock=clock,
        timing=timing or Timing(),
        limits={name: _limits(adapter.manifest, settings) for name, adapter in adapters.items()},
        engine_rows=engine_rows,
        not_configured=(
            *(adapter.manifest for name, adapter in registry.SYSTEMS.items() if name not in adapters),
            *(adapter.manifest for name, adapter in registry.GATEWAYS.items() if name not in adapters),
        ),
    )


def adapter_config(manifest: Manifest, settings: Settings) -> AdapterConfig:
    """An adapter's settings: its endpoints with overrides, and every DUEBRIDGE_<NAME>_* variable that concerns it."""
    prefix = f"{manifest.name.upper()}_"
    own = {name.removeprefix(prefix): value for name, value in settings.values.items() if name.startswith(prefix)}
    endpoints = {
        name: own.get(f"{name.upper()}_URL", address).rstrip("/") for name, address in manifest.endpoints.items()
    }
    secrets = tuple(secret.strip() for secret in own.get("WEBHOOK_SECRET", "").split(",") if secret.strip())
    return AdapterConfig(
        endpoints=endpoints,
        credentials={name: own.get(name.upper(), "") for name in manifest.secrets},
        webhook_secrets=secrets,
        options={name.lower(): value for name, value in own.items()} | {"environment": settings.environment},
    )


def manifests() -> list[Manifest]:
    """What every adapter there is declares about itself, configured here or not."""
    declared = [system.manifest for system in registry.SYSTEMS.values()]
    return declared + [gateway.manifest for gateway in registry.GATEWAYS.values()]


def create_app(wiring: Wiring) -> Flask:
    """The web application: dashboard, portal and webhooks over one foundation."""
    # Loaded here: a worker or a command that serves no pages starts in half the time and memory without them.
    from connector import dashboard
    from connector.web import foundation, plugin_manifest
    from portal import blueprint as portal
    from webhooks import door

    app = foundation.Application("connector", static_folder=None, template_folder=None)
    foundation.install(app, wiring)
    app.register_blueprint(door.blueprint)
    foundation.exempt(app, door.blueprint)
    app.register_blueprint(plugin_manifest.serve(manifests()))
    portal.install(app)
    dashboard.install(app)
    return app


def _job_engine(settings: Settings) -> tuple[Dispatch, Callable[[], Mapping[str, int]]]:
    from connector.jobs import engine

    dispatcher = engine.dispatcher(settings)
    return dispatcher, dispatcher.rows


def _limits(manifest: Manifest, settings: Settings) -> Sequence[LimitInForce]:
    in_force = limits_in_force(manifest, adapter_config(manifest, settings))
    return [LimitInForce(limit, limit.period * STRETCH) for limit in in_force]


def _configured(manifest: Manifest, settings: Settings) -> bool:
    """Whether this installation has the app credentials an adapter needs."""
    return all(settings.values.get(f"{manifest.name.upper()}_{secret.upper()}") for secret in manifest.secrets)


def _allowed(manifest: Manifest, settings: Settings) -> bool:
    if not (manifest.sandbox_only and settings.production):
        return True
    if settings.values.get(f"{manifest.name.upper()}_ALLOW_IN_PRODUCTION") == "1":
        return True
    raise BadSetting(
        f"{manifest.title} moves no real money and refuses to run in production. Remove its DUEBRIDGE_"
        f"{manifest.name.upper()}_* variables, or set DUEBRIDGE_{manifest.name.upper()}_ALLOW_IN_PRODUCTION=1."
    )
