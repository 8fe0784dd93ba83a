"""Prints the trials of studies as Markdown tables, for docs/results.md.

.venv/bin/python benchmarks/summary.py sqlite:///.hpo/results/hpo.db har-conv-lstm notebook-lstm
"""

import statistics
import sys

from hpo.render import duration, settings
from hpo.store import Store


def main() -> None:
    """A table per study."""
    store = Store(sys.argv[1])
    for name in sys.argv[2:] or store.names():
        status = store.status(name)
        trials = store.trials(name)
        used = status.budget
        print(f"\n## {name}\n")
        print(f"{len(trials)} trials, {used['hours'].used * 60:.1f} minutes with a live lease, state {status.state}.\n")
        print(f"| trial | end | {status.metric} | epochs | best | s/epoch | seconds | weights | attempt | settings |")
        print("| --: | --- | --: | --: | --: | --: | --: | --: | --: | --- |")
        per_epoch, scores = [], []
        for trial in trials:
            outcome = trial.outcome
            if outcome is None:
                print(f"| {trial.number} | {trial.state} | | | | | | | {trial.attempt} | |")
                continue
            each = outcome.seconds.get("fit", 0.0) / outcome.epochs if outcome.epochs else 0.0
            per_epoch.append(each)
            if trial.state == "complete" and trial.value is not None:
                scores.append(trial.value)
            cells = (
                trial.number,
                outcome.cause.value,
                "" if trial.value is None else f"{trial.value:.4f}",
                outcome.epochs,
                " ".join(map(str, outcome.best_epochs)),
                f"{each:.2f}",
                duration(outcome.seconds.get("total", 0.0)),
                "" if outcome.parameters is None else f"{outcome.parameters:,}",
                trial.attempt,
                settings(trial.params),
            )
            print("| " + " | ".join(map(str, cells)) + " |")
        if len(scores) > 1:
            spread = statistics.stdev(scores)
            print(
                f"\ncompleted: mean {statistics.mean(scores):.4f}, standard deviation {spread:.4f}, n = {len(scores)}"
            )
        print(f"median seconds per epoch: {statistics.median(per_epoch):.2f}")


if __name__ == "__main__":
    main()
