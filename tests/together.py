"""Which tests run together in one process when there are several processes."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

# Where tests share a stage, a deployment or a browser's event loop, which does not share its thread with another's.
_TOGETHER = ("tests/browser/", "tests/deployment/test_compose.py", "tests/faults/test_kills.py")
_DATABASES = ("sqlite", "postgresql")


class TogetherScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out those tests as one piece for each database, the largest pieces first, and all others one by one.

    Done by the tests' names: xdist's own groups are lost under pytest 9.2, which no longer lets a plugin rename tests.
    """

    def _split_scope(self, nodeid: str) -> str:
        """The piece a test belongs to."""
        return piece_of(nodeid)


def piece_of(nodeid: str) -> str:
    """The piece a test belongs to: its own name when it stands alone."""
    for start in _TOGETHER:
        if nodeid.startswith(start):
            parameters = nodeid.partition("[")[2].rstrip("]").split("-")
            return f"{start} {next((name for name in _DATABASES if name in parameters), '')}".rstrip()
    return nodeid
