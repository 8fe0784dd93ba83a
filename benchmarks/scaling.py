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
import multiprocessing
import os
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import optuna
import psycopg
from sqlalchemy import Engine, event

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hpo import samplers
from hpo.search import suggest
from hpo.settings import Times
from hpo.space import Float, Int, Space, choice
from hpo.store import Claim, Claims, Idle, Over, Store
from hpo.trial import Cause, Epoch, Result
from tests.postgres import Server, binaries
from tests.support import definition, record

SPACE: Space = {
    "learning_rate": Float(low=1e-4, high=1e-1, log=True, default=1e-3),
    "dropout": Float(low=0.0, high=0.6, default=0.2),
    "weight_decay": Float(low=1e-6, high=1e-2, log=True, default=1e-4),
    "units": Int(low=8, high=256, log=True, default=32),
    "filters": Int(low=8, high=128, log=True, default=32),
    "depth": Int(low=1, high=5, default=2),
    "batch_size": choice(16, 32, 64, 128, default=32),
    "pool": choice("max", "mean", default="max"),
}
REPORTS = 3
SPAWN = multiprocessing.get_context("spawn")
_READY: list[Any] = []  # in a process of a pool: the barrier at which all of them wait for each other


def value_of(params: dict[str, Any]) -> float:
    """A score that has to do with the parameters, so that the sampler has something to learn."""
    return (
        1.0
        - abs(float(params["dropout"]) - 0.3)
        - abs(float(params["depth"]) - 3) / 10
        - 10 * abs(float(params["learning_rate"]) - 0.01)
    )


# --- ours ------------------------------------------------------------------------------------------------------------


def supervise(address: str, slots: int, seconds: float) -> dict[str, float]:
    """One supervisor's share: its slots claim, report and finish until the budget has ended or time is up."""
    statements = counted()
    with Store(address) as store:
        began = started()
        claims = Claims(store, "s", f"{os.getpid()}", Times())
        held: dict[int, Claim] = {}
        done = [0] * slots
        over = threading.Event()

        def slot(index: int) -> None:
            while not over.is_set() and time.monotonic() < began + seconds:
                found = claims.claim()
                if isinstance(found, Over):
                    return
                if isinstance(found, Idle):
                    over.wait(0.2)
                    continue
                held[index] = found
                work(claims, found)
                del held[index]
                done[index] += 1

        def renew() -> None:
            while not over.wait(Times().renew):
                claims.renew(list(held.values()))

        threads = [threading.Thread(target=slot, args=(index,)) for index in range(slots)]
        renewal = threading.Thread(target=renew)
        for thread in (*threads, renewal):
            thread.start()
        for thread in threads:
            thread.join()
        over.set()
        renewal.join()
    return share(sum(done), statements[0], began)


def work(claims: Claims, claim: Claim) -> None:
    """A trial without its training."""
    value = value_of({**claim.model, **claim.training})
    for epoch in range(REPORTS):
        claims.report(claim, Epoch(fold=0, epoch=epoch, step=epoch, value=value, seconds=0.0, logs={}))
    claims.finish(claim, Result(cause=Cause.COMPLETED, value=value, seconds={"fit": 0.0, "total": 0.0}))


def fleet(address: str, trials: int, workers: int, processes: int, seconds: float) -> list[dict[str, float]]:
    """Makes the study, and works on it with all supervisors at once."""
    with Store(address, create=True) as store:
        study = definition(budget={"trials": trials}, search={"sampler": "tpe", "pruner": "median"})
        store.create(study, spaces={"lstm": SPACE}, data=record(), versions={})
    return at_once(processes, supervise, address, workers // processes, seconds)


# --- Optuna alone ----------------------------------------------------------------------------------------------------


def bare(address: str, seconds: float) -> dict[str, float]:
    """One process that does with Optuna's own means what a slot does."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    statements = counted()
    study = bare_study(address)
    trials, began = 0, started()
    while time.monotonic() < began + seconds:
        trial = bare_ask(study)
        for epoch in range(REPORTS):
            trial.report(value_of(trial.params), epoch)
            trial.should_prune()
        study.tell(trial, value_of(trial.params))
        trials += 1
    return share(trials, statements[0], began)


def bare_study(address: str) -> optuna.Study:
    """Optuna's object, with its default sampler and pruner."""
    storage = optuna.storages.RDBStorage(address.replace("postgresql:", "postgresql+psycopg:"))
    return optuna.load_study(study_name="s", storage=storage)


def bare_ask(study: optuna.Study) -> optuna.Trial:
    """A trial with all of its parameters."""
    trial = study.ask()
    suggest(trial, {"lstm": SPACE})
    return trial


def optuna_alone(address: str, processes: int, seconds: float) -> list[dict[str, float]]:
    """Makes the study, and works on it with all processes at once."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(address.replace("postgresql:", "postgresql+psycopg:"))
    optuna.create_study(study_name="s", storage=storage, direction="maximize")
    storage.engine.dispose()
    return at_once(processes, bare, address, seconds)


# --- single claims ---------------------------------------------------------------------------------------------------


def shares(addresses: dict[int, str], rounds: int) -> None:
    """Claims of one worker on each of some studies, in turns: the sampler's part and all the rest."""
    statements = counted()
    spent = [0.0]
    timed(samplers.get("tpe").make({"lstm": SPACE}, samplers.seeds(study=0, trial=0)), spent)
    with contextlib.ExitStack() as stack:
        of = {}
        for size, address in addresses.items():
            store = stack.enter_context(Store(address))
            raise_budget(store)
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


def raise_budget(store: Store) -> None:
    """Lets a study that has ended go on."""
    found = store.study("s")
    wider = definition(budget={"trials": 1_000_000}, search={"sampler": "tpe", "pruner": "median"})
    store.resume(found, wider, found.data, found.spaces)


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


# --- means -----------------------------------------------------------------------------------------------------------


def at_once(processes: int, job: Callable[..., dict[str, float]], *arguments: Any) -> list[dict[str, float]]:
    """The same in so many new processes; what each returned."""
    barrier = SPAWN.Barrier(processes)
    with ProcessPoolExecutor(processes, mp_context=SPAWN, initializer=meet_at, initargs=(barrier,)) as pool:
        return [each.result() for each in [pool.submit(job, *arguments) for _ in range(processes)]]


def meet_at(barrier: Any) -> None:
    """Keeps the barrier of a pool, in each of its processes."""
    _READY.append(barrier)


def started() -> float:
    """The moment at which all processes of a pool are ready, by the clock that they share."""
    _READY[0].wait()
    return time.monotonic()


def share(trials: int, statements: int, began: float) -> dict[str, float]:
    """What one process did."""
    return {"trials": trials, "statements": statements, "memory": resident(), "seconds": time.monotonic() - began}


def counted() -> list[int]:
    """A counter of the statements that this process sends from now on (its BEGIN and COMMIT are not among them)."""
    count = [0]
    event.listen(Engine, "before_cursor_execute", lambda *_: count.__setitem__(0, count[0] + 1))
    return count


def resident() -> float:
    """Megabytes that this process has in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def peak() -> float:
    """Megabytes that it had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


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
    workers, processes, seconds, trials = (
        arguments.workers,
        arguments.processes,
        arguments.seconds,
        arguments.trials,
    )
    say(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; optuna {optuna.__version__}; fsync off for both")
    say(f"trials a second, {workers} workers in {processes} processes against {processes} processes of Optuna alone:")
    ratios = []
    for turn in range(2):
        ours = fleet(server.database(f"ours{turn}"), 1_000_000, workers, processes, seconds)
        theirs = optuna_alone(server.database(f"bare{turn}"), processes, seconds)
        ratios.append(summed("ours  ", ours) / summed("Optuna", theirs))
    say(f"  ratio {ratios[0]:.2f} and {ratios[1]:.2f}; load {os.getloadavg()[0]:.1f}")
    sizes = sorted({min(100, trials), min(1000, trials), trials})
    addresses = {size: server.database(f"size{size}") for size in sizes}
    for size, address in addresses.items():
        say(f"{workers} workers, {size} trials:")
        with watched(server, address) as most:
            ended = fleet(address, size, workers, processes, math.inf)
        summed("ours", ended)
        say(f"  at most {most['sessions']} sessions on the server")
    at_once(1, alone, addresses, 32)
    say(f"a new worker's first claim on {trials} trials, in turns:")
    of: dict[bool, list[dict[str, float]]] = {True: [], False: []}
    for turn in range(6):
        ours_now = turn % 2 == 0
        of[ours_now] += at_once(1, first_claim, addresses[trials], ours_now)
        got = of[ours_now][-1]
        name = "ours  " if ours_now else "Optuna"
        say(f"  {name}: {got['seconds']:.1f} s, {got['megabytes']:.0f} MB, {got['statements']:.0f} statements")
    for what in ("seconds", "megabytes"):
        medians = [statistics.median(share[what] for share in of[which]) for which in (True, False)]
        say(f"  {what}: {medians[0] / medians[1]:.2f} of Optuna's (medians of 3)")
    say(f"load {os.getloadavg()[0]:.1f}")


def alone(addresses: dict[int, str], rounds: int) -> dict[str, float]:
    """`shares` in a process of its own."""
    shares(addresses, rounds)
    return {}


if __name__ == "__main__":
    main()
