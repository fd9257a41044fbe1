"""What is done by the clock, how often, and at which moment next. Pure: the same moment gives the same answer."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum


class Task(StrEnum):
    """What each connection has done for it by the clock. The value is stored."""

    POLL = "poll"
    FULL_SWEEP = "full_sweep"
    DRIFT = "drift"
    TOKEN = "token_refresh"  # noqa: S105 - a task's name
    WEBHOOKS = "webhook_renewal"


class InstallationTask(StrEnum):
    """What is done by the clock for everybody together."""

    PAYMENTS = "payments"
    RETENTION = "retention"


class What(StrEnum):
    """What may differ between our view and a system's."""

    INVOICE = "invoice"
    LINK = "link"
    POSTING = "posting"
    PAYMENT_DIFFERS = "payment_differs"
    PAYMENT_EXTRA = "payment_extra"
    UNREAD = "unread"
    LINK_REFUSED = "link_refused"


# A difference's subject is a column of this width.
LONGEST_SUBJECT = 64
# What waits elsewhere (a posting, a record, a placement) and has a row of its own only where a person ignores it.
KEPT_ELSEWHERE = (What.POSTING, What.UNREAD, What.LINK_REFUSED)


def record_subject(kind: str, remote_id: str) -> str:
    """How a record that could not be read is named as a difference's subject: ids are unique within a kind only."""
    return f"{kind}:{remote_id}"[:LONGEST_SUBJECT]


# Minutes between two readings of what is new, a system; webhooks come in between. Xero allows 5,000 calls a day for
# each organisation and 1,000 on its starter plan.
_READ_EVERY = {"xero": 15}
_READ_EVERY_OTHERWISE = 5
# The night's work is spread from one o'clock (UTC) over these many minutes; a full sweep has its own day of the week.
_NIGHT_BEGINS, _NIGHT_MINUTES = time(1, tzinfo=UTC), 240
# Until the first renewal has said when the next one is due.
_TOKEN_EVERY = timedelta(minutes=25)


def next_run(task: Task, system: str, connection_id: int, after: datetime) -> datetime | None:
    """When a task's turn is next, not before the minute of `after` (UTC); None for what is never due.

    Connections are spread over each period by their id, so that not all begin at once.
    """
    match task:
        case Task.POLL:
            minute = int(after.timestamp()) // 60
            every = _READ_EVERY.get(system, _READ_EVERY_OTHERWISE)
            return datetime.fromtimestamp((minute + (-(minute + connection_id)) % every) * 60, UTC)
        case Task.TOKEN:
            return after + _TOKEN_EVERY
        case Task.DRIFT:
            return _at_night(connection_id, after, every=1)
        case Task.FULL_SWEEP:
            return _at_night(connection_id, after, every=7)
        case Task.WEBHOOKS:
            return None


def business_date(moment: datetime) -> date:
    """The day a nightly run belongs to, part of its work's identity so that it is recorded once."""
    return moment.astimezone(UTC).date()


def _at_night(connection_id: int, after: datetime, *, every: int) -> datetime:
    moment = datetime.combine(after.astimezone(UTC).date(), _NIGHT_BEGINS)
    moment += timedelta(minutes=connection_id * 7 % _NIGHT_MINUTES)
    while moment < after or (every > 1 and (moment.toordinal() + connection_id) % every):
        moment += timedelta(days=1)
    return moment
