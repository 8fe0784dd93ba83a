"""Reports of evaluations from made-up predictions of a test part: nothing is trained for them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.evaluation import report as reporting
from hpo.evaluation.baselines import MAJORITY
from hpo.evaluation.look import Seen
from hpo.formats import finite

Y = np.arange(120, dtype=np.int64) % 2
PEOPLE = np.arange(120) // 15


def predicted(accuracy: float, seed: int) -> NDArray[np.float32]:
    """Probabilities that are right so often."""
    right = np.random.default_rng(seed).random(len(Y)) < accuracy
    certain: NDArray[np.float32] = np.eye(2, dtype=np.float32)[np.where(right, Y, 1 - Y)]
    return certain * np.float32(0.8) + np.float32(0.1)


def report(
    ours: float, best: float, metric: str = "accuracy", groups: NDArray[np.int64] | None = PEOPLE, **changes: Any
) -> Any:
    """A report on three models that are right so often, against a baseline that is right so often."""
    majority = np.tile(np.array([0.5, 0.5], np.float32), (len(Y), 1))
    seen = Seen(
        y=Y,
        groups=groups,
        models=[predicted(ours, seed) for seed in range(3)],
        baselines={MAJORITY: majority, "MiniRocket": predicted(best, 9)},
        left_out={"1-nearest neighbour, DTW": "too many cells"},
        seconds={},
    )
    found = reporting.tested(seen, metric, ["rest", "[b]move[/b]"])
    found["test"] |= {
        "sha256": "f" * 64,
        "openings": [{"study": "s", "who": "me@here", "at": "2026-01-02T03:04:05+00:00"}],
    }
    validation = {"n": 3, "mean": 0.9, "sd": 0.01, "values": [0.89, 0.9, 0.91]}
    one = {"trial": 7, "search_value": 0.95, "model": "lstm", "searched": {}, "validation": validation, "lacking": []}
    two = one | {"trial": 3, "validation": validation | {"mean": 0.8}}
    whole = {
        "study": "s",
        "metric": metric,
        "asked": {"top": 2, "seeds": 3},
        "configurations": [one, two],
        "comparison": {"n": 3, "mean": 0.1, "low": 0.05, "high": 0.15, "verdict": "better"},
        "per_seed": [
            {"seed": i, "validation": 0.9, "epochs": 4, "test": v} for i, v in enumerate(found["test"]["values"])
        ],
        "refit": {"n": 3, "epochs": 4, "as_trial": 2},
        "optimism": reporting.optimism(0.95, 0.9, 8, found["test"], metric),
        **found,
    }
    return finite(whole | changes)
