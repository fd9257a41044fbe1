"""Whether what is installed is ours alone, and which systems can be used."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import connector
from connector.doctor.finding import Finding, fail, ok, warn
from connector.manifest import Manifest
from connector.wiring import Wiring

DISTRIBUTION = "duebridge"
NAMES = ("connector", "integrations", "webhooks", "portal")


def packages() -> Iterator[Finding]:
    """The four top-level names are common words: another distribution may have laid its files over ours."""
    owners = metadata.packages_distributions()
    home = Path(connector.__file__).resolve().parents[1]
    strangers = False
    for name in NAMES:
        others = sorted(set(owners.get(name, ())) - {DISTRIBUTION})
        found = importlib.util.find_spec(name)
        origin = Path(found.origin).resolve().parents[1] if found is not None and found.origin else None
        if others or origin != home:
            strangers = True
            yield fail(
                "packages",
                f"The package {name} {'is owned by ' + ', '.join(others) + ' as well' if others else 'is not ours'}.",
                "Install duebridge alone, in a new virtual environment.",
            )
    try:
        installed = metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        yield warn("packages", "Duebridge runs without being installed.", "Install it in a virtual environment.")
        return
    if installed != connector.__version__:
        yield warn(
            "packages",
            f"Version {installed} is installed, and {connector.__version__} runs.",
            "Install again, and start the processes anew.",
        )
    elif not strangers:
        yield ok("packages", f"Duebridge {installed}; its four packages are nobody else's.")


def adapters(wiring: Wiring) -> Iterator[Finding]:
    """Which systems and gateways can be used, and whether their webhooks can be told from forged ones."""
    values = wiring.settings.values
    for manifest in wiring.not_configured:
        given = [secret for secret in manifest.secrets if values.get(_variable(manifest, secret))]
        if given:
            missing = [f"DUEBRIDGE_{_variable(manifest, secret)}" for secret in manifest.secrets if secret not in given]
            yield fail(
                "adapters", f"{manifest.title} is set up in part only.", f"Set {', '.join(missing)} as well, or none."
            )
    for role, there, without in (
        ("system", wiring.systems, "nobody can connect their books"),
        ("gateway", wiring.gateways, "customers cannot pay"),
    ):
        if not there:
            yield warn(
                "adapters",
                f"No {role} is set up: {without}.",
                "Set the keys of one (README, Settings).",
            )
            continue
        yield ok("adapters", f"Set up: {', '.join(adapter.manifest.title for adapter in there.values())}.")
    for name, sender in wiring.senders.items():
        if not wiring.webhook_secrets.get(name):
            yield warn(
                "adapters",
                f"Webhooks of {sender.manifest.title} are refused, since nothing can prove that they are genuine.",
                f"Set DUEBRIDGE_{name.upper()}_WEBHOOK_SECRET; until then changes are only noticed by reading.",
            )


def _variable(manifest: Manifest, secret: str) -> str:
    return f"{manifest.name.upper()}_{secret.upper()}"
