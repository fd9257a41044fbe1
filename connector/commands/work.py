"""duebridge work list, show, retry, cancel: background work as an operator sees it and takes a hand in it."""

from __future__ import annotations

import getpass
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

import click
import structlog
from sqlalchemy.exc import SQLAlchemyError

from connector.config import BadSetting, read_settings
from connector.domain.work import Work

if TYPE_CHECKING:
    from connector.db.work import Dispatch
    from connector.reading.work import Listed, Story
    from connector.wiring import Wiring

# Beside 0 (done) and 2 (the command was not understood).
NOT_POSSIBLE, NOT_THERE = 1, 3
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_AGE = re.compile(r"(\d{1,9})([smhd])", re.ASCII)
_KINDS = [kind.value for kind in Work]
_STATES = ("pending", "done", "dead")


class Age(click.ParamType[timedelta]):
    """A time such as 90s, 15m, 2h or 3d."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read it, or say how it is written."""
        found = _AGE.fullmatch(str(value))
        if found is None:
            self.fail("write a number and s, m, h or d, for example 90s, 15m, 2h or 3d.", param, ctx)
        return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


@click.group()
def work() -> None:
    """Background work: what waits, what has died and why.

    Exit codes: 0 done; 1 not possible as it stands; 2 the command was not understood; 3 there is no such work.
    """


@work.command("list")
@click.option("--state", "states", multiple=True, type=click.Choice(_STATES), help="Pending and dead, unless named.")
@click.option("--kind", default="", type=click.Choice(["", *_KINDS]), help="Only this kind.", metavar="KIND")
@click.option("--merchant", "merchant_id", type=int, help="Only this merchant's.")
@click.option("--older-than", type=Age(), help="Only what was due, or ended, longer ago than this, e.g. 15m.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def list_work(
    states: tuple[str, ...],
    kind: str,
    merchant_id: int | None,
    older_than: timedelta | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show work: what waits by its time, then what has ended, the latest first."""
    from connector.reading.work import Filter
    from connector.reading.work import work as read

    wanted = Filter(states or ("pending", "dead"), kind, merchant_id, older_than)
    with _wired() as wiring:
        found = read(wiring, wanted, most=limit)
        now = wiring.clock()
    if as_json:
        click.echo(json.dumps([_fields(row, now) for row in found], indent=2, ensure_ascii=False))
        return
    for row in found:
        click.echo(f"{row.id}  {row.state}  {_when(row)}  attempt {row.attempt}, {row.failures} failed")
        if row.error:
            click.echo(f"    {row.error}")
    more = f"; there may be more, see --limit {limit}" if len(found) == limit else ""
    click.echo(f"{len(found)} piece{'' if len(found) == 1 else 's'} of work{more}.")


@work.command()
@click.argument("identity", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(identity: str, as_json: bool) -> None:
    """Tell the whole story of one piece of work: what it is for, its attempts, the cause, and what to do."""
    from connector.errors import NotFound
    from connector.reading.work import one

    with _wired() as wiring:
        try:
            story = one(wiring, identity)
        except NotFound as missing:
            _refuse(missing.message, NOT_THERE)
        now = wiring.clock()
    click.echo(json.dumps(_story(story, now), indent=2, ensure_ascii=False) if as_json else _told(story, now))


@work.command()
@click.argument("identities", metavar="[ID]...", nargs=-1)
@click.option("--dead", "all_dead", is_flag=True, help="All that are dead, narrowed by --kind and --merchant.")
@click.option("--kind", default="", type=click.Choice(["", *_KINDS]), help="With --dead.", metavar="KIND")
@click.option("--merchant", "merchant_id", type=int, help="With --dead.")
def retry(identities: tuple[str, ...], all_dead: bool, kind: str, merchant_id: int | None) -> None:
    """Try work again at once, with a fresh budget of failures. Written to the merchant's audit log."""
    from connector.errors import ConnectorError, NotFound
    from connector.journeys import work_by_hand
    from connector.reading.work import Filter, one
    from connector.reading.work import work as read

    if all_dead == bool(identities):
        raise click.UsageError("Name the work by its ID, or say --dead.")
    worst = 0
    with _wired(wakes=True) as wiring:
        wanted = Filter(("dead",), kind, merchant_id)
        chosen = [row.id for row in read(wiring, wanted, most=10_000)] if all_dead else identities
        for identity in chosen:
            try:
                whose = one(wiring, identity).work.merchant_id
                work_by_hand.retry(wiring, identity, whose, address=_who())
            except ConnectorError as refusal:
                click.echo(f"{identity}: {refusal.message}", err=True)
                worst = max(worst, NOT_THERE if isinstance(refusal, NotFound) else NOT_POSSIBLE)
            else:
                click.echo(f"{identity}: is tried again now.")
    if all_dead:
        click.echo(f"{len(chosen)} piece{'' if len(chosen) == 1 else 's'} of work.")
    sys.exit(worst)


@work.command()
@click.argument("identity", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Also work about money; what it was for has to be done by hand.")
def cancel(identity: str, yes: bool, force: bool) -> None:
    """End work that waits. It stays among the dead, with who ended it, and can be retried."""
    from connector.domain.work_words import words_of
    from connector.errors import ConnectorError, NotFound
    from connector.journeys import work_by_hand
    from connector.reading.work import one

    with _wired(wakes=True) as wiring:
        try:
            found = one(wiring, identity).work
            words = words_of(found.kind)
            if not yes:
                after = words.after_cancel or f"{words.missing} Nothing will see to it any more."
                click.confirm(f"{words.title}. {after} Cancel it?", abort=True)
            work_by_hand.cancel(
                wiring, identity, found.merchant_id, who=f"an operator ({_who()})", address=_who(), force=force
            )
        except ConnectorError as refusal:
            _refuse(refusal.message, NOT_THERE if isinstance(refusal, NotFound) else NOT_POSSIBLE)
    click.echo(f"{identity}: is cancelled.")


@contextmanager
def _wired(*, wakes: bool = False) -> Iterator[Wiring]:
    """The product's parts; `wakes`: what is recorded wakes the workers. What is logged goes to standard error."""
    from connector import app as roof
    from connector.jobs.engine import dispatcher

    with ExitStack() as at_the_end:
        at_the_end.callback(structlog.configure, **structlog.get_config())
        structlog.configure(
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(),
            ],
            logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
            cache_logger_on_first_use=False,
        )
        try:
            settings = read_settings(os.environ)
            dispatch: Dispatch = lambda connection, item, delay: None  # noqa: E731
            if wakes:
                waking = dispatcher(settings)
                at_the_end.callback(waking.close)
                dispatch = waking
            wiring = roof.wire(settings, dispatch=dispatch)
        except BadSetting as problem:
            raise click.ClickException(str(problem)) from problem
        at_the_end.callback(wiring.database.engine.dispose)
        try:
            yield wiring
        except SQLAlchemyError as problem:
            what = type(problem).__name__
            advice = "See whether it runs and `duebridge db upgrade` was run; `duebridge doctor` tells more."
            raise click.ClickException(f"The database could not be asked ({what}). {advice}") from problem


def _refuse(message: str, code: int) -> NoReturn:
    click.echo(f"Error: {message}", err=True)
    sys.exit(code)


def _who() -> str:
    try:
        return f"command line, {getpass.getuser()}"
    except (KeyError, OSError):
        return "command line"


def _when(row: Listed) -> str:
    if row.state == "pending":
        return f"due {_instant(row.next_at)}"
    return f"ended {_instant(row.finished_at)}"


def _instant(moment: datetime | None) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if moment else "–"


def _fields(row: Listed, now: datetime) -> dict[str, Any]:
    moments = {
        name: moment.isoformat() if moment else None
        for name, moment in (
            ("next_at", row.next_at),
            ("sent_at", row.sent_at),
            ("created_at", row.created_at),
            ("finished_at", row.finished_at),
        )
    }
    return {
        "id": row.id,
        "kind": row.kind,
        "title": row.title,
        "merchant": row.merchant_id,
        "partition": row.partition,
        "state": row.state,
        "attempt": row.attempt,
        "failures": row.failures,
        "cause": row.error,
        "payload": dict(row.payload),
        "correlation": row.correlation,
        **moments,
        "what_to_do": row.advice(now),
    }


def _story(story: Story, now: datetime) -> dict[str, Any]:
    return {
        **_fields(story.work, now),
        "means": story.work.missing if story.work.state != "done" else "",
        "about": [{"what": what, "id": which, "state": state} for what, which, state in story.about],
        "by_hand": [
            {"at": deed.at.isoformat(), "action": deed.action, "user": deed.user_id, "address": deed.address}
            for deed in story.deeds
        ],
    }


def _told(story: Story, now: datetime) -> str:
    row = story.work
    lines = [
        f"{row.id}: {row.title}",
        f"State:        {row.state}, {_when(row)}",
        f"For:          {'the installation' if row.merchant_id is None else f'merchant {row.merchant_id}'}, "
        f"in line with {row.partition}",
        f"Asked for:    {_instant(row.created_at)}",
        f"Attempts:     {row.attempt} so far, {row.failures} failed",
    ]
    if row.sent_at:
        lines.append(
            f"Sent:         {_instant(row.sent_at)}; what became of it is looked up before anything goes again"
        )
    if row.error:
        lines.append(f"Cause:        {row.error}")
    lines += [f"About:        {what} {which} ({state})" for what, which, state in story.about]
    lines += [
        f"By hand:      {_instant(deed.at)} {deed.action.removeprefix('work.')} "
        f"({deed.address or f'user {deed.user_id}'})"
        for deed in story.deeds
    ]
    lines.append(f"Correlation:  {row.correlation or '–'} (every log line of it carries this)")
    if row.state != "done":
        lines.append(f"Until then:   {row.missing}")
    lines.append(f"What to do:   {row.advice(now)}")
    return "\n".join(lines)
