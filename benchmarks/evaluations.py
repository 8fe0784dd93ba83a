"""Prints what evaluations found as one Markdown table: a row for each file that `evaluate.sh` left.

    .venv/bin/python benchmarks/evaluations.py FOLDER/*.evaluation.json

Scores are of the study's metric, on the test part; seconds are those with a live lease: search, evaluation, refits.
"""

import json
import sys
from pathlib import Path
from typing import Any

BASELINES = ("majority class", "1-nearest neighbour, Euclidean", "1-nearest neighbour, DTW", "MiniRocket")


def row(found: dict[str, Any]) -> list[str]:
    """The cells of an evaluation."""
    test, winner, seconds = found["test"], found["configurations"][0], found["seconds"]
    of = {each["name"]: each.get(found["metric"]) for each in found["baselines"]}
    interval, validation = test["interval"], winner["validation"]
    return [
        found["study"],
        found["metric"],
        f"trial {winner['trial']}, {winner['model']}",
        f"{validation['mean']:.4f} +- {validation['sd']:.4f}",
        f"{test['mean']:.4f} +- {test['sd']:.4f} (n = {test['n']})",
        "" if interval["low"] is None else f"{interval['low']:.4f} to {interval['high']:.4f}",
        str(len(test["openings"])),
        *("" if of.get(name) is None else f"{of[name]:.4f}" for name in BASELINES),
        f"{found['against'][0]['verdict']} ({found['against'][0]['name']})",
        " + ".join(f"{seconds[part]:.0f}" for part in ("search", "evaluate", "refit")),
    ]


def main() -> None:
    """The table."""
    heads = ["study", "metric", "winner", "validation", "test", "95 % interval", "openings", *BASELINES]
    print("| " + " | ".join([*heads, "against the best baseline", "seconds"]) + " |")
    print("| --- " * (len(heads) + 2) + "|")
    for file in map(Path, sys.argv[1:]):
        print("| " + " | ".join(row(json.loads(file.read_text()))) + " |")


if __name__ == "__main__":
    main()
