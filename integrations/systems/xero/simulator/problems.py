"""Answers other than success, in the forms Xero gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Refused(Exception):
    """One element of a write breaks a rule: becomes its `ValidationErrors`; the messages are for a person."""

    def __init__(self, *messages: str) -> None:
        super().__init__("; ".join(messages))
        self.messages = messages


class ApiError(Exception):
    """The request as a whole is refused with an HTTP status and a JSON body."""

    def __init__(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.body = dict(body)
        self.headers = dict(headers or {})


class NotThere(ApiError):
    """404 for a resource that does not exist in this organisation."""

    def __init__(self) -> None:
        super().__init__(404, gateway_problem(404, "Not Found", "The resource you're looking for cannot be found"))


def gateway_problem(status: int, title: str, detail: str) -> dict[str, Any]:
    """The body Xero's gateway answers 401, 403 and 429 with."""
    return {
        "Type": None,
        "Title": title,
        "Status": status,
        "Detail": detail,
        "Instance": "00000000-0000-0000-0000-000000000000",
        "Extensions": {},
    }


def unauthorized(detail: str) -> ApiError:
    """401: the token is missing, expired, revoked or lacks the scope."""
    return ApiError(401, gateway_problem(401, "Unauthorized", detail), {"WWW-Authenticate": "Bearer"})


def forbidden() -> ApiError:
    """403: the tenant header is missing, or the token was not given access to that tenant."""
    return ApiError(403, gateway_problem(403, "Forbidden", "AuthenticationUnsuccessful"))


def too_many(problem: str, retry_after: int | None) -> ApiError:
    """429; `problem` is minute, day, appminute or concurrent. Only breaches that end by waiting say for how long."""
    headers = {"X-Rate-Limit-Problem": problem}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return ApiError(429, gateway_problem(429, "Too Many Requests", f"The {problem} limit is reached"), headers)


def exception(number: int, type_: str, message: str) -> ApiError:
    """400 with one of the API's own exceptions, such as QueryParseException (16)."""
    return ApiError(400, {"ErrorNumber": number, "Type": type_, "Message": message})


def bad_query(message: str) -> ApiError:
    """400 for a filter, order, date or page that cannot be read."""
    return exception(16, "QueryParseException", message)


def bad_body(message: str) -> ApiError:
    """400 for a body that is no JSON or lacks the expected list."""
    return exception(14, "PostDataInvalidException", message)


def validation(elements: list[dict[str, Any]]) -> ApiError:
    """400 with every element that was refused."""
    return ApiError(
        400,
        {
            "ErrorNumber": 10,
            "Type": "ValidationException",
            "Message": "A validation exception occurred",
            "Elements": elements,
        },
    )
