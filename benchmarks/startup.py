"""Seconds from the start of `hpo --help` to its end: median and spread of 20 runs.

    .venv/bin/python benchmarks/startup.py

Needs a few seconds.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 20


def main() -> None:
    hpo = Path(sys.executable).with_name("hpo")
    seconds = []
    for _ in range(RUNS + 1):
        began = time.perf_counter()
        subprocess.run([hpo, "--help"], check=True, capture_output=True)
        seconds.append(time.perf_counter() - began)
    warm = sorted(seconds[1:])  # the first one reads the disk
    print(f"hpo --help: median {statistics.median(warm):.3f} s, {warm[0]:.3f} to {warm[-1]:.3f} s, n = {RUNS}")


if __name__ == "__main__":
    main()
