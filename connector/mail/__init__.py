"""Sending mail and the templates it is written from."""
