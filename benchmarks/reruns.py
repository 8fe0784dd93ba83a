"""Trains random completed trials of a study again, and prints whether their weights came back, as a Markdown table.

    .venv/bin/python benchmarks/reruns.py har-families --trials 5 --seed 0

Storage and cache are those of HPO_STORAGE and HPO_CACHE. Each takes as long as the trial did. Ends with 1 if any of
them came back with other weights.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from hpo.render import settings
from hpo.store import Store

HPO = Path(sys.executable).with_name("hpo")


def main() -> None:
    """A row per trial."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study")
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0, help="of the choice")
    asked = parser.parse_args()
    with Store(os.environ.get("HPO_STORAGE", "sqlite:///.hpo/hpo.db"), read_only=True) as store:
        completed = [t for t in store.trials(asked.study) if t.state == "complete" and t.same_as is None]
    chosen = sorted(random.Random(asked.seed).sample(completed, asked.trials), key=lambda t: t.number)
    print(f"{asked.trials} of the {len(completed)} completed trials of {asked.study}, drawn with seed {asked.seed}\n")
    print("| trial | setting | score then | now | weights then | now | verdict | seconds |")
    print("| --: | --- | --: | --: | --- | --- | --- | --: |")
    exact = 0
    for trial in chosen:
        began = time.monotonic()
        command = [HPO, "rerun", asked.study, str(trial.number), "--json"]
        found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=False).stdout)
        then, now = found["then"], found["now"]
        same = then["weights_sha256"] == now["weights_sha256"]
        exact += same
        cells = (
            trial.number,
            settings(trial.params).partition(":")[0],
            f"{then['value']:.6f}",
            f"{now['value']:.6f}",
            then["weights_sha256"][:12],
            now["weights_sha256"][:12],
            found["verdict"],
            f"{time.monotonic() - began:.0f}",
        )
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    print(f"\n{exact} of {asked.trials} with the same SHA-256 of the weights")
    sys.exit(exact != asked.trials)


if __name__ == "__main__":
    main()
