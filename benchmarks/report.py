"""Seconds and bytes of `hpo report` on a long study: median and spread of 5 runs, with plotly and as pictures.

Seconds of the clock, and of the processor: on a busy machine only the latter compare.

    .venv/bin/python -m benchmarks.report --trials 5000

The study is made up (tests/report/made.py): two families, 12 reported epochs for each completed trial, curves of all of
them in files, and an evaluation. Each run is a process of its own, as for a person. Needs about two minutes.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from hpo.store import Store
from tests.report.made import evaluate, fill, study

RUNS = 5


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=5000)
    trials = parser.parse_args().trials
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        address = f"sqlite:///{folder / 'hpo.db'}"
        with Store(address, create=True) as store:
            record = study(store)
            fill(store, record, folder, trials)
            evaluate(store, record)
        print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; Python", end=" ")
        print(f"{platform.python_version()}, optuna {version('optuna')}, plotly {version('plotly')}")
        for options in ([], ["--static"]):
            measure(trials, [*options, "--storage", address, "--artifacts", str(folder), "-o", str(folder / "r.html")])


def measure(trials: int, options: list[str]) -> None:
    hpo = Path(sys.executable).with_name("hpo")
    seconds, worked, said = [], [], {}
    for _ in range(RUNS):
        began, before = time.perf_counter(), processor()
        done = subprocess.run([hpo, "report", "s", "--json", *options], check=True, capture_output=True)
        seconds.append(time.perf_counter() - began)
        worked.append(processor() - before)
        said = json.loads(done.stdout)
    kind = "interactive" if said["interactive"] else "pictures"
    print(
        f"{trials} trials, {kind}: {spread(seconds)}, of the processor {spread(worked)}, n = {RUNS}; "
        f"{said['bytes'] / 1e6:.2f} MB, {said['figures']} figures"
    )


def processor() -> float:
    """Seconds that processes which ended have kept a core busy."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def spread(values: list[float]) -> str:
    return f"median {statistics.median(values):.2f} s, {min(values):.2f} to {max(values):.2f} s"


if __name__ == "__main__":
    main()
