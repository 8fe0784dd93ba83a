"""What an attempt at a trial begins with: files of the attempt before, from this node or from the artifact store."""

import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from hpo import checkpoints
from hpo.artifacts import Artifacts
from hpo.errors import HpoError
from hpo.spool import LOG, Spool, files
from hpo.store import Claim

log = logging.getLogger(__name__)

LISTINGS = 3  # of a trial's files, until all that was listed could be read
# In the folder of an attempt that began without what was elsewhere: its successor on this node asks for it again.
_WITHOUT = ".without"
FETCH = 120.0  # seconds that a trial waits for files that are elsewhere


def fill(folder: Path, claim: Claim, spool: Spool, artifacts: Artifacts, give_up: Callable[[], bool]) -> None:
    """Puts the last checkpoint and the log of earlier attempts into a new folder, where they can be had.

    Args:
        folder: of the attempt.
        claim: the trial.
        spool: of this node.
        artifacts: the store.
        give_up: whether not to wait for the store any more.

    Raises:
        OSError: the folder cannot be written.
    """
    if claim.attempt == 1:
        return
    here = [key for key in spool.found() if key.number == claim.number and key.attempt < claim.attempt]
    lacking = True
    if here:
        last = spool.folder(here[-1])
        # its worker may stand still while its child goes on, and replaces a checkpoint that was listed by a newer one
        any(_copied(last, folder) for _ in range(LISTINGS))
        lacking = here[-1].attempt < claim.attempt - 1 or (last / _WITHOUT).exists()
    if lacking and not _fetched(folder, claim, spool, artifacts, give_up):
        (folder / _WITHOUT).touch()


def _fetched(folder: Path, claim: Claim, spool: Spool, artifacts: Artifacts, give_up: Callable[[], bool]) -> bool:
    """Whether they could be copied from the store. A thread of its own asks it, because it may hang."""
    beside = Path(tempfile.mkdtemp(prefix=".fetched-", dir=spool.path))
    answered, failed = threading.Event(), []

    def fetch() -> None:
        try:
            # a checkpoint that was listed may be replaced by a newer one before it is read
            any(_got(artifacts, claim.artifacts, beside) for _ in range(LISTINGS))
        except (HpoError, OSError) as error:
            failed.append(str(error))
        answered.set()

    threading.Thread(target=fetch, name="fetch", daemon=True).start()
    until = time.monotonic() + FETCH
    while not answered.wait(0.05) and time.monotonic() < until and not give_up():
        pass
    done = answered.is_set() and not failed
    if done:
        _copied(beside, folder)
    else:
        why = failed[0] if failed else f"no answer of {artifacts.address} within {FETCH:.0f} s"
        log.warning("trial %d may begin anew, because its files cannot be had: %s", claim.number, why)
    shutil.rmtree(beside, ignore_errors=True)
    return done


def _got(artifacts: Artifacts, folder: str, target: Path) -> bool:
    """Copies a trial's log and checkpoints. False where one of them was gone by then."""
    whole = True
    for entry in artifacts.entries(folder):
        name = entry.name.removeprefix(f"{folder}/")
        if name == LOG or (checkpoints.is_one(name) and not name.startswith(".")):
            whole = artifacts.get(entry.name, target / name) and whole
    return whole


def _copied(source: Path, target: Path) -> bool:
    """Copies what a successor goes on from. False where something of it was gone by then."""
    whole = True
    for path in files(source):
        if path.name == LOG or checkpoints.is_one(path.name):
            try:
                shutil.copy2(path, target / path.name)
            except FileNotFoundError:
                whole = False
    return whole
