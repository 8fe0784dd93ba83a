"""How far one number gets on Earthquakes: for how many hours the earth has been still when a series ends.

    .venv/bin/python benchmarks/earthquakes.py data/Earthquakes

The longest stillness that still says "earthquake" is chosen on the training part, for balanced accuracy; the test part
is looked at once, with that. Prints both parts' scores. Beside them: how many hours had a reading at all.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score


def read(file: Path) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which hours had a reading, (n, timesteps), and whether the earth quaked after them, (n,).

    The archive's series are z-normalised one by one, and most hours have no reading: their value is a series' least.
    """
    table = np.loadtxt(file)
    x = table[:, 1:]
    return x > x.min(axis=1, keepdims=True) + 1e-6, table[:, 0].astype(np.int64)


def main() -> None:
    """A row per part."""
    folder = Path(sys.argv[1])
    parts = {part: read(folder / f"Earthquakes_{part}.tsv") for part in ("TRAIN", "TEST")}
    still = {part: np.argmax(readings[:, ::-1], axis=1) for part, (readings, _) in parts.items()}
    y = parts["TRAIN"][1]
    limit = max(range(513), key=lambda hours: balanced_accuracy_score(y, still["TRAIN"] <= hours))
    print(f'"earthquake" after {limit} still hours at most\n')
    print("| part | series | balanced accuracy | accuracy | AUROC | AUROC of the number of readings |")
    print("| --- | --: | --: | --: | --: | --: |")
    for part, (readings, y) in parts.items():
        said = still[part] <= limit
        scores = (
            balanced_accuracy_score(y, said),
            accuracy_score(y, said),
            roc_auc_score(y, -still[part]),
            roc_auc_score(y, readings.sum(axis=1)),
        )
        print(f"| {part.lower()} | {len(y)} | " + " | ".join(f"{score:.4f}" for score in scores) + " |")


if __name__ == "__main__":
    main()
