"""How late a call can have arrived, judged by when its answer came."""

from __future__ import annotations

import threading
from collections import defaultdict, deque

_REMEMBERED = 100
# Before so many answers the quickest of them says nothing yet.
_ENOUGH = 10


class QuickestAnswers:
    """The quickest of each operation's last answers: the part of a call's time that is not spent on being late.

    A call that took longer than that may have been delayed on its way there, but had arrived so long before its
    answer. An answer that was quick by chance makes this smaller, and what is concluded from it more careful.
    """

    def __init__(self) -> None:
        self._seconds: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_REMEMBERED))
        self._guard = threading.Lock()

    def arrived_before(self, operation: str, seconds: float) -> float:
        """How many seconds before its answer a call had arrived at the latest; it took so many `seconds`."""
        with self._guard:
            remembered = self._seconds[operation]
            remembered.append(seconds)
            return min(remembered) if len(remembered) >= _ENOUGH else 0.0
