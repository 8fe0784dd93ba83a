"""Looks for lost results in a long storm: kills and database restarts by the hundred, each at a random moment.

What the fault suite does in CI (tests/faults), ten times as long: 8 supervisors on a PostgreSQL of this script's own,
with children that are processes but train nothing. The database itself writes down what happens to its rows, and the
verdict comes from that and from the children's diary. Takes 25 minutes, most of them asleep. Exit code 1 if
anything was lost.

    make soak
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.faults.storm import Storm, rage
from tests.postgres import Server, binaries


def main() -> None:
    """One storm, and its verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--stops", type=int, default=20)
    parser.add_argument("--outages", type=int, default=30)
    parser.add_argument("--trials", type=int, default=4200, help="so many that the storm is over before they are")
    parser.add_argument(
        "--pause", type=float, default=2.0, help="seconds between two faults: room for leases that end in peace"
    )
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    arguments = parser.parse_args()
    found = binaries()
    if found is None:
        sys.exit("needs PostgreSQL's initdb and pg_ctl")
    storm = Storm(
        trials=arguments.trials,
        kills=arguments.kills,
        stops=arguments.stops,
        outages=arguments.outages,
        long_seconds=20.0,
        pause=arguments.pause,
        seed=arguments.seed,
    )
    say(f"seed {arguments.seed}, load {os.getloadavg()[0]:.1f}")
    server = Server(found)
    try:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["FAKE"] = json.dumps({"epochs": 4, "pause": 0.5})
            os.environ["FAKE_DIARY"] = str(Path(folder) / "diary")
            verdict = rage(server, Path(folder), storm, say)
    finally:
        server.remove()
    for line in verdict.lines(storm):
        say(line)
    for line in (*verdict.deserted, *verdict.findings.strange):
        say(line)
    say(f"ended as {verdict.counts}, load {os.getloadavg()[0]:.1f}")
    if not verdict.findings.clean or verdict.deserted or verdict.counts["complete"] != storm.trials:
        sys.exit(1)


def say(line: str) -> None:
    """One line at once: the next may come minutes later."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
