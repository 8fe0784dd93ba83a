"""Measures what the database costs a fleet: 64 workers that train nothing, on a PostgreSQL of this script's own.

It asks, in this order: how many trials a second, beside Optuna alone with as many processes, in turns; how many
statements, connections and how much memory that takes on the way to 10,000 trials; what part of a claim is the
database's and what part the sampler's after 100, 1,000 and 10,000 trials; and what a new worker's first claim costs.

The workers are the slots of 8 supervisors, in a process each: the slots of one share its connections and its memory of
trials, as the GPUs of one node do. Takes half an hour to an hour; `--trials 500 --seconds 10` takes two minutes.

    .venv/bin/python benchmarks/scaling.py | tee scaling.log
"""

import argparse
import contextlib
import math
import os
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from load import (
    SPACE,
    at_once,
    bare_ask,
    bare_study,
    counted,
    fill,
    fleet,
    optuna_alone,
    peak,
    work,
)

from hpo import samplers
from hpo.settings import Times
from hpo.store import Claim, Claims, Store
from tests.postgres import Server, binaries


def shares(addresses: dict[int, str], rounds: int) -> None:
    """Claims of one worker on each of some studies, in turns: the sampler's part and all the rest."""
    statements = counted()
    spent = [0.0]
    timed(samplers.get("tpe").make({"lstm": SPACE}, samplers.seeds(study=0, trial=0)), spent)
    with contextlib.ExitStack() as stack:
        of = {}
        for size, address in addresses.items():
            store = stack.enter_context(Store(address))
            of[size] = Claims(store, "s", f"single-{os.getpid()}", Times())
        found: dict[int, list[tuple[float, float, int]]] = {size: [] for size in of}
        for _ in range(rounds):
            for size, claims in of.items():
                spent[0], before, began = 0.0, statements[0], time.perf_counter()
                claim = claims.claim()
                took = time.perf_counter() - began
                found[size].append((took - spent[0], spent[0], statements[0] - before))
                if isinstance(claim, Claim):
                    work(claims, claim)
    say(f"a claim of one worker alone, medians (quartiles) of {rounds - 2} in turns:")
    first: float | None = None
    for size, claims_of in found.items():
        storage, sampler, count = zip(*claims_of[2:], strict=True)
        first = first or statistics.median(storage)
        say(
            f"  {size:6d} trials: storage {spread(storage)} ms = {statistics.median(storage) / first:.2f} of the "
            f"first, sampler {spread(sampler)} ms, {statistics.median(count):.0f} statements"
        )


def timed(sampler: optuna.samplers.BaseSampler, spent: list[float]) -> None:
    """Has the sampler's class add up the seconds that it takes, without the one attribute that it stores."""
    kind = type(sampler)

    def wrap(name: str) -> None:
        inner = getattr(kind, name)

        def outer(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return inner(*arguments, **named)
            finally:
                spent[0] += time.perf_counter() - began

        setattr(kind, name, outer)

    for name in ("infer_relative_search_space", "sample_relative", "sample_independent"):
        wrap(name)


def first_claim(address: str, ours: bool) -> dict[str, float]:
    """Seconds and growth of the peak memory from the opening of the database to the first claim, in a new process."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    statements = counted()
    before, began = peak(), time.perf_counter()
    if ours:
        with Store(address) as store:
            claims = Claims(store, "s", f"first-{os.getpid()}", Times())
            claim = claims.claim()
            took, grown = time.perf_counter() - began, peak() - before
            if isinstance(claim, Claim):
                work(claims, claim)
    else:
        study = bare_study(address)
        trial = bare_ask(study)
        took, grown = time.perf_counter() - began, peak() - before
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
    return {"seconds": took, "megabytes": grown, "statements": statements[0]}


@contextlib.contextmanager
def watched(server: Server, address: str) -> Iterator[dict[str, int]]:
    """Counts the sessions on the server, and tells how many trials have ended, while something runs."""
    most = {"sessions": 0}
    over = threading.Event()

    def look() -> None:
        began, told, last = time.monotonic(), 0, (0.0, 0)
        admin = f"postgresql://hpo@127.0.0.1:{server.port}/postgres"
        sessions = "select count(*) from pg_stat_activity where application_name like 'hpo %'"
        while not over.wait(1.0):
            with psycopg.connect(admin, autocommit=True) as connection:
                row = connection.execute(sessions).fetchone()
                most["sessions"] = max(most["sessions"], row[0] if row else 0)
            with contextlib.suppress(psycopg.Error), psycopg.connect(address, autocommit=True) as connection:
                row = connection.execute("select count(*) from hpo_trials where cause is not null").fetchone()
                if row and row[0] >= told + 1000:
                    now = time.monotonic() - began
                    rate = (row[0] - last[1]) / (now - last[0])
                    say(f"  {row[0]} trials after {now:.0f} s, {rate:.1f} a second since the last line")
                    told, last = row[0], (now, row[0])

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


def spread(values: Any) -> str:
    """Median and quartiles of seconds, as milliseconds."""
    low, middle, high = (1000 * value for value in statistics.quantiles(values, n=4))
    return f"{middle:.0f} ({low:.0f} to {high:.0f})"


def say(line: str) -> None:
    """One line at once: the next comes minutes later."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def summed(name: str, shares_of: list[dict[str, float]]) -> float:
    """Prints the shares of all processes as one line; returns trials per second."""
    total = {key: sum(share[key] for share in shares_of) for key in shares_of[0]}
    longest = max(share["seconds"] for share in shares_of)
    rate = total["trials"] / longest
    say(
        f"  {name}: n = {total['trials']:.0f} in {longest:.0f} s, {rate:.1f} a second, "
        f"{total['statements'] / max(1, total['trials']):.0f} statements a trial, "
        f"{total['memory'] / len(shares_of):.0f} MB a process"
    )
    return rate


def main() -> None:
    """All of it, one question after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=90, help="of each turn against Optuna alone")
    parser.add_argument("--parts", default="rates,claims,long", help="which of the questions, in this order")
    parser.add_argument("--rounds", type=int, default=32, help="single claims on each length of study")
    parser.add_argument("--minutes", type=float, default=math.inf, help="that the way to all trials may take")
    arguments = parser.parse_args()
    found = binaries()
    if found is None:
        sys.exit("needs PostgreSQL's initdb and pg_ctl")
    server = Server(found)
    try:
        measure(server, arguments)
    finally:
        server.remove()


def measure(server: Server, arguments: argparse.Namespace) -> None:
    """See the module."""
    say(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; optuna {optuna.__version__}; fsync off for both")
    for part in arguments.parts.split(","):
        {"rates": rates, "claims": single, "long": long}[part](server, arguments)
        say(f"load {os.getloadavg()[0]:.1f}")


def rates(server: Server, arguments: argparse.Namespace) -> None:
    """Trials a second, ours and Optuna's in turns."""
    workers, processes, seconds = arguments.workers, arguments.processes, arguments.seconds
    say(f"trials a second, {workers} workers in {processes} processes against {processes} processes of Optuna alone:")
    ratios = []
    for turn in range(2):
        ours = fleet(server.database(f"ours{turn}"), 1_000_000, workers, processes, seconds)
        theirs = optuna_alone(server.database(f"bare{turn}"), processes, seconds)
        ratios.append(summed("ours  ", ours) / summed("Optuna", theirs))
    say(f"  ratio {ratios[0]:.2f} and {ratios[1]:.2f}")


def single(server: Server, arguments: argparse.Namespace) -> None:
    """Claims of a worker alone, and first claims, on studies that were filled and not worked on."""
    trials = arguments.trials
    addresses = {size: server.database(f"size{size}") for size in sorted({trials // 100, trials // 10, trials})}
    for size, address in addresses.items():
        fill(address, size)
    at_once(1, alone, addresses, arguments.rounds)
    firsts(addresses[trials], trials)


def long(server: Server, arguments: argparse.Namespace) -> None:
    """All trials, or as many as the minutes allow."""
    workers, trials = arguments.workers, arguments.trials
    say(f"{workers} workers, {trials} trials, at most {arguments.minutes:g} minutes:")
    address = server.database("long")
    with watched(server, address) as most:
        ended = fleet(address, trials, workers, arguments.processes, arguments.minutes * 60)
    summed("ours", ended)
    say(f"  at most {most['sessions']} sessions on the server")


def firsts(address: str, trials: int) -> None:
    """First claims of new processes, ours and Optuna's in turns."""
    say(f"a new worker's first claim on {trials} trials, in turns:")
    of: dict[bool, list[dict[str, float]]] = {True: [], False: []}
    for turn in range(6):
        ours = turn % 2 == 0
        (got,) = at_once(1, first_claim, address, ours)
        of[ours].append(got)
        name = "ours  " if ours else "Optuna"
        say(f"  {name}: {got['seconds']:.1f} s, {got['megabytes']:.0f} MB, {got['statements']:.0f} statements")
    for what in ("seconds", "megabytes"):
        medians = [statistics.median(each[what] for each in of[which]) for which in (True, False)]
        say(f"  {what}: {medians[0] / medians[1]:.2f} of Optuna's (medians of 3)")


def alone(addresses: dict[int, str], rounds: int) -> dict[str, float]:
    """`shares` in a process of its own."""
    shares(addresses, rounds)
    return {}


if __name__ == "__main__":
    main()
