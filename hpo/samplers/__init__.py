"""The samplers: one file each, which says what spaces it can search and makes Optuna's sampler for one trial.

A sampler is made anew for every trial (docs/decisions/0005): what it has to remember it reads from the study.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

import numpy as np
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from hpo import folders
from hpo.samplers._taught import Taught
from hpo.search import Spaces
from hpo.space import Scalar
from hpo.study import StudyDef


@dataclass(frozen=True)
class Seeds:
    """Where a sampler's randomness comes from.

    Attributes:
        study: the same for all trials of a study.
        trial: another for each trial. Two trials must never have the same one: they would be the same.
    """

    study: int
    trial: int


class Sampler(Protocol):
    """What a module of this folder offers."""

    def unfit(self, spaces: Spaces, metrics: Sequence[str]) -> list[str]:
        """Why it cannot search these spaces by these metrics: sentences that open with the key. Empty if it can.

        Raises:
            MissingExtra: it needs a library that is not installed.
        """

    def size(self, spaces: Spaces) -> int | None:
        """How many different settings it proposes before it has no more; None means that it never ends."""

    def make(self, spaces: Spaces, seeds: Seeds) -> BaseSampler:
        """Optuna's sampler for the next trial.

        Args:
            spaces: family -> resolved space.
            seeds: see there.
        """


def names() -> list[str]:
    """Sorted names of all samplers."""
    return folders.names("samplers")


def get(name: str) -> Sampler:
    """The sampler of that name, one of `names`."""
    return cast(Sampler, import_module(f"{__name__}.{name}"))


def learns(name: str) -> bool:
    """Whether a sampler learns from trials that it did not propose itself; its module says so by `LEARNS = True`."""
    return bool(getattr(get(name), "LEARNS", False))


def taught(inner: BaseSampler, prior: Sequence[FrozenTrial]) -> BaseSampler:
    """The sampler with prior knowledge: ended trials that are not the study's own, their numbers below 0."""
    return Taught(inner, prior) if prior else inner


def size(definition: StudyDef, spaces: Spaces) -> int | None:
    """How many different settings end a study; None where it goes on until its budget ends.

    A study without a number of trials that trains no setting twice ends with its space too, if that can be listed.

    Args:
        definition: of the study.
        spaces: family -> resolved space.
    """
    search = definition.search
    if search.duplicates == "skip" and definition.budget.trials is None:
        return countable(spaces)
    return get(search.sampler).size(spaces)


def countable(spaces: Spaces) -> int | None:
    """How many settings there are, if the sampler `grid` can list them; else None."""
    grid = get("grid")
    return None if grid.unfit(spaces, ()) else grid.size(spaces)


def exhausted(size: int | None, tried: Iterable[Mapping[str, Scalar]]) -> bool:
    """Whether there is no further setting to propose.

    Args:
        size: how many there are; None means that there is no end of them.
        tried: the Optuna parameters of all trials that ran or run.
    """
    return size is not None and len(set(map(identity, tried))) >= size


def identity(stored: Mapping[str, Scalar]) -> str:
    """A text that two trials share if their Optuna parameters are the same."""
    return json.dumps(dict(stored), sort_keys=True)


def seeds(*, study: int, trial: int) -> Seeds:
    """Well mixed seeds from any whole numbers from 0."""
    return Seeds(study=_mixed(study), trial=_mixed(trial))


def _mixed(number: int) -> int:
    return int(np.random.SeedSequence([1, number]).generate_state(1)[0])
