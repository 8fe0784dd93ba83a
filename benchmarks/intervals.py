"""How often do intervals of test scores hold the truth where a class is rare? Of simulated evaluations.

Windows of two or more classes are as hard as chance makes them, and a few models that mostly agree predict them. The
truth is what such models score on 200,000 windows of the same mixture. Nothing is trained. Takes about ten minutes.

    .venv/bin/python benchmarks/intervals.py --evaluations 300
"""

import argparse
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hpo.evaluation.resample import Resampled
from hpo.scores import score_of

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float32]
# windows of each class
MIXTURES = ((35, 5), (145, 5), (140, 10), (75, 75), (20, 20), (20,) * 6, (30, 30, 30, 5))
METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "auroc")


def labels(counts: Sequence[int], times: int = 1) -> Labels:
    """So many windows of each class."""
    return np.repeat(np.arange(len(counts), dtype=np.int64), np.array(counts) * times)


def models(rng: np.random.Generator, y: Labels, classes: int, seeds: int, edge: float) -> Iterator[Probabilities]:
    """Each window's evidence for its class is the same for all models but for some noise."""
    seen = rng.normal(size=(len(y), classes))
    seen[np.arange(len(y)), y] += edge
    for _ in range(seeds):
        own = seen + 0.3 * rng.normal(size=seen.shape) + 0.1 * rng.normal(size=classes)
        powers = np.exp(own)
        yield (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def covered(counts: Sequence[int], metric: str, edge: float, evaluations: int, draws: int) -> tuple[float, float, int]:
    """Share of the intervals that hold the truth, their mean width, and how many evaluations had none."""
    rng, k = np.random.default_rng(5), len(counts)
    many = labels(counts, 200_000 // sum(counts))
    truth = np.mean([score_of(metric, many, p) for p in models(np.random.default_rng(99), many, k, 5, edge)])
    y, found = labels(counts), []
    for _ in range(evaluations):
        predicted = list(models(rng, y, k, 3, edge))
        interval = Resampled(y, None, {"m": predicted}, metric, draws=draws).mean("m")
        if interval.low is not None and interval.high is not None:
            found.append((interval.low, interval.high))
    held = [low <= truth <= high for low, high in found]
    return float(np.mean(held)), float(np.mean([high - low for low, high in found])), evaluations - len(found)


def main() -> None:
    """Prints a line for each mixture and metric."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluations", type=int, default=300, help="simulated for each line")
    parser.add_argument("--draws", type=int, default=200, help="of each interval; hpo evaluate takes 2000")
    parser.add_argument("--edge", type=float, default=1.5, help="how much easier than chance the windows are")
    parser.add_argument("--metrics", nargs="+", choices=METRICS, default=METRICS, help="of each mixture")
    asked = parser.parse_args()
    for counts in MIXTURES:
        for metric in asked.metrics:
            held, width, none = covered(counts, metric, asked.edge, asked.evaluations, asked.draws)
            print(f"{counts} {metric}: {held:.3f} held the truth, mean width {width:.3f}, {none} without interval")


if __name__ == "__main__":
    main()
