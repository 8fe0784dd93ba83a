"""Draws every trial at random, and learns nothing."""

from collections.abc import Sequence

from optuna.samplers import BaseSampler, RandomSampler

from hpo.samplers import Seeds
from hpo.search import Spaces


def unfit(spaces: Spaces, metrics: Sequence[str]) -> list[str]:
    """Nothing: it searches any space."""
    return []


def size(spaces: Spaces) -> None:
    """No end: a setting may come up again."""


def make(spaces: Spaces, seeds: Seeds) -> BaseSampler:
    """Optuna's."""
    return RandomSampler(seed=seeds.trial)
