"""The doctor's round: settings first, since nothing else can be asked without them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from connector import app as roof
from connector.config import BadSetting, read_settings
from connector.db.engine import UnknownDatabase
from connector.doctor import database, installation, outside, settings
from connector.doctor.finding import Finding, fail


def examine(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Every finding, in the order in which faults follow from each other. Changes nothing, sends nothing."""
    yield from installation.packages()
    try:
        told = read_settings(environ)
    except BadSetting as problem:
        yield fail("settings", str(problem), "Set it in the environment of every process, then ask again.")
        return
    yield from settings.sane(told)
    yield from settings.keys(told)
    try:
        wiring = roof.wire(told, dispatch=lambda connection, item, delay: None)
    except (BadSetting, UnknownDatabase) as problem:
        yield fail("settings", str(problem), "Change the setting named here.")
        return
    yield from installation.adapters(wiring)
    try:
        yield from database.findings(wiring)
    finally:
        wiring.database.engine.dispose()
    yield from outside.mail(wiring)
    yield from outside.public_address(told)
