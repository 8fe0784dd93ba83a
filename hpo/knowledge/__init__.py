"""What a new study can be given of what is known already: parameters from files, and the trials of other studies.

Nothing is changed here: what is found goes to the store together with the study. Each step says what it found, and
what not, and why.
"""

from collections.abc import Sequence
from pathlib import Path

from hpo.knowledge.files import from_file
from hpo.knowledge.found import Knowledge
from hpo.knowledge.studies import from_storage
from hpo.prepare import Prepared

__all__ = ["Knowledge", "gather"]


def gather(prepared: Prepared, storage: str, files: Sequence[Path], studies: Sequence[str]) -> Knowledge:
    """All that is known for a study.

    Args:
        prepared: the study.
        storage: database of the other studies; only read.
        files: as `hpo export` writes them, JSON or TOML.
        studies: names.

    Raises:
        UsageError: a file or a study has nothing to give; the message says why.
        StorageError: there is no such database.
    """
    found = [from_file(path, prepared) for path in files]
    found += from_storage(storage, studies, prepared)
    return Knowledge(
        starts=tuple(start for part in found for start in part.starts),
        priors=tuple(prior for part in found for prior in part.priors),
        lines=tuple(line for part in found for line in part.lines),
    )
