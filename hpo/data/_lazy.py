"""Heavy libraries, imported when they are needed and not before, with a message that says what to install."""

from importlib import import_module
from typing import Any

from hpo.errors import MissingExtra


def library(module: str, shown: str, purpose: str, extra: str = "train") -> Any:
    """The imported `module`.

    Args:
        module: the module to import, for example ``"sklearn.model_selection"``.
        shown: the library's name as one installs it, for example ``"scikit-learn"``.
        purpose: what needs it, as the opening of a sentence, for example ``"Splitting data"``.
        extra: of this project, which brings the library.

    Raises:
        MissingExtra: the library is not installed; the message names the extra.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        # it may be there while something that it needs itself is not
        missing = shown if error.name is None or module.startswith(error.name) else error.name
        raise MissingExtra(missing, extra, purpose) from error
