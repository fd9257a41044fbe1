"""Examines an installation: what is well, what to look at, what does not work, and how each is put right."""

from connector.doctor.examination import examine
from connector.doctor.finding import Finding, Verdict

__all__ = ["Finding", "Verdict", "examine"]
