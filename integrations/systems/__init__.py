"""Where invoices come from and where payments are written back."""
