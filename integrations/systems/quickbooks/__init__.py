"""QuickBooks Online: invoices in, links onto them, payments back into the books."""
