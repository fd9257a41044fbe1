"""Sending mail and the templates it is written from."""

from connector.mail.letters import Letter, UnknownLetter, write_letter
from connector.mail.mailer import Mailer

__all__ = ["Letter", "Mailer", "UnknownLetter", "write_letter"]
