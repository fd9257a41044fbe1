"""Which properties each entity knows, what may be asked for in a query, and how long texts may be.

Source: Intuit's entity pages (developer.intuit.com/app/developer/qbo/docs/api/accounting/all-entities/...).
"""

from __future__ import annotations

from typing import Any

from integrations.systems.quickbooks.simulator import fault


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


_ALL = "Id SyncToken MetaData domain sparse status CustomField AttachableRef"
_TRANSACTION = (
    "DocNumber TxnDate DepartmentRef CurrencyRef ExchangeRate PrivateNote TxnStatus LinkedTxn Line TxnTaxDetail "
    "TxnSource "
    "TaxFormType TaxFormNum TransactionLocationType Tag TxnApprovalInfo RecurDataRef RecurringInfo ProjectRef "
    "TxnSubType"
)
_SALE = (
    "CustomerRef CustomerMemo BillAddr ShipAddr FreeFormAddress RemitToRef ClassRef SalesTermRef DueDate "
    "SalesRepRef PONumber "
    "FOB ShipMethodRef ShipDate TrackingNum ShipFromAddr GlobalTaxCalculation TotalAmt HomeTotalAmt "
    "ApplyTaxAfterDiscount "
    "TemplateRef PrintStatus EmailStatus BillEmail BillEmailCc BillEmailBcc ARAccountRef Balance HomeBalance "
    "FinanceCharge "
    "PaymentMethodRef PaymentRefNum PaymentType CheckPayment CreditCardPayment DepositToAccountRef DeliveryInfo "
    "DiscountRate "
    "DiscountAmt GovtTxnRefIdentifier TaxExemptionRef AutoDocNumber ShippingTaxIncludedInTotalTax TotalCostAmount "
    "HomeTotalCostAmount"
)
_LISTED = "Name Active"

_KNOWN_TEXT = {
    "Invoice": f"{_TRANSACTION} {_SALE} Deposit AllowIPNPayment AllowOnlinePayment AllowOnlineCreditCardPayment "
    "AllowOnlineACHPayment AllowOnlinePayPalPayment AllowOnlineAffirmPayment InvoiceLink InvoiceLinkSecurityCode "
    "InvoiceLinkExpiryDate EInvoiceStatus ECloudStatusTimeStamp invoiceStatus callToAction invoiceStatusLog InvoiceEx "
    "PaymentDetailsMessage ConvenienceFeeDetail LessCIS AutoPayEligible SchedulePayEligible ScheduledPaymentId",
    "CreditMemo": f"{_TRANSACTION} {_SALE} RemainingCredit CreditMemoEx InvoiceRef",
    "Estimate": f"{_TRANSACTION} {_SALE} ExpirationDate AcceptedBy AcceptedDate EstimateEx",
    "RefundReceipt": f"{_TRANSACTION} {_SALE} RemainingCredit CheckPayment RefundReceiptEx",
    "Payment": f"{_TRANSACTION} CustomerRef RemitToRef ARAccountRef DepositToAccountRef PaymentMethodRef PaymentRefNum "
    "CreditCardPayment CheckPayment PaymentType TotalAmt UnappliedAmt ProcessPayment PaymentEx TotalCostAmount "
    "HomeTotalCostAmount PaymentExtendedType",
    "Customer": "Active Taxable BillAddr ShipAddr OtherAddr ContactName Notes Title GivenName MiddleName "
    "FamilyName Suffix "
    "FullyQualifiedName CompanyName DisplayName PrintOnCheckName UserId PrimaryPhone AlternatePhone Mobile Fax "
    "PrimaryEmailAddr WebAddr OtherContactInfo DefaultTaxCodeRef Job BillWithParent RootCustomerRef ParentRef Level "
    "CustomerTypeRef SalesTermRef SalesRepRef TaxGroupCodeRef TaxRateRef PaymentMethodRef CreditLimit AcctNum "
    "CurrencyRef OverDueBalance PreferredDeliveryMethod ResaleNum JobInfo Balance OpenBalanceDate BalanceWithJobs "
    "TaxExemptionReasonId IsProject ClientEntityId Organization V4IDPseudonym CCDetail TDSEnabled Source "
    "PrimaryTaxIdentifier SecondaryTaxIdentifier BusinessNumber GSTIN GSTRegistrationType",
    "Account": f"{_LISTED} SubAccount ParentRef Description FullyQualifiedName Classification AccountType "
    f"AccountSubType "
    "AcctNum BankNum OpeningBalance OpeningBalanceDate CurrentBalance CurrentBalanceWithSubAccounts CurrencyRef "
    "TaxCodeRef TaxAccount OnlineBankingEnabled FIName AccountAlias TxnLocationType",
    "Item": f"{_LISTED} Description Sku FullyQualifiedName Taxable SalesTaxIncluded UnitPrice Type IncomeAccountRef "
    "ExpenseAccountRef AssetAccountRef PurchaseDesc PurchaseCost TrackQtyOnHand QtyOnHand InvStartDate Level ParentRef "
    "SubItem SalesTaxCodeRef PurchaseTaxCodeRef ClassRef",
    "PaymentMethod": f"{_LISTED} Type",
    "Term": f"{_LISTED} Type DueDays DiscountPercent DiscountDays DayOfMonthDue DueNextMonthDays DiscountDayOfMonth",
    "TaxCode": f"{_LISTED} Description Taxable TaxGroup SalesTaxRateList PurchaseTaxRateList Hidden",
    "TaxRate": f"{_LISTED} Description RateValue AgencyRef SpecialTaxType DisplayType TaxReturnLineRef "
    f"EffectiveTaxRate",
    "Class": f"{_LISTED} FullyQualifiedName SubClass ParentRef",
    "Department": f"{_LISTED} FullyQualifiedName SubDepartment ParentRef",
    "CompanyCurrency": f"{_LISTED} Code",
    "Deposit": f"{_TRANSACTION} DepositToAccountRef TotalAmt HomeTotalAmt CashBack",
    "SalesReceipt": f"{_TRANSACTION} {_SALE}",
    "JournalEntry": f"{_TRANSACTION} Adjustment TotalAmt HomeTotalAmt",
    "RecurringTransaction": "Invoice Estimate CreditMemo SalesReceipt RefundReceipt JournalEntry Bill Purchase",
    "CompanyInfo": "CompanyName LegalName CompanyAddr CustomerCommunicationAddr LegalAddr CompanyEmailAddr "
    "CustomerCommunicationEmailAddr CompanyURL PrimaryPhone CompanyStartDate FiscalYearStartMonth Country Email "
    "WebAddr "
    "SupportedLanguages DefaultTimeZone MultiByteCharsSupported NameValue EmployerId",
    "Preferences": "AccountingInfoPrefs ProductAndServicesPrefs SalesFormsPrefs EmailMessagesPrefs "
    "VendorAndPurchasesPrefs TimeTrackingPrefs TaxPrefs CurrencyPrefs ReportPrefs FinanceChargesPrefs OtherPrefs",
    "Vendor": "Active DisplayName Balance",
}

KNOWN: dict[str, frozenset[str]] = {entity: words(f"{_ALL} {text}") for entity, text in _KNOWN_TEXT.items()}
ENTITY_BY_PATH = {entity.lower(): entity for entity in KNOWN}

TRANSACTIONS = frozenset(
    {"Invoice", "CreditMemo", "Estimate", "RefundReceipt", "Payment", "Deposit", "SalesReceipt", "JournalEntry"}
)
NAMED = frozenset({"Customer", "Account", "Item", "PaymentMethod", "Term", "TaxCode", "TaxRate", "Class", "Department"})

_LINE = words(
    "Id LineNum Description Amount LinkedTxn DetailType CustomField LineEx SalesItemLineDetail SubTotalLineDetail "
    "DiscountLineDetail GroupLineDetail DescriptionLineDetail TaxLineDetail PaymentLineDetail DepositLineDetail "
    "JournalEntryLineDetail ProjectRef CostAmount HomeCostAmount Received CustomExtensions"
)
_REFERENCE = frozenset({"value", "name", "type"})
_MEMO = frozenset({"value", "id"})
_LINKED = frozenset({"TxnId", "TxnType", "TxnLineId"})

_FILTERS_OF_TRANSACTIONS = "Id MetaData.CreateTime MetaData.LastUpdatedTime DocNumber TxnDate TotalAmt CustomerRef"
_FILTERS_OF_NAMES = "Id MetaData.CreateTime MetaData.LastUpdatedTime Active"
FILTERS: dict[str, frozenset[str]] = {
    entity: words(text)
    for entity, text in {
        "Invoice": f"{_FILTERS_OF_TRANSACTIONS} DueDate Balance SalesTermRef ClassRef DepartmentRef",
        "CreditMemo": f"{_FILTERS_OF_TRANSACTIONS} Balance RemainingCredit",
        "Estimate": f"{_FILTERS_OF_TRANSACTIONS} ExpirationDate AcceptedDate TxnStatus DueDate",
        "RefundReceipt": f"{_FILTERS_OF_TRANSACTIONS} PaymentRefNum",
        "SalesReceipt": f"{_FILTERS_OF_TRANSACTIONS} PaymentRefNum Balance",
        "Payment": f"{_FILTERS_OF_TRANSACTIONS} PaymentRefNum PaymentMethodRef DepositToAccountRef UnappliedAmt",
        "Deposit": "Id MetaData.CreateTime MetaData.LastUpdatedTime TxnDate TotalAmt DepositToAccountRef",
        "JournalEntry": "Id MetaData.CreateTime MetaData.LastUpdatedTime TxnDate DocNumber",
        "Customer": f"{_FILTERS_OF_NAMES} DisplayName GivenName FamilyName CompanyName FullyQualifiedName "
        "PrintOnCheckName Balance BalanceWithJobs Job PrimaryEmailAddr ParentRef",
        "Account": f"{_FILTERS_OF_NAMES} Name AccountType AccountSubType Classification FullyQualifiedName SubAccount "
        "CurrentBalance AcctNum",
        "Item": f"{_FILTERS_OF_NAMES} Name Type Sku FullyQualifiedName UnitPrice",
        "PaymentMethod": f"{_FILTERS_OF_NAMES} Name Type",
        "Term": f"{_FILTERS_OF_NAMES} Name Type DueDays",
        "TaxCode": f"{_FILTERS_OF_NAMES} Name Taxable",
        "TaxRate": f"{_FILTERS_OF_NAMES} Name",
        "Class": f"{_FILTERS_OF_NAMES} Name",
        "Department": f"{_FILTERS_OF_NAMES} Name",
        "CompanyCurrency": f"{_FILTERS_OF_NAMES} Code Name",
        "RecurringTransaction": "Id MetaData.CreateTime MetaData.LastUpdatedTime Type Active",
        "CompanyInfo": "Id MetaData.CreateTime MetaData.LastUpdatedTime",
        "Preferences": "Id",
        "Vendor": f"{_FILTERS_OF_NAMES} DisplayName Balance",
    }.items()
}

# Characters, counted as Java counts them: UTF-16 units.
_LIMITS = {"DocNumber": 21, "PrivateNote": 4000, "PaymentRefNum": 21, "DisplayName": 500}
_MEMO_LIMIT = 1000


def check(entity: str, request: dict[str, Any]) -> None:
    """Refuse what Intuit's parser refuses: unknown properties (2010), wrong shapes (2010), texts too long (2050)."""
    known = KNOWN[entity]
    for name, value in request.items():
        if name not in known:
            raise fault.unknown_property(entity, name, len(known))
        if name.endswith("Ref") and name != "AttachableRef" and value is not None:
            _object(name, value, "ReferenceType", _REFERENCE)
    memo = request.get("CustomerMemo")
    if memo is not None:
        _object("CustomerMemo", memo, "MemoRef", _MEMO)
        _length("CustomerMemo", memo.get("value"), _MEMO_LIMIT)
    for name, limit in _LIMITS.items():
        _length(name, request.get(name), limit)
    if "Line" in request:
        for line in _list("Line", request["Line"]):
            _object("Line", line, "Line", _LINE)
            for linked in _list("LinkedTxn", line.get("LinkedTxn") or []):
                _object("LinkedTxn", linked, "LinkedTxn", _LINKED)


def _object(name: str, value: object, shape: str, known: frozenset[str]) -> None:
    if not isinstance(value, dict):
        raise fault.unreadable(f"Can not construct instance of com.intuit.schema.finance.v3.{shape} from {name}")
    for key in value:
        if key not in known:
            raise fault.unknown_property(shape, str(key), len(known))


def _list(name: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise fault.unreadable(f"Can not deserialize instance of java.util.ArrayList out of {name}")
    return value


def _length(name: str, value: object, limit: int) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        raise fault.unreadable(f"{name} is no text and")
    supplied = len(value.encode("utf-16-le")) // 2
    if supplied > limit:
        raise fault.too_long(name, supplied, limit)
