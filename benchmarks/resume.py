"""Kills a worker in the middle of a ConvLSTM trial on UCI HAR, has another one take the trial over, and compares.

Trains the family's published default twice: once without interruption; once until epoch `--kill-after` is over, when
the whole process group gets SIGKILL, and then by a new worker to its end. Prints which epochs were trained twice, and
whether the weights are the same to the bit. Takes about three minutes on two cores, one of them the wait for the lease
of the dead worker.

    .venv/bin/python benchmarks/resume.py --data "data/UCI HAR Dataset"
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

STUDY = """
name = "resume"
[data]
source = "uci_har"
path = {data}
[split]
by = "group"
[model]
family = "conv_lstm"
[search]
pruner = "none"
[train]
max_epochs = {epochs}
[budget]
trials = 1
"""


def main() -> None:
    """Both trainings, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data/UCI HAR Dataset"))
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--kill-after", type=int, default=3, help="epochs")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "resume.toml"
        data = json.dumps(str(arguments.data.resolve()))
        study.write_text(STUDY.format(data=data, epochs=arguments.epochs))
        cache = Path(folder) / "cache"
        whole = Place(Path(folder) / "whole", cache)
        whole.start("launch", str(study), "--workers", "1").wait()
        killed = Place(Path(folder) / "killed", cache)
        worker = killed.start("launch", str(study), "--workers", "1")
        while (killed.trial().get("last_step") or 0) + 1 < arguments.kill_after:
            time.sleep(0.2)
        time.sleep(1)  # well into the next epoch
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
        began = time.monotonic()
        killed.start("worker", "resume", "--slots", "1").wait()
        print(json.dumps(verdict(whole, killed, time.monotonic() - began), indent=2))


class Place:
    """A study in a folder of its own."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self.options = ["--storage", f"sqlite:///{folder / 'hpo.db'}"]
        self.files = ["--artifacts", str(folder / "artifacts"), "--cache", str(cache)]
        folder.mkdir()

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "hpo.cli", *words, *self.options, *self.files]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def trial(self) -> dict[str, Any]:
        command = [sys.executable, "-m", "hpo.cli", "show", "resume", "0", "--json", *self.options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
        return found

    def log(self) -> str:
        return (self.folder / "artifacts" / "resume" / "0" / "log.txt").read_text()


def verdict(whole: Place, killed: Place, seconds: float) -> dict[str, Any]:
    """What was trained twice, and whether it came out the same."""
    first, second = killed.log().split("--- trial 0, attempt 2")
    going_on = re.search(r"going on after step (\d+)", second)
    finished = [int(epoch) for epoch in re.findall(r"epoch (\d+)  ", first)]
    resumed = int(going_on[1]) + 1 if going_on else 0
    one, other = (place.trial()["outcome"] for place in (whole, killed))
    return {
        "epochs": one["epochs"],
        "epochs over when killed": max(finished),
        "epochs that attempt 2 did not train": resumed,
        "whole epochs trained twice": max(finished) - resumed,
        "seconds from the kill to the end, lease included": round(seconds, 1),
        "seconds per epoch": round(one["seconds"]["fit"] / one["epochs"], 2),
        "accuracy": [one["value"], other["value"]],
        "weights SHA-256": [one["weights_sha256"], other["weights_sha256"]],
        "equal weights and curves": all(one[key] == other[key] for key in ("weights_sha256", "curve_sha256")),
    }


if __name__ == "__main__":
    main()
