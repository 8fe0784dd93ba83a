"""Measures the fork server with real trainings: start of a child, memory over many trials.

    .venv/bin/python benchmarks/children.py --trials 50

Trains a small LSTM for one epoch on BasicMotions, one trial after the other, in children of one fork server. Prints
JSON: seconds from the fork to the end of the child's first TensorFlow operation (median, largest), and the resident
size of this process and the fork server after the fifth and after the last trial.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from hpo import data
from hpo.child import Closed, ForkServer
from hpo.data import bundled
from hpo.data.split import make_split
from hpo.training import TRAINING
from hpo.trial import Cause, FoldParts, Result, Started, TrainSettings, TrialSpec

WARM = 5


def resident(pid: int) -> int:
    """Resident size of a process in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def spec(number: int, parts: tuple[FoldParts, ...], folder: Path) -> TrialSpec:
    """A small trial."""
    training = {name: domain.default for name, domain in TRAINING.items()}
    return TrialSpec(
        study="children",
        number=number,
        attempt=1,
        seed=number,
        family="lstm",
        model={"units": 8, "dense_units": 8},
        training={**training, "batch_size": 16},
        settings=TrainSettings(
            metric="accuracy",
            max_epochs=1,
            patience=1,
            optimizer="adam",
            scaling="channel",
            threads=1,
            max_parameters=None,
        ),
        folds=parts,
        classes=("Badminton", "Running", "Standing", "Walking"),
        artifacts=str(folder / str(number)),
    )


def main() -> None:
    """Runs the trials and prints what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=50)
    trials = parser.parse_args().trials
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        loaded = data.load(bundled.Options(name="BasicMotions"), folder / "cache")
        split = make_split(
            loaded.train.y, None, by="stratified", folds=1, validation=0.2, stopping=0.0, seed=0, data_sha256=""
        )
        parts = data.prepare(loaded, split, folder / "cache")
        server = ForkServer(log=folder / "forkserver.log")
        server.warm_up()
        starts, memory, causes = [], [], []
        for number in range(trials):
            child = server.start(spec(number, parts, folder), folder / "log.txt")
            try:
                while True:
                    message = child.receive(60)
                    if isinstance(message, Started):
                        starts.append(message.seconds)
                    if isinstance(message, Result):
                        causes.append(message.cause)
            except Closed:
                child.wait()
            memory.append((resident(os.getpid()), resident(server.pid or 0)))
        server.close()
    after_warm, last = sum(memory[WARM - 1]), sum(memory[-1])
    json.dump(
        {
            "trials": trials,
            "completed": causes.count(Cause.COMPLETED),
            "first_operation_seconds": {"median": statistics.median(starts), "largest": max(starts)},
            "resident_kib": {
                f"after {WARM}": memory[WARM - 1],
                "after all": memory[-1],
                "growth": last / after_warm - 1,
            },
        },
        sys.stdout,
        indent=2,
    )
    print()


if __name__ == "__main__":
    main()
