"""Does TPE propose as well when it learns from a choice of a long study's trials as when it learns from all of them?

Both ways on the same seeds, on two functions of eight hyperparameters that cost nothing: the best value, and the mean
of the best third of all trials. The choice has the 25 best trials and an even part of the others: see `thinned` in
hpo/samplers/tpe.py. Takes ten minutes.

    .venv/bin/python benchmarks/thinning.py
"""

import argparse
import math
import sys
from pathlib import Path

import numpy as np
import optuna
from load import SPACE
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hpo.samplers import seeds, tpe
from hpo.search import suggest
from hpo.space import Params

SPACES = {"lstm": SPACE}
Vector = NDArray[np.float64]


def smooth(params: Params) -> float:
    """A hill whose top is the same in all directions."""
    z = _places(params)
    return float(-(z**2).sum() - 0.3 * (params["batch_size"] != 64) - 0.4 * (params["pool"] != "mean"))


def rugged(params: Params) -> float:
    """The same with waves on it, and two hyperparameters that depend on each other."""
    z = _places(params)
    return float(smooth(params) + 0.4 * np.cos(5 * z).sum() - 0.8 * abs(z[0] * z[3]))


def _places(params: Params) -> Vector:
    rate, decay = (math.log10(float(params[name])) for name in ("learning_rate", "weight_decay"))
    units, filters = (math.log2(float(params[name])) for name in ("units", "filters"))
    dropout, depth = float(params["dropout"]), float(params["depth"])
    tops = np.array([-2.3, 0.35, -4.5, 6.2, 4.4, 3.0])
    widths = np.array([1.0, 0.2, 1.5, 1.5, 1.3, 1.5])
    found: Vector = (np.array([rate, dropout, decay, units, filters, depth]) - tops) / widths
    return found


def main() -> None:
    """Both functions, all seeds, both ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=700)
    parser.add_argument("--most", type=int, default=250, help="trials to learn from")
    parser.add_argument("--seeds", type=int, default=6)
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    inner = tpe.thinned
    for function in (smooth, rugged):
        found: dict[int, list[tuple[float, float]]] = {}
        for most in (arguments.trials, arguments.most):
            tpe.thinned = lambda ended, *, maximize, most=most: inner(ended, maximize=maximize, most=most)
            found[most] = []
            for seed in range(arguments.seeds):
                made = tpe.make(SPACES, seeds(study=seed, trial=seed))
                study = optuna.create_study(direction="maximize", sampler=made)
                values = []
                for _ in range(arguments.trials):
                    trial = study.ask()
                    values.append(function(suggest(trial, SPACES).params))
                    study.tell(trial, values[-1])
                found[most].append((max(values), float(np.mean(sorted(values)[-len(values) // 3 :]))))
        every, some = (np.array(found[most]) for most in (arguments.trials, arguments.most))
        error = (some - every).std(0, ddof=1) / math.sqrt(len(every))
        for place, what in enumerate(("best value", "mean of the best third")):
            sys.stdout.write(
                f"{function.__name__}, {what}: {every[:, place].mean():.4f} by all {arguments.trials} trials; by "
                f"{arguments.most} of them {(some - every)[:, place].mean():+.4f}, standard error {error[place]:.4f}\n"
            )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
