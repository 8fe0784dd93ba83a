"""Which commit of hpo this is, where it runs out of a checkout."""

import subprocess
from pathlib import Path

from hpo.bundle import Code

_PACKAGE = Path(__file__).resolve().parent


def revision(package: Path = _PACKAGE) -> Code | None:
    """The commit, and whether files of `package` differ from it. None where they are not in a repository's history."""
    try:
        # an installed hpo may lie in an environment in somebody else's checkout
        _git(package, "ls-files", "--error-unmatch", "__init__.py")
        commit = _git(package, "rev-parse", "HEAD")
        return Code(revision=commit, changed=bool(_git(package, "status", "--porcelain", "--", ".")))
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()
