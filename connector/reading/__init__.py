"""What the pages read: one SELECT a page, nothing written."""
