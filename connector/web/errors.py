"""The one place that turns errors into answers: a page in plain words, or JSON for whoever asks for JSON."""

from __future__ import annotations

import sqlalchemy as sa
import structlog
from flask import Flask, Response, jsonify, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from connector.contract import Answer, TryAgain
from connector.errors import ConnectorError, TooMany
from connector.web.context import correlation

_log = structlog.get_logger()
_HEADLINES = {
    400: "That did not work",
    401: "Please sign in",
    403: "You may not do this",
    404: "There is nothing here",
    405: "This address is not used that way",
    409: "Something has changed",
    410: "This no longer works",
    413: "That is too large",
    415: "This kind of file is not accepted",
    429: "One moment, please",
    500: "Something went wrong on our side",
    503: "Please try again shortly",
}
_SENTENCES = {
    400: "The request could not be understood. Go back, reload the page and try again.",
    401: "You need to sign in to see this page.",
    403: "You are not allowed to see this page.",
    404: "The address may be mistyped, or what stood here is gone. Check the link you were given.",
    405: "Go back and use the buttons of the page you came from.",
    410: "What stood here was ended on purpose.",
    413: "Please send less at once.",
    415: "Please send it in another format.",
    429: "There were too many requests from your address. Wait a minute and try again.",
    500: "It is not your fault. Nothing was charged by this page. Try again in a few minutes; "
    "if it goes on, tell us the reference below.",
    503: "A system we depend on does not answer right now. Nothing has happened. Try again in a minute.",
}


# The database is away, too busy, or its disk is full; operators read which in the log.
_NO_STORAGE = (
    "Nothing can be saved at the moment. Wait a minute and try again; what you have paid is not lost, and nothing is "
    "charged twice."
)
_STORAGE_SECONDS = 60


def wants_json() -> bool:
    """Whether the caller prefers JSON to a page."""
    best = request.accept_mimetypes.best_match(["text/html", "application/json"], default="text/html")
    return best == "application/json"


def error_answer(status: int, message: str = "", *, field: str | None = None) -> Response:
    """An error as this caller reads it, with the correlation id to quote."""
    words = message or _SENTENCES.get(status, _SENTENCES[500 if status >= 500 else 400])
    if wants_json():
        body = {"error": words, "status": status, "reference": correlation()}
        response = jsonify(body | ({"field": field} if field else {}))
    else:
        headline = _HEADLINES.get(status, _HEADLINES[500 if status >= 500 else 400])
        response = make_response(
            render_template("web/error.html", status=status, headline=headline, message=words, reference=correlation())
        )
    response.status_code = status
    return response


def answer_errors(app: Flask) -> None:
    """Register the handlers. No page ever shows a stack trace, a secret or the words of an unexpected exception."""

    @app.errorhandler(ConnectorError)
    def told(error: ConnectorError) -> Response:
        response = error_answer(error.status, error.message, field=error.field)
        if isinstance(error, TooMany):
            response.headers["Retry-After"] = str(error.retry_after)
        return response

    @app.errorhandler(Answer)
    def upstream(error: Answer) -> Response:
        _log.warning("upstream_answer_at_a_door", answer=type(error).__name__, why=error.why)
        response = error_answer(503)
        if isinstance(error, TryAgain):
            response.headers["Retry-After"] = str(max(1, round(error.after)))
        return response

    @app.errorhandler(sa.exc.OperationalError)
    @app.errorhandler(sa.exc.TimeoutError)
    def storage(error: sa.exc.SQLAlchemyError) -> Response:
        _log.error("storage_away", fault=type(error).__name__, words=str(getattr(error, "orig", None) or error)[:200])
        response = error_answer(503, _NO_STORAGE)
        response.headers["Retry-After"] = str(_STORAGE_SECONDS)
        return response

    @app.errorhandler(CSRFError)
    def stale_form(_: CSRFError) -> Response:
        return error_answer(
            400, "This page was open for too long, or your browser keeps no cookies. Go back, reload it and try again."
        )

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        if error.response is not None or (error.code is not None and error.code < 400):
            return make_response(error.get_response())
        response = error_answer(error.code or 500)
        for name, value in error.get_headers():
            if name in ("Allow", "Retry-After"):
                response.headers[name] = value
        return response

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        _log.error("unexpected", fault=type(error).__name__, exc_info=error)
        return error_answer(500)
