"""Load for a database: workers of ours and Optuna alone, none of which train anything; and studies filled at once.

Used by `scaling.py`.
"""

import json
import multiprocessing
import os
import resource
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, distribution_to_json
from sqlalchemy import Engine, event, text

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hpo.search import distributions, suggest
from hpo.settings import Times
from hpo.space import Float, Int, Space, choice
from hpo.store import Claim, Claims, Idle, Over, Store
from hpo.trial import Cause, Epoch, Result
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


def made(address: str, trials: int) -> None:
    """Makes the study."""
    with Store(address, create=True) as store:
        study = definition(budget={"trials": trials}, search={"sampler": "tpe", "pruner": "median"})
        store.create(study, spaces={"lstm": SPACE}, data=record(), versions={})


def fleet(address: str, trials: int, workers: int, processes: int, seconds: float) -> list[dict[str, float]]:
    """Makes the study, and works on it with all supervisors at once."""
    made(address, trials)
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


# --- trials that nobody ran ------------------------------------------------------------------------------------------

_INTO = {
    "trials": "(trial_id, number, study_id, state, datetime_start, datetime_complete) "
    "values (:id, :number, :study, 'COMPLETE', now(), now())",
    "trial_params": "(trial_id, param_name, param_value, distribution_json) values (:id, :name, :value, :range)",
    "trial_values": "(trial_id, objective, value, value_type) values (:id, 0, :value, 'FINITE')",
    "trial_intermediate_values": "(trial_id, step, intermediate_value, intermediate_value_type) "
    "values (:id, :step, :value, 'FINITE')",
    "trial_user_attributes": "(trial_id, key, value_json) values (:id, :key, :value)",
    "trial_system_attributes": "(trial_id, key, value_json) values (:id, :key, :value)",
    "hpo_trials": "(study_id, number, seed, attempt, losses, worker, leased_at, outcome, cause, finished_at, "
    "artifacts) values (:study, :number, :number, 1, 0, 'filled', 0, cast(:outcome as json), 'completed', 0, :folder)",
}


def fill(address: str, trials: int) -> None:
    """Makes a study with so many ended trials: the rows are those that workers leave, but nobody went their way."""
    made(address, 1_000_000)
    rows: dict[str, list[dict[str, Any]]] = {table: [] for table in _INTO}
    rng = np.random.default_rng(0)
    with Store(address) as store:
        study = store.study("s").study_id
        # the default is there already, and waits
        for number in range(1, trials + 1):
            row = {"id": number + 1, "number": number, "study": study}
            params = {}
            for name, domain in distributions({"lstm": SPACE}).items():
                if isinstance(domain, CategoricalDistribution):
                    inner = float(rng.integers(len(domain.choices)))
                else:
                    inner = domain.to_internal_repr(rng.uniform(domain.low, domain.high))  # type: ignore[attr-defined] # a range of numbers
                params[name] = domain.to_external_repr(inner)
                rows["trial_params"].append(row | {"name": name, "value": inner, "range": distribution_to_json(domain)})
            value = value_of(params)
            rows["trials"].append(row)
            rows["trial_values"].append(row | {"value": value})
            rows["trial_intermediate_values"] += [row | {"step": step, "value": value} for step in range(REPORTS)]
            rows["trial_user_attributes"].append(row | {"key": "cause", "value": '"completed"'})
            rows["trial_user_attributes"].append(row | {"key": "seconds", "value": "0.0"})
            noted = json.dumps(json.dumps(params))
            rows["trial_system_attributes"].append(row | {"key": "tpe:relative_params:0", "value": noted})
            outcome = Result(cause=Cause.COMPLETED, value=value, seconds={"fit": 0.0, "total": 0.0})
            rows["hpo_trials"].append(row | {"outcome": outcome.model_dump_json(), "folder": f"s/{number}"})
        with store.rdb.engine.begin() as connection:
            for table, values in rows.items():
                connection.execute(text(f"insert into {table} {_INTO[table]}"), values)
            connection.execute(text("select setval('trials_trial_id_seq', :last)"), {"last": trials + 1})
        with store.rdb.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("analyze"))


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
    """Megabytes that it had at most; unlike getrusage this leaves out what the process was before it was this one."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6
