"""What can go wrong, as exceptions that know their exit code. The bottom of the import graph."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from importlib.util import find_spec


class HpoError(Exception):
    """Something the user can act on; the command prints the message and exits with `exit_code`."""

    exit_code = 1


class UsageError(HpoError):
    """A command or a study file that does not say what it must."""

    exit_code = 2


class StudyFileError(UsageError):
    """One or more mistakes in a study file, all reported at once.

    Args:
        source: the file's name as the user gave it.
        problems: one sentence each, opening with the key it speaks of.
    """

    def __init__(self, source: str, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        count = "1 mistake" if len(self.problems) == 1 else f"{len(self.problems)} mistakes"
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        super().__init__(f"{source}: {count}\n{lines}")


class MissingExtra(UsageError):
    """A command needs a library that belongs to an extra which is not installed."""

    def __init__(self, library: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs {library}, which is not installed. In a checkout of hpo: pip install '.[{extra}]'"
        )


def require(library: str, extra: str, purpose: str) -> None:
    """Refuses what needs a library that is not installed, without importing it.

    Raises:
        MissingExtra: it is not.
    """
    if find_spec(library) is None:
        raise MissingExtra(library, extra, purpose)


class DataError(HpoError):
    """Data that are missing, damaged, or not what the study was created with."""

    exit_code = 3


class StorageError(HpoError):
    """A database that cannot be reached, written or understood."""

    exit_code = 4


class StudyFailedError(HpoError):
    """Too many trials in a row failed; the study stops until somebody launches it again."""

    exit_code = 5


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for an unknown name: the nearest known ones, and the list of all of them.

    Returns: for example ``"did you mean 'conv_lstm'? known: conv_lstm, lstm"``.
    """
    names = sorted(known)
    close = get_close_matches(name, names, n=3, cutoff=0.6)
    listing = "known: " + ", ".join(names)
    if not close:
        return listing
    return "did you mean " + " or ".join(repr(n) for n in close) + f"? {listing}"


def reason(error: BaseException) -> str:
    """The first line of what lies behind an error: of the database driver's own (`orig`), its cause, or itself."""
    cause = getattr(error, "orig", None) or error.__cause__ or error
    text = str(cause).strip()
    return text.splitlines()[0] if text else type(cause).__name__
