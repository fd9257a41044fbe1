"""The filter language, read strictly."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from integrations.systems.xero.simulator.problems import ApiError
from integrations.systems.xero.simulator.query import Guid, Row, compile_order, compile_where

_ID = "046d8a6d-1ae1-4b4d-9340-5601bdf41b87"
_ROW: Row = {
    "InvoiceID": Guid(_ID),
    "InvoiceNumber": "INV-0002",
    "Status": "AUTHORISED",
    "AmountDue": Decimal("46.00"),
    "Date": datetime(2026, 11, 1),
    "SentToContact": True,
    "FullyPaidOnDate": None,
    "Contact.Name": "Müller & Söhne (Berlin)",
}


@pytest.mark.parametrize(
    "where",
    [
        'Status=="AUTHORISED"',
        'status == "AUTHORISED"',
        'Status!="PAID"',
        f'InvoiceID==guid("{_ID.upper()}")',
        f'InvoiceID == Guid("{_ID}") AND AmountDue > 0',
        "AmountDue>=46 && AmountDue<=46.00",
        'Status=="PAID" OR AmountDue==46',
        'Status=="PAID" || (AmountDue==46 && SentToContact==true)',
        "Date>=DateTime(2026,11,01) AND Date<DateTime(2026, 11, 2, 0, 0, 0)",
        "FullyPaidOnDate==null",
        "Status!=null",
        'Contact.Name.Contains("Söhne (")',
        'InvoiceNumber.StartsWith("INV-")',
        'InvoiceNumber.EndsWith("0002")',
        "SentToContact",
    ],
)
def test_true(where: str) -> None:
    assert compile_where(where, "Invoice")(_ROW) is True


@pytest.mark.parametrize(
    "where",
    [
        'Status=="PAID"',
        'Status=="AUTHORISED" AND AmountDue==0',
        'Contact.Name.Contains("Meier")',
        "FullyPaidOnDate!=null",
        "FullyPaidOnDate>DateTime(2020,1,1)",
        'InvoiceID==guid("00000000-0000-0000-0000-000000000000")',
    ],
)
def test_false(where: str) -> None:
    assert compile_where(where, "Invoice")(_ROW) is False


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("", "Expression expected"),
        ("Status==", "Expression expected"),
        ('Status=="A" B', "Syntax error"),
        ('(Status=="A"', "Expression expected"),
        ("Status='A'", "Syntax error"),
        ('Nothing=="A"', "No property or field 'Nothing' exists in type 'Invoice'"),
        (f'InvoiceID=="{_ID}"', "incompatible with operand types 'Guid' and 'String'"),
        ("AmountDue==true", "incompatible"),
        ("Date>DateTime(2026,13,1)", "DateTime"),
        ("Date>DateTime(2026)", "DateTime"),
        ("Contact.Name.Contains(5)", "A text in quotes"),
        ("(" * 100_000, "nested too deeply"),
    ],
)
def test_what_cannot_be_read(where: str, message: str) -> None:
    with pytest.raises(ApiError) as refusal:
        compile_where(where, "Invoice")(_ROW)
    assert refusal.value.status == 400
    assert refusal.value.body["Type"] == "QueryParseException"
    assert message in refusal.value.body["Message"]


def test_order() -> None:
    assert compile_order("updated DESC, Name", "Contact", {"Updated": 1, "Name": 2}) == [
        ("Updated", True),
        ("Name", False),
    ]
    for wrong in ("Nothing", "Name SIDEWAYS", "Name,,", "Name ASC DESC"):
        with pytest.raises(ApiError):
            compile_order(wrong, "Contact", {"Name": 1})
