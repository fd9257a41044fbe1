"""/Contacts: customers as Xero keeps them."""

from __future__ import annotations

from typing import Any

from integrations.simulator.store import Document
from integrations.systems.xero.simulator.books import CONTACT, INVOICE, Organisation, new_id
from integrations.systems.xero.simulator.call import Call
from integrations.systems.xero.simulator.listing import listed, moment, select
from integrations.systems.xero.simulator.problems import Refused
from integrations.systems.xero.simulator.query import Guid, Row
from integrations.systems.xero.simulator.wire import amount, stamp

_TEXTS = {
    "Name": ("name", 255),
    "FirstName": ("first_name", 255),
    "LastName": ("last_name", 255),
    "EmailAddress": ("email", 255),
    "ContactNumber": ("number", 50),
    "AccountNumber": ("account_number", 50),
    "TaxNumber": ("tax_number", 50),
    "CompanyNumber": ("company_number", 50),
}
_PHONE_TYPES = ("DDI", "DEFAULT", "FAX", "MOBILE")
_ADDRESS_FIELDS = {
    "AddressLine1": "line1",
    "City": "city",
    "Region": "region",
    "PostalCode": "postal_code",
    "Country": "country",
}


def contact_row(doc: Document) -> Row:
    """Filterable fields."""
    return {
        "ContactID": Guid(doc["id"]),
        "ContactStatus": doc["status"],
        "Name": doc["name"],
        "EmailAddress": doc.get("email") or None,
        "ContactNumber": doc.get("number") or None,
        "AccountNumber": doc.get("account_number") or None,
        "IsCustomer": True,
        "UpdatedDateUTC": moment(doc["updated"]),
    }


UNKNOWN_CONTACT: Document = {"id": "00000000-0000-0000-0000-000000000000", "name": "", "status": "ARCHIVED"}


def contact_of(org: Organisation, doc: Document) -> Document:
    """The contact a document is for."""
    return org.get(CONTACT, doc["contact"]) or UNKNOWN_CONTACT


def show_contact_of(org: Organisation, doc: Document, *, full: bool) -> dict[str, Any]:
    """A document's contact: whole in single answers, id and name in lists."""
    contact = contact_of(org, doc)
    return show_contact(org, contact) if full and contact is not UNKNOWN_CONTACT else show_brief(contact)


def show_brief(doc: Document) -> dict[str, Any]:
    """A contact as it stands inside a listed invoice or payment."""
    return {
        "ContactID": doc["id"],
        "Name": doc["name"],
        "Addresses": [],
        "Phones": [],
        "ContactGroups": [],
        "ContactPersons": [],
        "HasValidationErrors": False,
    }


def show_contact(org: Organisation, doc: Document, *, summary: bool = False, balances: bool = False) -> dict[str, Any]:
    """A contact with addresses, phones and persons, which `summary` leaves out; balances only where asked for."""
    shown: dict[str, Any] = {
        "ContactID": doc["id"],
        "ContactStatus": doc["status"],
        "Name": doc["name"],
        **{wire: doc[held] for wire, (held, _) in _TEXTS.items() if wire != "Name" and doc.get(held)},
        "BankAccountDetails": "",
        "UpdatedDateUTC": stamp(doc["updated"]),
        "IsSupplier": False,
        "IsCustomer": True,
        "HasValidationErrors": False,
    }
    shown.setdefault("EmailAddress", "")
    if doc.get("currency"):
        shown["DefaultCurrency"] = doc["currency"]
    if summary:
        return shown
    address = {wire: doc.get("address", {}).get(held, "") for wire, held in _ADDRESS_FIELDS.items()}
    blank = dict.fromkeys(("City", "Region", "PostalCode", "Country"), "")
    phone = {"PhoneNumber": doc.get("phone", ""), "PhoneAreaCode": "", "PhoneCountryCode": ""}
    none = {"PhoneNumber": "", "PhoneAreaCode": "", "PhoneCountryCode": ""}
    return {
        **shown,
        "Addresses": [{"AddressType": "STREET", **blank}, {"AddressType": "POBOX", **address}],
        "Phones": [{"PhoneType": kind, **(phone if kind == "DEFAULT" else none)} for kind in _PHONE_TYPES],
        "ContactGroups": [],
        "ContactPersons": [
            {
                "FirstName": person["first_name"],
                "LastName": person["last_name"],
                "EmailAddress": person["email"],
                "IncludeInEmails": person["include"],
            }
            for person in doc.get("persons", [])
        ],
        "SalesTrackingCategories": [],
        "PurchasesTrackingCategories": [],
        "HasAttachments": False,
        **(_balances(org, doc) if balances else {}),
    }


def _balances(org: Organisation, doc: Document) -> dict[str, Any]:
    """Outstanding amounts in the base currency; changing them does not move `UpdatedDateUTC`."""
    today, base = org.today(), org.base_currency
    open_ones = [
        invoice
        for invoice in org.all(INVOICE)
        if invoice["contact"] == doc["id"] and invoice["status"] == "AUTHORISED" and invoice["currency"] == base
    ]
    due = {invoice["id"]: invoice["amount_due"] for invoice in open_ones}
    late = sum(due[invoice["id"]] for invoice in open_ones if invoice["due"] and invoice["due"] < today)
    if not due:
        return {}
    owed = {"Outstanding": amount(sum(due.values()), base), "Overdue": amount(late, base)}
    nothing = {"Outstanding": amount(0, base), "Overdue": amount(0, base)}
    return {"Balances": {"AccountsReceivable": owed, "AccountsPayable": nothing}}


def list_contacts(call: Call) -> dict[str, Any]:
    """GET /Contacts: archived ones only with includeArchived=true or when named by IDs."""
    documents = call.org.all(CONTACT)
    ids = listed(call, "IDs")
    if ids is not None:
        documents = [doc for doc in documents if doc["id"] in {value.lower() for value in ids}]
    elif call.args.get("includeArchived", "").lower() != "true":
        documents = [doc for doc in documents if doc["status"] != "ARCHIVED"]
    if term := call.args.get("searchTerm", "").lower():
        documents = [doc for doc in documents if term in f"{doc['name']} {doc.get('email', '')}".lower()]
    found = select(call, documents, "Contact", contact_row, always_paged=call.summary_only)
    return found.content(
        "Contacts", [show_contact(call.org, doc, summary=call.summary_only) for doc in found.documents]
    )


def read_contact(call: Call, contact_id: str) -> dict[str, Any]:
    """GET /Contacts/{id or contact number}."""
    org = call.org
    doc = org.get(CONTACT, contact_id)
    if doc is None:
        numbered = (other["id"] for other in org.all(CONTACT) if other.get("number") == contact_id)
        doc = org.require(CONTACT, next(numbered, ""))
    return {"Contacts": [show_contact(org, doc, balances=True)]}


def save_contacts(call: Call, contact_id: str = "") -> dict[str, Any]:
    """PUT and POST /Contacts, POST /Contacts/{id}: create, or change those named by ContactID."""

    def write(sent: dict[str, Any]) -> Document:
        known = contact_id or str(sent.get("ContactID") or "")
        return write_contact(call.org, sent, call.org.require(CONTACT, known) if known else None)

    return {"Contacts": call.each(call.elements("Contacts"), write, lambda doc: show_contact(call.org, doc))}


def write_contact(org: Organisation, sent: dict[str, Any], existing: Document | None) -> Document:
    """Create or change a contact. Persons not sent along with other fields are dropped, as Xero does."""
    doc = existing or {"id": new_id(), "name": "", "status": "ACTIVE", "persons": [], "address": {}}
    for wire, (held, limit) in _TEXTS.items():
        if wire in sent:
            value = str(sent[wire] or "")
            if len(value) > limit:
                raise Refused(f"{wire} must not be longer than {limit} characters")
            doc[held] = value
    if not doc["name"]:
        raise Refused("The contact name must be specified")
    if any(other["name"] == doc["name"] and other["id"] != doc["id"] for other in org.all(CONTACT)):
        raise Refused(
            f"The contact name {doc['name']} is already assigned to another contact. "
            "The contact name must be unique across all active contacts."
        )
    doc["persons"] = [
        {
            "first_name": str(person.get("FirstName", "")),
            "last_name": str(person.get("LastName", "")),
            "email": str(person.get("EmailAddress", "")),
            "include": person.get("IncludeInEmails") is True,
        }
        for person in sent.get("ContactPersons") or []
    ]
    if sent.get("ContactStatus") in ("ACTIVE", "ARCHIVED"):
        doc["status"] = sent["ContactStatus"]
    return org.save(CONTACT, doc)


def contact_for(org: Organisation, sent: object) -> Document:
    """The contact a document in a request is for: by id, or by name, made when new.

    Fields beside the id change the contact itself, which is why integrations send the id alone.
    """
    if not isinstance(sent, dict):
        raise Refused("A Contact must be specified for this type of transaction")
    existing: Document | None = None
    if sent.get("ContactID"):
        existing = org.get(CONTACT, str(sent["ContactID"]))
        if existing is None:
            raise Refused("The contact could not be found")
    elif sent.get("Name"):
        named = (doc["id"] for doc in org.all(CONTACT) if doc["name"] == sent["Name"])
        existing = org.get(CONTACT, next(named, ""))
    others = {key for key in sent if key not in ("ContactID", "Name", "HasAttachments", "HasValidationErrors")}
    if existing is not None and not others:
        return existing
    return write_contact(org, sent, existing)
