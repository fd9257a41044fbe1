"""duebridge schedules: what is done by the clock, when next, when last, and what came of it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from datetime import datetime

import click

from connector.config import BadSetting, read_settings


@click.group()
def schedules() -> None:
    """What is done by the clock."""


@schedules.command("list")
@click.option("--merchant", "merchant_id", type=int, help="Only this merchant's.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def list_schedules(merchant_id: int | None, as_json: bool) -> None:
    """Each task with its last and next run (UTC). A worker plans those of a new connection within a minute."""
    from connector import app as roof
    from connector.reading.schedules import everybodys

    try:
        wiring = roof.wire(read_settings(os.environ), dispatch=lambda connection, item, delay: None)
    except BadSetting as problem:
        raise click.ClickException(str(problem)) from problem
    try:
        found = everybodys(wiring, merchant_id)
    finally:
        wiring.database.engine.dispose()
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], default=str, ensure_ascii=False))
        return
    for one in found:
        whose = f"merchant {one.merchant}, connection {one.connection} ({one.name})" if one.connection else "everybody"
        if one.state == "on":
            when = f"next {_moment(one.next_at)}, last {_moment(one.last_at)}"
        else:
            when = one.state.replace("_", " ")
        click.echo(f"{one.task:16} {whose}: {when}. {one.outcome}")
    if not found:
        click.echo("Nothing is planned yet. A worker plans the tasks of active connections within a minute.")


def _moment(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else "never"
