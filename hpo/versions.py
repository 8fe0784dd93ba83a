"""Which versions decide a trial's outcome: those of this machine, and whether they are those of a study.

Scores of one study are compared with each other, so all of them should come from the same program.
"""

import logging
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version

from hpo import __version__, models
from hpo.errors import UsageError

log = logging.getLogger(__name__)

_LIBRARIES = ("optuna", "tensorflow", "keras", "numpy", "scikit-learn", "aeon")
_COMPARED = ("hpo", "tensorflow", "keras")  # major and minor version
_FAMILY = "family "
_MISSING = "not installed"


def installed(families: Iterable[str]) -> dict[str, str]:
    """Versions of hpo and its libraries, read without importing them, and the SHA-256 of each family's source.

    Args:
        families: those of a study.
    """
    found = {"hpo": __version__}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = _MISSING
    return found | {_FAMILY + family: models.source_sha256(family) for family in families}


def differences(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What makes scores of two programs hard to compare; what one of them did not note cannot differ.

    Args:
        then, now: as `installed` returns them.
    """
    found = []
    for name in _COMPARED:
        old, new = then.get(name, _MISSING), now.get(name, _MISSING)
        if _MISSING not in (old, new) and old.split(".")[:2] != new.split(".")[:2]:
            found.append(f"{name} {old}, here {new}")
    families = [name for name in sorted(then.keys() & now.keys()) if name.startswith(_FAMILY)]
    changed = [name for name in families if then[name] != now[name]]
    return found + [f"source of {name} {then[name][:12]}, here {now[name][:12]}" for name in changed]


def refuse_mixed(study: str, then: Mapping[str, str], families: Iterable[str], *, allow: bool) -> None:
    """Raises UsageError where a worker of this machine would train by other versions than a study's.

    Args:
        study: its name.
        then: the versions that it was created with.
        families: its own.
        allow: say so in the log instead.
    """
    found = differences(then, installed(families))
    if not found:
        return
    text = f"study {study!r} was created with {'; '.join(found)}: scores would not compare"
    if not allow:
        raise UsageError(
            f"{text}. Install those versions here, start a study with another name, or say --allow-mixed; "
            "each trial's record has its versions"
        )
    log.warning("%s, and --allow-mixed was said", text)
