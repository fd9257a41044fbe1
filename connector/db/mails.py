"""Mail to be sent. What it says is sealed: codes and links stand in it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from connector.db import tables as t
from connector.db.bound import Bound


@dataclass(frozen=True, slots=True)
class MailRow:
    """One mail: the template's name and the values that go into it."""

    id: str
    recipient: str
    template: str
    values: Mapping[str, str]
    state: str


class Mails:
    """Repository of one merchant's outgoing mail."""

    def __init__(self, bound: Bound) -> None:
        self._bound = bound

    def write(self, recipient: str, template: str, values: Mapping[str, str]) -> str:
        """Put a mail down to be sent; its id."""
        mail_id = uuid.uuid4().hex
        self._bound.insert(
            t.mails,
            id=mail_id,
            recipient=recipient,
            template=template,
            sealed_values=self._bound.vault.seal(json.dumps(dict(values)).encode(), bound_to=f"mail:{mail_id}"),
            state="queued",
            created_at=self._bound.now,
        )
        return mail_id

    def get(self, mail_id: str) -> MailRow:
        """One mail, opened; empty once it has been sent or refused. Raises NotFound."""
        m = t.mails.c
        row = self._bound.one(self._bound.select(t.mails).where(m.id == mail_id), "This mail does not exist.")
        opened = self._bound.vault.open(row.sealed_values, bound_to=f"mail:{mail_id}") if row.sealed_values else b"{}"
        return MailRow(row.id, row.recipient, row.template, json.loads(opened), row.state)

    def sent(self, mail_id: str) -> None:
        """It left; what it said is forgotten."""
        self._bound.update(t.mails, t.mails.c.id == mail_id, state="sent", sent_at=self._bound.now, sealed_values=b"")

    def refused(self, mail_id: str, why: str) -> None:
        """It cannot be delivered, and why."""
        self._bound.update(t.mails, t.mails.c.id == mail_id, state="refused", problem=why, sealed_values=b"")
