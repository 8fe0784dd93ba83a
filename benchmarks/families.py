"""Prints what each family of models reached in a study, as a Markdown table for docs/results.md.

A family none of whose trials completed has the best of those scores at which its trials were pruned.

.venv/bin/python benchmarks/families.py sqlite:///.hpo/results/hpo.db har-families
"""

import statistics
import sys
from collections import defaultdict

from hpo.render import settings
from hpo.search import FAMILY
from hpo.store import Store
from hpo.trial import Result


def seconds_per_epoch(outcome: Result) -> float:
    """Of one trial, in `fit`; reading data and building the model are not in it."""
    return outcome.seconds.get("fit", 0.0) / outcome.epochs


def _score(value: float, completed: int) -> str:
    if not value:
        return ""
    return f"{value:.4f}" if completed else f"{value:.4f}, pruned"


def main() -> None:
    """A row per family, best first."""
    store = Store(sys.argv[1], read_only=True)
    record = store.study(sys.argv[2])
    families = defaultdict(list)
    for trial in store.trials(record.name):
        if trial.outcome is not None:
            families[trial.params.get(FAMILY, record.definition.model.family[0])].append(trial)
    rows = []
    for family, trials in families.items():
        scores = [(t.value, t) for t in trials if t.state == "complete" and t.value is not None]
        cut = [(t.last_value, t) for t in trials if t.state == "pruned" and t.last_value is not None]
        value, best = max(scores or cut, key=lambda pair: pair[0], default=(None, None))
        pace = [seconds_per_epoch(t.outcome) for t in trials if t.outcome is not None and t.outcome.epochs]
        rows.append((value or 0.0, family, trials, len(scores), best, pace))
    metric = record.definition.train.metrics[0]
    print(f"| family | trials | completed | best {metric} | seconds per epoch | its settings |")
    print("| --- | --: | --: | --: | --: | --- |")
    for value, family, trials, completed, best, pace in sorted(rows, key=lambda row: -row[0]):
        words = ""
        if best is not None and best.outcome is not None:
            words = f"trial {best.number}, {best.outcome.parameters:,} weights: {settings(best.params)}"
        each = f"{statistics.median(pace):.1f} ({min(pace):.1f} to {max(pace):.1f})" if pace else ""
        print(f"| {family} | {len(trials)} | {completed} | {_score(value, completed)} | {each} | {words} |")


if __name__ == "__main__":
    main()
