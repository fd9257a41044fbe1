"""How the sandbox gateway says no: one exception, rendered as the API's error JSON."""

from __future__ import annotations


class Refusal(Exception):
    """A refused API call: HTTP status, a stable code, a sentence for the developer, and the field where there is one.

    `checkout` carries the id of a checkout whose present state explains the refusal.
    """

    def __init__(
        self, status: int, code: str, message: str, *, field: str | None = None, checkout: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.checkout = checkout


def not_found(what: str, id: str) -> Refusal:
    """404: nothing of that kind has the id."""
    return Refusal(404, f"{what}_not_found", f"There is no {what} {id!r}.")
