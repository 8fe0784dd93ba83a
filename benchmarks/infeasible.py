"""Does a study learn which settings do not fit into memory? Infeasible proposals, ours against Optuna marking FAIL.

The objective trains nothing: a score that rises with the size of the model, so that the search is drawn upwards, and a
limit of size above which a trial runs out of memory: a third of the space, drawn at random, lies above it. Ours goes
the way of every trial (claim, finish; the database is a file), Optuna is told `FAIL`. Both start from the same default.
Counted are the infeasible ones among the second half of the trials. Takes five minutes.

    .venv/bin/python benchmarks/infeasible.py
"""

import argparse
import math
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import optuna

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hpo import search
from hpo.settings import Times
from hpo.space import Float, Int, Params, Space, choice, sample
from hpo.store import Claim, Claims, Store
from hpo.trial import Cause, Result
from tests.support import definition, record

SPACE: Space = {
    "units": Int(low=16, high=512, log=True, default=64),
    "depth": Int(low=1, high=4, default=2),
    "batch_size": choice(16, 32, 64, 128, 256, default=32),
    "learning_rate": Float(low=1e-4, high=1e-1, log=True, default=1e-3),
    "dropout": Float(low=0.0, high=0.6, default=0.5),
    "cell": choice("lstm", "gru", default="lstm"),
}
SPACES = {"lstm": SPACE}
INFEASIBLE = 1 / 3


def memory(params: Params) -> float:
    """The logarithm of what a model takes: weights go with the square of the units, activations with the batch."""
    units, depth, batch = (float(params[name]) for name in ("units", "depth", "batch_size"))
    weights = depth * units**2 * (4 if params["cell"] == "lstm" else 3)
    return math.log(4 * weights + 100 * depth * units * batch)


@cache
def limit() -> tuple[float, float, float]:
    """The least and the largest `memory` of 20,000 random settings, and what a third of them exceeds."""
    rng = np.random.default_rng(0)
    drawn = [memory(sample(SPACE, rng)) for _ in range(20_000)]
    return min(drawn), max(drawn), float(np.quantile(drawn, 1 - INFEASIBLE))


def score(params: Params) -> float | None:
    """Better the larger, with a best learning rate and dropout beside; None if it does not fit."""
    least, largest, allowed = limit()
    size = memory(params)
    if size > allowed:
        return None
    rate, dropout = math.log10(float(params["learning_rate"])), float(params["dropout"])
    return 0.5 + 0.4 * (size - least) / (largest - least) - 0.1 * (rate + 2.5) ** 2 - 0.3 * (dropout - 0.3) ** 2


Run = tuple[list[bool], float]  # which trials were infeasible, in order; the best score


def ours(seed: int, trials: int) -> Run:
    """As a worker of ours does it."""
    infeasible, best = [], -math.inf
    with tempfile.TemporaryDirectory() as folder, Store(f"sqlite:///{folder}/hpo.db", create=True) as store:
        study = definition(
            budget={"trials": trials},
            search={"sampler": "tpe", "pruner": "none"},
            split={"by": "stratified", "seed": seed},
        )
        store.create(study, spaces=SPACES, data=record(), versions={})
        claims = Claims(store, "s", "w", Times())
        while isinstance(claim := claims.claim(), Claim):
            value = score({**claim.model, **claim.training})
            infeasible.append(value is None)
            if value is None:
                claims.finish(claim, Result(cause=Cause.OUT_OF_MEMORY))
            else:
                best = max(best, value)
                claims.finish(claim, Result(cause=Cause.COMPLETED, value=value))
    return infeasible, best


def theirs(seed: int, trials: int) -> Run:
    """Optuna alone with its default sampler, told FAIL."""
    infeasible, best = [], -math.inf
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial(search.default_params(SPACES, "lstm"))
    for _ in range(trials):
        trial = study.ask()
        value = score(search.suggest(trial, SPACES).params)
        infeasible.append(value is None)
        if value is None:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            best = max(best, value)
            study.tell(trial, value)
    return infeasible, best


def main() -> None:
    """Runs both over all seeds and compares them seed by seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=20)
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    half = arguments.trials // 2
    counts: dict[str, list[int]] = {}
    means: dict[str, np.ndarray] = {}
    ways: dict[str, Callable[[int, int], Run]] = {"ours": ours, "Optuna, FAIL": theirs}
    for name, way in ways.items():
        runs = [way(seed, arguments.trials) for seed in range(arguments.seeds)]
        counts[name] = [sum(infeasible[half:]) for infeasible, _ in runs]
        means[name] = np.array(counts[name], float)
        first = sum(sum(infeasible[:half]) for infeasible, _ in runs)
        n = arguments.seeds * half
        print(
            f"{name}: {sum(counts[name])} of {n} proposals of the second half infeasible ({sum(counts[name]) / n:.1%}; "
            f"per seed {min(counts[name])} to {max(counts[name])} of {half}), {first} of {n} of the first; "
            f"best score {np.mean([best for _, best in runs]):.3f}"
        )
    mine, other = means.values()
    rng = np.random.default_rng(0)
    places = rng.integers(0, len(mine), (10_000, len(mine)))
    ratios = mine[places].sum(1) / other[places].sum(1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    print(f"ours / Optuna: {mine.sum() / other.sum():.2f}, 95 % of bootstrap samples of seeds {low:.2f} to {high:.2f}")


if __name__ == "__main__":
    main()
