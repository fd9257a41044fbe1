"""The customer's pages behind a billing link."""
