"""`hpo report`: a study as one page that needs nothing but a browser."""

from hpo.report.gather import Found, gather
from hpo.report.page import Page, can_be_interactive, page

__all__ = ["Found", "Page", "can_be_interactive", "gather", "page"]
