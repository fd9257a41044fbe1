"""The lists every company has: accounts, services, customers, terms, currencies, preferences."""

from __future__ import annotations

from integrations.simulator import company as seeds
from integrations.simulator.company import to_decimal
from integrations.systems.quickbooks.simulator.books import HOME_CURRENCY, Change, Document
from integrations.systems.quickbooks.simulator.sale_lines import TAX_RATE_ID, TAX_RATE_PERCENT
from integrations.systems.quickbooks.simulator.standing import CURRENCY_NAMES, currency_reference

# id, name, type, subtype, classification, currency
_ACCOUNTS = (
    ("1", "Services", "Income", "ServiceFeeIncome", "Revenue", "USD"),
    ("4", "Undeposited Funds", "Other Current Asset", "UndepositedFunds", "Asset", "USD"),
    ("8", "Card processor clearing", "Other Current Asset", "OtherCurrentAssets", "Asset", "USD"),
    ("9", "Prepaid expenses", "Other Current Asset", "PrepaidExpenses", "Asset", "USD"),
    ("22", "Merchant fees", "Expense", "BankCharges", "Expense", "USD"),
    ("33", "Accounts Payable (A/P)", "Accounts Payable", "AccountsPayable", "Liability", "USD"),
    ("35", "Checking", "Bank", "Checking", "Asset", "USD"),
    ("36", "Savings", "Bank", "Savings", "Asset", "USD"),
    ("37", "Euro account", "Bank", "Checking", "Asset", "EUR"),
    ("41", "Mastercard", "Credit Card", "CreditCard", "Liability", "USD"),
    ("84", "Accounts Receivable (A/R)", "Accounts Receivable", "AccountsReceivable", "Asset", "USD"),
    ("85", "Accounts Receivable (A/R) - EUR", "Accounts Receivable", "AccountsReceivable", "Asset", "EUR"),
    ("86", "Accounts Receivable (A/R) - GBP", "Accounts Receivable", "AccountsReceivable", "Asset", "GBP"),
    ("87", "Accounts Receivable (A/R) - JPY", "Accounts Receivable", "AccountsReceivable", "Asset", "JPY"),
)
_METHODS = (
    ("1", "Cash", "NON_CREDIT_CARD"),
    ("2", "Check", "NON_CREDIT_CARD"),
    ("3", "Visa", "CREDIT_CARD"),
    ("4", "MasterCard", "CREDIT_CARD"),
    ("5", "ACH", "NON_CREDIT_CARD"),
)
_TERMS = (("1", "Due on receipt", 0), ("2", "Net 14", 14), ("3", "Net 30", 30))


def seed_lists(change: Change, company: seeds.Company, name: str) -> dict[str, Document]:
    """Store every list; returns the customers by the seeded company's keys."""
    for id, title, type, subtype, classification, currency in _ACCOUNTS:
        doc = {
            "Name": title,
            "SubAccount": False,
            "FullyQualifiedName": title,
            "Active": True,
            "Classification": classification,
            "AccountType": type,
            "AccountSubType": subtype,
            "CurrentBalance": 0,
            "CurrentBalanceWithSubAccounts": 0,
            "CurrencyRef": currency_reference(currency),
        }
        _store(change, "Account", id, doc)
    change.raise_number("id/Account", 100)
    for position, item in enumerate(company.items, 1):
        _store(change, "Item", str(position), _item(item))
    for id, title, type in _METHODS:
        _store(change, "PaymentMethod", id, {"Name": title, "Active": True, "Type": type})
    for id, title, days in _TERMS:
        term = {"Name": title, "Active": True, "Type": "STANDARD", "DiscountPercent": 0, "DueDays": days}
        _store(change, "Term", id, {**term, "DiscountDays": 0})
    for position, currency in enumerate(CURRENCY_NAMES, 1):
        named = {"Code": currency, "Name": CURRENCY_NAMES[currency], "Active": True}
        _store(change, "CompanyCurrency", str(position), named)
    _seed_tax(change)
    _seed_settings(change, company, name)
    change.raise_number("id/RecurringTransaction", 10)
    return _customers(change, company)


def _customers(change: Change, company: seeds.Company) -> dict[str, Document]:
    made: dict[str, Document] = {}
    for customer in company.customers:
        parent = made.get(customer.parent)
        doc: Document = {
            "Taxable": customer.taxable,
            "BillAddr": {
                "Line1": customer.street,
                "City": customer.city,
                "PostalCode": customer.postal_code,
                "Country": customer.country,
            },
            "Job": parent is not None,
            "BillWithParent": False,
            "Balance": 0,
            "BalanceWithJobs": 0,
            "CurrencyRef": currency_reference(customer.currency),
            "PreferredDeliveryMethod": "Email" if customer.email else "Print",
            "GivenName": customer.given_name,
            "FamilyName": customer.family_name,
            "FullyQualifiedName": f"{parent['FullyQualifiedName']}:{customer.name}" if parent else customer.name,
            "CompanyName": customer.name,
            "DisplayName": customer.name,
            "PrintOnCheckName": customer.name,
            "Active": customer.active,
            "PrimaryPhone": {"FreeFormNumber": customer.phone},
        }
        if parent is not None:
            doc["ParentRef"] = {"value": parent["Id"]}
            doc["Level"] = 1
        if customer.email is not None:
            doc["PrimaryEmailAddr"] = {"Address": customer.email}
        made[customer.key] = _store(change, "Customer", change.next_id("Customer"), doc)
    return made


def _item(item: seeds.Item) -> Document:
    return {
        "Name": item.name,
        "Description": item.description,
        "Active": True,
        "FullyQualifiedName": item.name,
        "Taxable": item.taxable,
        "UnitPrice": to_decimal(item.price_cents, "USD"),
        "Type": "NonInventory" if item.unit == "piece" else "Service",
        "IncomeAccountRef": {"value": "1", "name": "Services"},
        "PurchaseCost": 0,
        "TrackQtyOnHand": False,
    }


def _seed_tax(change: Change) -> None:
    rate = {"Name": "Oregon and county", "Description": "Sales tax", "Active": True, "RateValue": TAX_RATE_PERCENT}
    _store(change, "TaxRate", TAX_RATE_ID, rate)
    details = [{"TaxRateRef": {"value": TAX_RATE_ID}, "TaxTypeApplicable": "TaxOnAmount", "TaxOrder": 0}]
    code = {"Name": "Sales tax", "Description": "Sales tax", "Active": True, "Taxable": True, "TaxGroup": True}
    _store(change, "TaxCode", "2", {**code, "SalesTaxRateList": {"TaxRateDetail": details}})


def _seed_settings(change: Change, company: seeds.Company, name: str) -> None:
    books = change.books
    address = {
        "Line1": company.street,
        "City": company.city,
        "CountrySubDivisionCode": company.region,
        "PostalCode": company.postal_code,
        "Country": company.country,
    }
    info: Document = {
        "CompanyName": name,
        "LegalName": f"{name} LLC",
        "CompanyAddr": address,
        "CustomerCommunicationAddr": address,
        "LegalAddr": address,
        "PrimaryPhone": {"FreeFormNumber": company.phone},
        "CompanyStartDate": f"{books.today().year - 4}-01-15",
        "FiscalYearStartMonth": "January",
        "Country": company.country,
        "Email": {"Address": company.email},
        "WebAddr": {},
        "SupportedLanguages": "en",
        "DefaultTimeZone": books.company.zone,
        "NameValue": [
            {"Name": "NeoEnabled", "Value": "true"},
            {"Name": "OfferingSku", "Value": "QuickBooks Online Plus"},
            {"Name": "SubscriptionStatus", "Value": "PAID"},
        ],
    }
    _store(change, "CompanyInfo", "1", info)
    closing = books.settings.closing_date
    accounting: Document = {
        "UseAccountNumbers": False,
        "TrackDepartments": False,
        "FirstMonthOfFiscalYear": "January",
        "CustomerTerminology": "Customers",
    }
    if closing is not None:
        accounting["BookCloseDate"] = closing.isoformat()
    preferences: Document = {
        "AccountingInfoPrefs": accounting,
        "SalesFormsPrefs": {
            "CustomTxnNumbers": books.settings.custom_transaction_numbers,
            "AllowDeposit": False,
            "AllowDiscount": True,
            "AllowEstimates": True,
            "AllowServiceDate": False,
            "AllowShipping": False,
            "AutoApplyCredit": False,
            "AutoApplyPayments": False,
            "ETransactionEnabledStatus": "NotApplicable",
            "DefaultTerms": {"value": "3"},
            "DefaultCustomerMessage": "Thank you for your business.",
        },
        "CurrencyPrefs": {"MultiCurrencyEnabled": True, "HomeCurrency": {"value": HOME_CURRENCY}},
        "TaxPrefs": {"UsingSalesTax": True, "TaxGroupCodeRef": {"value": "2"}},
    }
    _store(change, "Preferences", "1", preferences)


def _store(change: Change, entity: str, id: str, doc: Document) -> Document:
    stamp = change.books.now().replace(year=change.books.now().year - 1, day=1).isoformat(timespec="seconds")
    stored = {
        **doc,
        "domain": "QBO",
        "sparse": False,
        "Id": id,
        "SyncToken": "0",
        "MetaData": {"CreateTime": stamp, "LastUpdatedTime": stamp},
    }
    change.seed(entity, stored)
    return stored
