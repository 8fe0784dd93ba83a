"""Telling people elsewhere that a study has finished, failed or got stuck."""

from hpo.notify.herald import Herald
from hpo.notify.ways import asked, check

__all__ = ["Herald", "asked", "check"]
