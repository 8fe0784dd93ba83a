"""How likely a setting is to be infeasible, by the trials that ended so: too large, out of memory, diverged, too slow.

What makes a setting infeasible mostly grows along some hyperparameters: memory with sizes, time with depth, divergence
with the learning rate. On a logarithmic scale products become sums, so a plane through the space parts what works from
what does not. It is fitted by logistic regression; where a plane parts the known trials badly, nothing is said.

To weigh a proposal's promise with its chance to be feasible is the idea of c-TPE: Watanabe and Hutter 2023,
https://arxiv.org/abs/2211.14411.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

LEAST = 4  # trials of each kind, below which nothing is said
PARTED = 0.75  # of each kind, on the mean, that must lie on their side of the plane
RIDGE = 0.3
STEPS = 20
Vector = NDArray[np.float64]


class Risk:
    """The plane.

    Args:
        trials: that ended, infeasible and other ones.
        space: of the parameters that a proposal consists of; trials without one of them are left out.
    """

    def __init__(self, trials: Sequence[FrozenTrial], space: Mapping[str, BaseDistribution]) -> None:
        self._space = dict(sorted(space.items()))
        known = [trial for trial in trials if space.keys() <= trial.params.keys()]
        infeasible = np.array([any(value > 0 for value in trial.constraints.values()) for trial in known], bool)
        self._plane: Vector | None = None
        if min(infeasible.sum(), (~infeasible).sum()) < LEAST:
            return
        places = {
            name: np.array([domain.to_internal_repr(trial.params[name]) for trial in known])
            for name, domain in self._space.items()
        }
        features = self._features(places)
        plane = _fit(features, infeasible)
        above = features @ plane > 0
        if (above[infeasible].mean() + (~above)[~infeasible].mean()) / 2 >= PARTED:
            self._plane = plane

    def __call__(self, places: Mapping[str, NDArray[Any]]) -> Vector | None:
        """The probability of each proposal to be infeasible; None where nothing is known.

        Args:
            places: parameter -> one value for each proposal, as Optuna has it internally (a choice is its index).
        """
        if self._plane is None:
            return None
        return _sigmoid(self._features(places) @ self._plane)

    def _features(self, places: Mapping[str, NDArray[Any]]) -> Vector:
        columns = [np.ones(len(next(iter(places.values()))))]
        for name, domain in self._space.items():
            columns += _columns(domain, places[name])
        return np.stack(columns, axis=1)


def _columns(domain: BaseDistribution, places: NDArray[Any]) -> list[Vector]:
    """Numbers from -1 to 1: one for an ordered parameter, one for each choice of another."""
    match domain:
        case FloatDistribution() | IntDistribution():
            low, high, values = float(domain.low), float(domain.high), places.astype(float)
            if domain.log:
                low, high, values = np.log(low), np.log(high), np.log(values)
            return [2 * (values - low) / max(high - low, 1e-12) - 1]
        case CategoricalDistribution() if all(type(choice) in (int, float) for choice in domain.choices):
            ranks = np.argsort(np.argsort(np.array(domain.choices, float)))
            return [2 * ranks[places.astype(int)] / max(len(domain.choices) - 1, 1) - 1.0]
        case CategoricalDistribution():
            return [2.0 * (places.astype(int) == index) - 1.0 for index in range(len(domain.choices))]
        case _:
            return []


def _fit(features: Vector, infeasible: NDArray[np.bool_]) -> Vector:
    """Logistic regression by Newton's method, with a ridge that keeps it finite where a plane parts all."""
    plane = np.zeros(features.shape[1])
    ridge = np.full(features.shape[1], RIDGE)
    ridge[0] = 1e-3
    for _ in range(STEPS):
        chance = _sigmoid(features @ plane)
        slope = features.T @ (chance - infeasible) + ridge * plane
        curve = (features * (chance * (1 - chance))[:, None]).T @ features + np.diag(ridge)
        plane = plane - np.linalg.solve(curve, slope)
    return plane


def _sigmoid(values: Vector) -> Vector:
    found: Vector = 1 / (1 + np.exp(-np.clip(values, -30, 30)))
    return found
