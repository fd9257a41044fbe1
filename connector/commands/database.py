"""duebridge db backup, restore, restored: copies of the database, and going on from one."""

from __future__ import annotations

import os
from pathlib import Path

import click

from connector.config import BadSetting, Settings, read_settings

_PROGRAMS = click.option(
    "--programs",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder of pg_dump and pg_restore, where they are not on the path.",
)


def _settings() -> Settings:
    try:
        return read_settings(os.environ)
    except BadSetting as problem:
        raise click.ClickException(str(problem)) from problem


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@_PROGRAMS
def backup(file: Path, programs: Path | None) -> None:
    """Copy the whole database to a new FILE while work goes on."""
    from connector.db.backup import BackupFailed, back_up
    from connector.db.engine import UnknownDatabase

    try:
        size = back_up(_settings().database_url, file.absolute(), programs=programs)
    except (BackupFailed, UnknownDatabase) as problem:
        raise click.ClickException(str(problem)) from problem
    click.echo(
        f"The backup is complete: {file}, {size:,} bytes. The encryption keys are not in it; keep them elsewhere."
    )


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_PROGRAMS
def restore(file: Path, programs: Path | None) -> None:
    """Put a backup into an empty database, upgrade it, and mark what must be looked up. Stop all processes first."""
    from connector.db.backup import BackupFailed, put_back
    from connector.db.engine import UnknownDatabase

    settings = _settings()
    try:
        put_back(settings.database_url, file.absolute(), programs=programs)
    except (BackupFailed, UnknownDatabase) as problem:
        raise click.ClickException(str(problem)) from problem
    _mark(settings)


@click.command()
def restored() -> None:
    """After a restore by other means (a snapshot, point-in-time recovery), before any process is started."""
    _mark(_settings())


def _mark(settings: Settings) -> None:
    from connector.app import wire
    from connector.jobs.engine import prepare_database
    from connector.journeys import restored as journey

    prepare_database(settings.database_url)
    try:
        wiring = wire(settings)
    except BadSetting as problem:
        raise click.ClickException(str(problem)) from problem
    doubts = journey.run(wiring)
    wiring.database.engine.dispose()
    click.echo(
        f"The database stands ready for {doubts.merchants} merchants. {doubts.postings} payments are looked up in the "
        f"books before they are sent, and the gateways are asked about {doubts.payments}. Start the processes, then "
        "run duebridge doctor and duebridge audit-books."
    )
