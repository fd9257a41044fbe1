"""One API call as its handler sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from werkzeug.datastructures import Headers, MultiDict

from integrations.simulator.store import Document, from_json
from integrations.systems.xero.simulator.books import Organisation
from integrations.systems.xero.simulator.config import XeroConfig
from integrations.systems.xero.simulator.problems import Refused, bad_body, validation

_OBJECTS = {"Contact", "Invoice", "CreditNote", "Overpayment", "Prepayment", "Account", "BankAccount"}
_LISTS = {
    "Allocations",
    "BankTransactions",
    "BatchPayments",
    "ContactPersons",
    "Contacts",
    "CreditNotes",
    "HistoryRecords",
    "Invoices",
    "LineItems",
    "PaymentServices",
    "Payments",
    "Quotes",
    "RepeatingInvoices",
}
_UNREAD = {"Addresses", "Attachments", "Balances", "BrandingTheme", "ContactGroups", "Overpayments", "PaymentTerms"}
_UNREAD |= {"Phones", "Prepayments", "Schedule", "Tracking", "ValidationErrors", "Warnings", "BatchPayment", "Item"}


@dataclass(frozen=True)
class Call:
    """Parameters, body and the organisation it is about; `public_url` is where a browser reaches this simulator."""

    org: Organisation
    config: XeroConfig
    args: MultiDict[str, str]
    headers: Headers
    body: bytes
    public_url: str

    @property
    def unit_places(self) -> int:
        """Decimals of unit prices: 4 when asked with unitdp=4, else 2."""
        return 4 if self.args.get("unitdp") == "4" else 2

    @property
    def summary_only(self) -> bool:
        """Whether the light form of a list is asked for."""
        return self.args.get("summaryOnly", "").lower() == "true"

    def document(self) -> dict[str, Any]:
        """The body as one JSON object. Raises the 400 for anything else."""
        try:
            parsed = from_json(self.body or b"null")
        except (msgspec.DecodeError, ValueError):
            raise bad_body("The request body is not valid JSON") from None
        if not isinstance(parsed, dict):
            raise bad_body("The request body must be a JSON object")
        return _shaped(parsed)

    def elements(self, name: str) -> list[dict[str, Any]]:
        """The list a write carries under `name`; a bare object counts as a list of one, as Xero reads it."""
        parsed = self.document()
        sent: list[dict[str, Any]] = parsed.get(name, [parsed])
        if not sent:
            raise bad_body(f"{name} must not be empty")
        return sent

    def each(
        self,
        sent: list[dict[str, Any]],
        write: Callable[[dict[str, Any]], Document],
        show: Callable[[Document], dict[str, Any]],
    ) -> list[dict[str, Any]]:
        """Write every element. With summarizeErrors=false refused ones come back among the others, in a 200.

        Otherwise one refusal fails the whole call with 400 and nothing is kept.
        """
        shown: list[dict[str, Any]] = []
        refused: list[dict[str, Any]] = []
        for item in sent:
            try:
                shown.append({**show(write(item)), "StatusAttributeString": "OK"})
            except Refused as refusal:
                failed = refused_element(item, refusal)
                shown.append(
                    {**failed, "HasValidationErrors": True, "HasErrors": True, "StatusAttributeString": "ERROR"}
                )
                refused.append(failed)
        if refused and self.args.get("summarizeErrors", "true").lower() != "false":
            raise validation(refused)
        return shown


def _shaped(sent: dict[str, Any]) -> dict[str, Any]:
    """The object without nulls, which count as not sent. Raises the 400 where a field is of another shape than its
    name says: an object, a list of objects, or a plain value.
    """
    shaped: dict[str, Any] = {}
    for name, value in sent.items():
        if value is None:
            continue
        if name in _LISTS:
            if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
                raise bad_body(f"{name} must be a list of objects")
            shaped[name] = [_shaped(item) for item in value]
        elif name in _OBJECTS:
            if not isinstance(value, dict):
                raise bad_body(f"{name} must be an object")
            shaped[name] = _shaped(value)
        elif name in _UNREAD or not isinstance(value, dict | list):
            shaped[name] = value
        else:
            raise bad_body(f"{name} must be a plain value")
    return shaped


def refused_element(item: dict[str, Any], refusal: Refused) -> dict[str, Any]:
    """The element as sent, with why it was refused."""
    return {**item, "ValidationErrors": [{"Message": message} for message in refusal.messages]}
