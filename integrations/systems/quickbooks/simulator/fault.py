"""Intuit's fault bodies, word for word where a real one was seen.

Sources: answers recorded from an Intuit sandbox for 500, 610, 2010, 2030, 3200, 4001, 5010, 6000 and 6240; Intuit's
list of
error codes (developer.intuit.com/app/developer/qbo/docs/develop/troubleshooting/error-codes) for the others.
"""

from __future__ import annotations

from typing import Any


class Fault(Exception):
    """A refusal in Intuit's form; `status` is the HTTP status it travels with outside a batch."""

    def __init__(
        self, code: str, message: str, detail: str, *, element: str | None = None, status: int = 400, type: str = ""
    ) -> None:
        super().__init__(f"{code} {message}: {detail}")
        self.code = code
        self.status = status
        self._message = message
        self._detail = detail
        self._element = element
        self._type = type or "ValidationFault"

    def body(self) -> dict[str, Any]:
        """`{"Fault": ...}` as it stands in an answer or in a batch item."""
        error = {"Message": self._message, "Detail": self._detail, "code": self.code}
        if self._element is not None:
            error["element"] = self._element
        return {"Fault": {"Error": [error], "type": self._type}}


def not_found() -> Fault:
    """No such object, or one made inactive."""
    return Fault(
        "610",
        "Object Not Found",
        "Object Not Found : Something you're trying to use has been made inactive. "
        "Check the fields with accounts, customers, items, vendors or employees.",
        element="",
    )


def stale() -> Fault:
    """The SyncToken sent is not the present one."""
    return Fault(
        "5010",
        "Stale Object Error",
        "Stale Object Error : You and Dana Cole were working on this at the same time. "
        "Dana Cole finished before you did, so your work was not saved.",
        element="",
    )


def unknown_property(entity: str, name: str, known: int) -> Fault:
    """A property the entity does not have."""
    return Fault(
        "2010",
        "Request has invalid or unsupported property",
        f'Property Name:Unrecognized field "{name}" (class com.intuit.schema.finance.v3.{entity}), '
        f"not marked as ignorable ({known} known properties) specified is unsupported or invalid",
    )


def unreadable(reason: str) -> Fault:
    """The body is no JSON object, or a value has the wrong shape."""
    return Fault(
        "2010",
        "Request has invalid or unsupported property",
        f"Property Name:{reason} specified is unsupported or invalid",
    )


def missing(name: str) -> Fault:
    """A required value was not sent."""
    return Fault(
        "2020",
        "Required param missing, need to supply the required value for the API",
        f"Required parameter {name} is missing in the request",
        element=name,
    )


def bad_id(value: str) -> Fault:
    """An id that is no number."""
    return Fault("2030", "Invalid ID", f"Id should be a valid number. Supplied value:{value}", element="Id")


def too_long(name: str, supplied: int, limit: int) -> Fault:
    """A text over its limit."""
    return Fault(
        "2050",
        "String length is either shorter or longer than supported by specification",
        f"String length specified does not match the supported length. "
        f"String length supplied {supplied:,}, Max {limit:,}",
        element=name,
    )


def bad_number(name: str, value: object) -> Fault:
    """An amount that is no number, or finer than the currency's smallest unit."""
    return Fault("2090", "Invalid Number", f"Invalid Number : {value}", element=name)


def bad_reference(name: str, value: str) -> Fault:
    """A reference to something that does not exist."""
    detail = f"Invalid Reference Id : {name} element id {value} not found"
    return Fault("2500", "Invalid Reference Id", detail, element=name)


def bad_query(detail: str) -> Fault:
    """A query Intuit's parser refuses."""
    return Fault("4001", "Invalid query", f"QueryValidationError: {detail}")


def business(detail: str) -> Fault:
    """A rule of bookkeeping stands against it."""
    return Fault(
        "6000",
        "A business validation error has occurred while processing your request",
        f"Business Validation Error: {detail}",
        element="",
    )


def duplicate_number(number: str, entity: str, id: str) -> Fault:
    """A document number already taken."""
    return Fault(
        "6140",
        "Duplicate Document Number Error",
        "Duplicate Document Number Error : You must specify a different number. This number has already been used. "
        f"DocNumber={number} is assigned to TxnType={entity} with TxnId={id}",
        element="",
    )


def closed_period() -> Fault:
    """The books are closed for that date."""
    return Fault(
        "6210",
        "Account Period Closed, Cannot Update Through Services API",
        "Account Period Closed, Cannot Update Through Services API : The account period has closed and the "
        "account books "
        "cannot be updated through the QBO Services API. Please use the QBO website to make these changes.",
        element="",
    )


def duplicate_name() -> Fault:
    """A name another customer, vendor or employee already has."""
    return Fault("6240", "Duplicate Name Exists Error", "The name supplied already exists. : null")


def unsupported(path: str) -> Fault:
    """A path or operation the service does not have."""
    return Fault(
        "500",
        "Unsupported Operation",
        f"Operation Could not find resource for relative : {path} is not supported.",
    )


def throttled() -> Fault:
    """Too many calls; the answer carries no Retry-After."""
    return Fault(
        "3001",
        "message=ThrottleExceeded; errorCode=003001; statusCode=429",
        "The request limit was reached. Please try again later.",
        status=429,
        type="THROTTLED",
    )


def unauthenticated(detail: str, epoch_milliseconds: int) -> dict[str, Any]:
    """The whole body of a 401: Intuit spells it with a lower-case `fault`."""
    return _gate_body("AuthenticationFailed", "003200", 401, detail, "3200", "AUTHENTICATION", epoch_milliseconds)


def unauthorized(epoch_milliseconds: int) -> dict[str, Any]:
    """The whole body of a 403: the token is for another company or lacks the scope."""
    return _gate_body(
        "ApplicationAuthorizationFailed", "003100", 403, "Denied", "3100", "AUTHORIZATION", epoch_milliseconds
    )


def _gate_body(
    word: str, long_code: str, status: int, detail: str, code: str, type: str, epoch_milliseconds: int
) -> dict[str, Any]:
    message = f"message={word}; errorCode={long_code}; statusCode={status}"
    error = {"message": message, "detail": detail, "code": code, "element": None}
    return {
        "warnings": None,
        "intuitObject": None,
        "fault": {"error": [error], "type": type},
        "report": None,
        "queryResponse": None,
        "batchItemResponse": [],
        "attachableResponse": [],
        "syncErrorResponse": None,
        "requestId": None,
        "time": epoch_milliseconds,
        "status": None,
        "cdcresponse": [],
    }
