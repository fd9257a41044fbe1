"""What the doors tell people: every error a journey may raise on purpose.

Each carries one sentence for the person who caused it (what, where, how to fix) and never a secret.
`connector.web.errors` is the one place that turns them into HTTP answers.
"""


class ConnectorError(Exception):
    """A refusal with words for the person concerned."""

    status = 500

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class Invalid(ConnectorError):
    """The input cannot be accepted; `field` names the form field where there is one."""

    status = 400


class NotAllowed(ConnectorError):
    """The person is known, and may not do this."""

    status = 403


class NotFound(ConnectorError):
    """No such thing for this person (also: it belongs to somebody else)."""

    status = 404


class Conflict(ConnectorError):
    """The world has moved on since the page was shown; reload and decide again."""

    status = 409


class Ended(ConnectorError):
    """It existed and was ended on purpose (a regenerated link, an expired code)."""

    status = 410


class TooMany(ConnectorError):
    """Rate limited; `retry_after` in seconds."""

    status = 429

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(ConnectorError):
    """Something outside did not answer; nothing has happened, try again."""

    status = 503
