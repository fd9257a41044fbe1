"""Verified webhooks and the work they make, kept in one transaction; the same bytes again are a duplicate.

A commit waits for the disk, so deliveries that arrive while one is under way share the next: whoever finds nobody
committing commits for all who wait, and hands that over to the first of those who came meanwhile.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque

from connector.db.installation import Installation
from connector.wiring import Wiring

MOST_TOGETHER = 200
# Of what the sender grants until an answer must be there: the rest is for the network and the answer.
_SHARE_OF_ANSWER_TIME = 0.5
_LEAST_PATIENCE = 0.2


class NotKept(Exception):
    """The delivery is not known to be stored; the sender is asked to send it again."""


class _Delivery:
    """One that waits: `done` is released when it is stored, when that failed, or when it is to commit for all."""

    __slots__ = ("body", "digest", "done", "failure", "leads")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.digest = hashlib.sha256(body).digest()
        self.done = threading.Lock()
        self.done.acquire()
        self.failure: BaseException | None = None
        self.leads = False


class Inbox:
    """One sender's deliveries, as this process takes them in."""

    def __init__(self, wiring: Wiring, sender: str) -> None:
        self._wiring = wiring
        self._sender = sender
        self._guard = threading.Lock()
        self._waiting: deque[_Delivery] = deque()
        self._committing = False
        scheme = wiring.senders[sender].manifest.webhooks
        self._patience = (scheme.answer_within if scheme else 3.0) * _SHARE_OF_ANSWER_TIME

    def keep(self, body: bytes) -> None:
        """Return once the delivery and its work are on disk. Raises NotKept, within half the sender's limit."""
        until = time.monotonic() + self._patience
        mine = _Delivery(body)
        with self._guard:
            self._waiting.append(mine)
            leads = not self._committing
            self._committing = True
        if not leads:
            if not mine.done.acquire(timeout=self._patience) and not self._withdraw(mine):
                # Another's commit has just taken it along, or it is to commit itself: either is known in a moment.
                mine.done.acquire()
            leads = mine.leads
        if leads:
            self._commit_for_all(mine, until)
        if mine.failure is not None:
            raise NotKept(type(mine.failure).__name__) from mine.failure

    def _withdraw(self, mine: _Delivery) -> bool:
        """Give up waiting; False when somebody has taken it up already."""
        with self._guard:
            if mine.leads or mine not in self._waiting:
                return False
            self._waiting.remove(mine)
            mine.failure = TimeoutError("Others are still being stored.")
            return True

    def _commit_for_all(self, mine: _Delivery, until: float) -> None:
        # Where the turn to write never comes, only its own delivery fails: the others' time is not over yet.
        together: list[_Delivery] = []
        failure: BaseException | None = None
        try:
            self._store(together, until)
        except BaseException as raised:
            failure = raised
        with self._guard:
            if not together:
                self._waiting.remove(mine)
                together.append(mine)
            successor = self._waiting[0] if self._waiting else None
            self._committing = successor is not None
            if successor is not None:
                successor.leads = True
                successor.done.release()
        for delivery in together:
            delivery.failure = failure
            if delivery.done.locked():
                delivery.done.release()
        if failure is not None and not isinstance(failure, Exception):
            raise failure

    def _store(self, together: list[_Delivery], until: float) -> None:
        patience = max(_LEAST_PATIENCE, until - time.monotonic())
        with self._wiring.database.installation(patience=patience) as all_merchants:
            # Only now, so that whoever came while others were writing is stored as well.
            with self._guard:
                together += [self._waiting.popleft() for _ in range(min(MOST_TOGETHER, len(self._waiting)))]
            self._write(all_merchants, together)

    def _write(self, all_merchants: Installation, together: list[_Delivery]) -> None:
        all_merchants.receive(self._sender, [(delivery.digest, delivery.body) for delivery in together])
