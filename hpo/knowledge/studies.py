"""The trials of other studies: for the sampler to learn from where their scores compare, else settings to try first."""

from collections.abc import Iterable, Sequence
from typing import Any

from hpo import models, samplers, versions
from hpo.errors import UsageError
from hpo.knowledge.found import FREE, Knowledge
from hpo.prepare import Prepared
from hpo.search import Spaces
from hpo.space import Params
from hpo.specify import recorded
from hpo.store import Prior, Start, Store, StudyRecord, TrialRecord, ranked
from hpo.training import TRAINING
from hpo.transfer import Misfit, transfer
from hpo.trial import INFEASIBLE, Cause

# Settings of another study that are tried first where its scores do not compare.
STARTS = 3
# Ends that depend on the machine and on limits, and so say nothing about the setting elsewhere.
_ELSEWHERE = {Cause.OUT_OF_MEMORY, Cause.TIMED_OUT, Cause.STALLED, Cause.POISON, Cause.TOO_LARGE}


def from_storage(storage: str, names: Sequence[str], prepared: Prepared) -> list[Knowledge]:
    """What these studies of a database have for a study. The database is only read.

    Raises:
        UsageError: there is no such study, or it has nothing to give.
        StorageError: there is no such database.
    """
    if not names:
        return []
    with Store(storage, read_only=True) as store:
        return [_from_store(store, name, prepared) for name in dict.fromkeys(names)]


def _from_store(store: Store, name: str, prepared: Prepared) -> Knowledge:
    own = prepared.definition.name
    if name == own:
        raise UsageError(f"--from {name}: that is the study itself; its own trials need not be taken over")
    known = store.names()
    if name not in known and own in known and name in store.status(own).prior:
        return Knowledge(lines=(f"study {name} is gone; what was taken over from it stays",))
    return from_study(store.study(name), store.trials(name), prepared)


def from_study(old: StudyRecord, trials: Sequence[TrialRecord], prepared: Prepared) -> Knowledge:
    """The trials of another study: to learn from where their scores compare, else its best settings as starts.

    A sampler that learns from no other trials gets the latter, too.

    Raises:
        UsageError: not one of them can be used; the message says why.
    """
    reasons, sampler = incomparable(old, prepared), prepared.definition.search.sampler
    whys = [f"its scores do not compare ({'; '.join(reasons)})"] if reasons else []
    whys += [] if samplers.learns(sampler) else [f"the sampler {sampler!r} learns from no other trials"]
    found = _starts(old, trials, prepared.spaces) if whys else _priors(old, trials, prepared)
    if not found.starts and not found.priors:
        raise UsageError("\n".join((f"study {old.name!r} has nothing for {prepared.definition.name!r}", *found.lines)))
    if not whys:
        return found
    head = f"study {old.name}: {', and '.join(whys)}, but its best settings can be tried"
    return Knowledge(starts=found.starts, lines=(head, *found.lines))


def incomparable(old: StudyRecord, prepared: Prepared) -> list[str]:
    """Why scores of the other study say nothing about this one; empty if they do."""
    definition = prepared.definition
    reasons: list[str] = []
    for what, one, other in (
        ("data", old.data.sha256, prepared.record.sha256),
        ("split", old.data.split_sha256, prepared.record.split_sha256),
    ):
        if one != other and not reasons:  # other data have another split
            reasons.append(f"other {what}: SHA-256 {one[:12]} there, {other[:12]} here")
    there: dict[str, Any] = old.definition.train.model_dump(mode="json", by_alias=True)
    here: dict[str, Any] = definition.train.model_dump(mode="json", by_alias=True)
    reasons += [
        f"train.{key}: {there[key]} there, {here[key]} here"
        for key in here
        if key not in FREE and there.get(key) != here[key]
    ]
    differ = versions.differences(old.versions, versions.installed(prepared.spaces))
    return reasons + [f"created with {what}" for what in differ]


def _starts(old: StudyRecord, trials: Sequence[TrialRecord], spaces: Spaces) -> Knowledge:
    """The best settings of a study that fit."""
    starts: list[Start] = []
    taken: list[int] = []
    refused = _Refused()
    for trial in ranked(trials, old.definition.train.metrics):
        if len(starts) == STARTS:
            break
        params, misfits = _params(old, trial, spaces)
        if misfits:
            refused.add(trial.number, _rules(misfits))
        else:
            taken.append(trial.number)
            starts.append(Start(params=params, origin=f"study {old.name}, trial {trial.number}"))
    lines = [f"  to be tried here, once: {_numbers(taken)}"] if starts else []
    return Knowledge(starts=tuple(starts), lines=(*lines, *refused.lines()))


def _priors(old: StudyRecord, trials: Sequence[TrialRecord], prepared: Prepared) -> Knowledge:
    """Every trial that ended and fits."""
    priors: list[Prior] = []
    refused = _Refused()
    ended = [trial for trial in trials if trial.cause is not None and trial.same_as is None]
    for trial in ended:
        silent = _silent(trial, prepared.definition.model.max_parameters)
        params, misfits = ({}, []) if silent else _params(old, trial, prepared.spaces)
        if silent or misfits:
            refused.add(trial.number, [silent] if silent else _rules(misfits))
            continue
        complete = trial.state == "complete"
        priors.append(
            Prior(
                source=old.name,
                trial=trial.number,
                params=params,
                state="complete" if complete else "pruned",
                infeasible=trial.cause in INFEASIBLE,
                values=trial.values if complete else None,
                last_step=trial.last_step,
                last_value=trial.last_value,
            )
        )
    line = f"study {old.name}: {len(priors)} of its {len(ended)} ended trials are known to the sampler"
    return Knowledge(priors=tuple(priors), lines=(line, *refused.lines()))


def _params(old: StudyRecord, trial: TrialRecord, spaces: Spaces) -> tuple[Params, list[Misfit]]:
    claim = recorded(old, trial)
    given = {**claim.model, **claim.training}
    if claim.family in spaces:
        # A hyperparameter that hpo did not have yet: the trial was trained without it, that is with its default.
        known = {**TRAINING, **models.get(claim.family).SPACE}
        given |= {n: known[n].default for n in spaces[claim.family] if n in known and n not in given}
    return transfer(claim.family, given, spaces)


def _rules(misfits: Iterable[Misfit]) -> list[str]:
    """Without what each trial has there, so that many trials share a line."""
    return [f"{misfit.name}: {misfit.rule}" for misfit in misfits]


def _silent(trial: TrialRecord, max_parameters: int | None) -> str:
    """Why the end of a trial says nothing here, whatever its setting; empty if it does."""
    if trial.cause is Cause.BUG:
        return "failed by a bug"
    if trial.cause in _ELSEWHERE or (trial.cause is Cause.BUDGET and trial.last_step is None):
        return f"{trial.cause}, which depends on the machine and on limits"
    size = trial.outcome.parameters if trial.outcome else None
    if max_parameters is not None and size is not None and size > max_parameters:
        return f"more parameters than model.max_parameters, {max_parameters:,}"
    return ""


class _Refused:
    """Trials by what was in their way."""

    def __init__(self) -> None:
        self._trials: dict[str, list[int]] = {}

    def add(self, number: int, reasons: Iterable[str]) -> None:
        for reason in reasons:
            self._trials.setdefault(reason, []).append(number)

    def lines(self) -> list[str]:
        """One for each reason, the most frequent first."""
        return [
            f"  not {_numbers(numbers)}: {reason}"
            for reason, numbers in sorted(self._trials.items(), key=lambda item: -len(item[1]))
        ]


def _numbers(numbers: Sequence[int]) -> str:
    shown_ones = ", ".join(map(str, numbers[:8]))
    what = "trial" if len(numbers) == 1 else "trials"
    return f"{what} {shown_ones}" + (f" and {len(numbers) - 8} more" if len(numbers) > 8 else "")
