"""Trains a trial again from its record and judges whether its score came back. Writes nothing to the database."""

import logging
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hpo import curves, data, once
from hpo.child import ForkServer
from hpo.errors import HpoError, UsageError
from hpo.prepare import read_data
from hpo.specify import recorded, specify
from hpo.store import Claim, Store, StudyRecord, TrialRecord
from hpo.trial import Cause, Epoch, Result
from hpo.verdict import CUT_SHORT, FEWEST_SEEDS, Difference, Rerun, Spread, judge

log = logging.getLogger(__name__)


@contextmanager
def place(folder: Path | None) -> Iterator[Path]:
    """The folder for a training's files: an empty one that stays, or with None one that goes.

    Raises:
        UsageError: it cannot be made, or holds something already.
    """
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="hpo-") as own:
            yield Path(own)
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty; give a folder that is, or that is not there yet")
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror}") from error
    yield folder


def train_again(
    store: Store,
    name: str,
    number: int,
    *,
    cache: Path,
    folder: Path,
    heard: Callable[[Epoch], object] = lambda epoch: None,
    server: ForkServer | None = None,
) -> Rerun:
    """Trains one trial again.

    Args:
        store: the database; only read.
        name: of the study. number: of the trial.
        cache: with the study's arrays, which are verified.
        folder: takes the training's files.
        heard: called after every epoch.
        server: starts the process; None starts one for this training alone.

    Raises:
        UsageError: there is no such study or trial, or the trial left nothing to compare with.
        DataError: the arrays are missing or damaged; the message names the file.
        ChildStartError: no process could be had for the training.
    """
    record, trial = store.study(name), store.trial(name, number)
    notes = []
    if trial.same_as is not None:
        notes.append(f"trial {number} was answered from the record of trial {trial.same_as}, which was trained again")
        trial = store.trial(name, trial.same_as)
    then = _comparable(record, trial)
    claim = recorded(record, trial)
    parts = data.parts(record.data.split_sha256, cache.resolve())
    changed, said = _source(record, cache)
    spec = specify(record, claim, parts, folder.resolve())
    log.info("training trial %d of study %s again ...", trial.number, name)
    heard_epochs: list[Epoch] = []

    def hear(epoch: Epoch) -> Cause | None:
        heard(epoch)
        heard_epochs.append(epoch)
        return then.cause if then.cause in CUT_SHORT and len(heard_epochs) >= then.epochs else None

    now = once.run(spec, folder.resolve() / "log.txt", hear, server=server)
    if then.cause in CUT_SHORT:
        now = _cut(now, heard_epochs, then)
    spread = _spread(store, record, claim)
    verdict = judge(then, now, spread)
    return Rerun(
        study=name,
        trial=trial.number,
        metric=record.definition.train.metric,
        verdict=verdict,
        came_back=verdict != "different",
        then=then,
        now=now,
        spread=spread,
        differences=(*changed, *_versions(then.versions, now.versions)),
        notes=(*notes, *said),
    )


def _comparable(record: StudyRecord, trial: TrialRecord) -> Result:
    """How the trial ended, where that can be compared with anything."""
    which = f"trial {trial.number} of study {record.name!r}"
    then = trial.outcome
    if then is None:
        raise UsageError(f"{which} has not ended yet (it is {trial.state})")
    if then.curve_sha256 is None and then.cause in {*CUT_SHORT, Cause.STALLED, Cause.POISON}:
        raise UsageError(
            f"{which} ended as {then.cause.value!r} before its first epoch was over, so that there is nothing to "
            "compare with; `hpo logs` shows what it printed"
        )
    return then


def _source(record: StudyRecord, cache: Path) -> tuple[list[Difference], list[str]]:
    """Whether the files that the data came from still say the same; and why, if nobody can tell."""
    if record.data.base is None:
        return [], ["where the data's files lay was not recorded, so they were not looked at"]
    base = Path(record.data.base)
    try:
        now = read_data(record.definition.data, cache, base=base).sha256
    except HpoError as error:
        return [], [f"the data's files could not be compared with the record; its arrays are trusted: {error}"]
    if now == record.data.sha256:
        return [], []
    where = f"data {record.definition.data.at(base).place()}"
    return [Difference(what=where, then=record.data.sha256, now=now)], [
        "the data's files changed since the study was created; this training used the arrays that it was created with"
    ]


def _cut(now: Result, epochs: list[Epoch], then: Result) -> Result:
    """The result as of the epoch at which the trial was ended: this process may have gone on until it heard of it."""
    if len(epochs) < then.epochs:
        return now
    folds: list[list[dict[str, float]]] = [[]]
    for epoch in epochs[: then.epochs]:
        folds += [[] for _ in range(epoch.fold + 1 - len(folds))]
        folds[epoch.fold].append(epoch.logs)
    # it may have been ended between two folds, before or after the next one was opened
    hashes = [curves.curve_sha256(folds), curves.curve_sha256([*folds, []])]
    curve = then.curve_sha256 if then.curve_sha256 in hashes else hashes[0]
    return now.model_copy(update={"cause": then.cause, "value": None, "epochs": then.epochs, "curve_sha256": curve})


def _spread(store: Store, record: StudyRecord, claim: Claim) -> Spread | None:
    """Over the completed trials of the same setting, in the study and in its evaluation.

    A refit is compared with refits alone: its value is the score of data that it was trained on.
    """
    searched = record.definition.parent
    names = {record.name} if record.name == f"{searched}/refit" else {searched, f"{searched}/evaluate"}
    values = [
        trial.value
        for other in map(store.study, sorted(names & set(store.names())))
        for trial in store.trials(other.name)
        if trial.state == "complete" and trial.value is not None and trial.same_as is None
        if _setting(recorded(other, trial)) == _setting(claim)
    ]
    if len(values) < FEWEST_SEEDS:
        return None
    return Spread(seeds=len(values), mean=statistics.fmean(values), std=statistics.stdev(values))


def _setting(claim: Claim) -> tuple[object, ...]:
    return claim.family, claim.model, claim.training, claim.given.rates if claim.given else None


def _versions(then: dict[str, str], now: dict[str, str]) -> list[Difference]:
    names = dict.fromkeys([*then, *now])
    return [
        Difference(what=name, then=then.get(name), now=now.get(name))
        for name in names
        if then.get(name) != now.get(name)
    ]
