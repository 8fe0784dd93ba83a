"""How long a browser waits for `hpo dashboard`, and for Optuna Dashboard's own command, on one study of 5,000 trials.

.venv/bin/python benchmarks/dashboard.py [TRIALS [ROUNDS]]

Makes the study in a folder that is removed again (minutes), starts both servers on its SQLite file, and asks in turns
as the front-end asks: the list of studies, and again, as a second page asks a moment later; the study from its first
trial on, as somebody opens it; and what is new, as an open page asks every ten seconds. Before each question but the
second both have a pause that is longer than Optuna Dashboard's own memory of ten seconds. The first round warms up and
does not count. Both servers may keep the connection, as a browser lets them. Takes ten minutes with 9 rounds.
"""

import http.client
import json
import os
import platform
import random
import re
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from hpo.search import ending
from hpo.store import DataRecord, Store, tables
from hpo.study import from_json
from hpo.trial import Cause, Result

PAUSE = 10.5  # seconds
EPOCHS = 15
DRAWN = 250  # different trials
# tables of trials -> the column that counts its rows by itself
COPIED = {
    "trials": "trial_id",
    "trial_values": "trial_value_id",
    "trial_params": "param_id",
    "trial_user_attributes": "trial_user_attribute_id",
    "trial_intermediate_values": "trial_intermediate_value_id",
    "hpo_trials": "",
}
DISTRIBUTIONS = {
    "units": IntDistribution(8, 128, log=True),
    "layers": IntDistribution(1, 3),
    "filters": IntDistribution(16, 128, log=True),
    "kernel_size": CategoricalDistribution((3, 5, 7)),
    "dropout": FloatDistribution(0.0, 0.6),
    "learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
    "weight_decay": FloatDistribution(1e-6, 1e-2, log=True),
    "batch_size": CategoricalDistribution((16, 32, 64)),
}


def make(folder: Path, trials: int) -> str:
    """A study as hpo leaves it: eight parameters, 15 epochs, an outcome, and the files of a completed trial each."""
    url = f"sqlite:///{folder / 'hpo.db'}"
    definition = from_json(
        json.dumps(
            {
                "name": "large",
                "data": {"source": "bundled", "name": "ItalyPowerDemand"},
                "split": {"by": "stratified"},
                "model": {"family": "lstm"},
                "budget": {"trials": trials},
            }
        )
    )
    data = DataRecord(name="made up", sha256="d" * 64, split_sha256="e" * 64, shape=(24, 1), n_train=67, classes=("a",))
    draw, began = random.Random(0), datetime(2026, 1, 1)  # noqa: DTZ001 - Optuna's times have no zone
    rows = []
    with Store(url, create=True) as store:
        record, _ = store.create(definition, spaces={"lstm": {}}, data=data, versions={})
        study = store.optuna_study(record)
        for number in range(min(trials, DRAWN)):
            value = draw.uniform(0.5, 1.0)
            result = Result(
                cause=Cause.COMPLETED, value=value, metrics={"accuracy": value, "loss": 1 - value}, parameters=20_000,
                epochs=EPOCHS, best_epochs=(EPOCHS,), seconds={"fit": 5.0, "total": 6.0}, peak_memory=5 * 2**28,
            )  # fmt: skip
            state, values = ending(result, definition.train.metrics)
            start = began + timedelta(seconds=10 * number)
            study.add_trial(
                optuna.trial.create_trial(
                    state=state,
                    values=values,
                    params={name: _drawn(draw, domain) for name, domain in DISTRIBUTIONS.items()},
                    distributions=dict(DISTRIBUTIONS),
                    user_attrs={"cause": "completed", "parameters": 20_000, "seconds": 6.0},
                    intermediate_values={step: draw.random() for step in range(EPOCHS)},
                )
            )
            rows.append(
                {
                    "study_id": record.study_id,
                    "number": number,
                    "seed": number,
                    "attempt": 1,
                    "worker": "w",
                    "leased_at": start.timestamp(),
                    "outcome": json.loads(result.model_dump_json()),
                    "cause": "completed",
                    "finished_at": start.timestamp() + 6,
                    "artifacts": f"large/{number}",
                }
            )
        with store.rdb.engine.begin() as connection:
            connection.execute(tables.trials.insert(), rows)
    multiply(folder / "hpo.db", trials)
    for number in range(trials):
        place = folder / "artifacts" / "large" / str(number)
        place.mkdir(parents=True)
        for name in ("curves.json", "report.json", "log.txt"):
            (place / name).write_text("{}")
    return url


def multiply(file: Path, trials: int) -> None:
    """Copies the trials that were drawn until there are enough: Optuna takes 20 ms and more to add one."""
    with closing(sqlite3.connect(file)) as connection, connection:
        for table, key in COPIED.items():
            columns = [row[1] for row in connection.execute(f"pragma table_info({table})")]
            names = ", ".join(name for name in columns if name != key)
            moved = {"number", "trial_id"} - {key}
            values = ", ".join(f"{name} + :by" if name in moved else name for name in columns if name != key)
            below = "number" if "number" in columns else "trial_id - 1"
            for by in range(DRAWN, trials, DRAWN):
                copy = f"insert into {table} ({names}) select {values} from {table} where {below} < :n"  # noqa: S608 - ours
                connection.execute(copy, {"by": by, "n": min(DRAWN, trials - by)})


def _drawn(draw: random.Random, domain: object) -> int | float:
    match domain:
        case FloatDistribution():
            return draw.uniform(domain.low, domain.high)
        case IntDistribution():
            return draw.randint(domain.low, domain.high)
        case CategoricalDistribution():
            return draw.choice([choice for choice in domain.choices if isinstance(choice, int)])
    raise TypeError(domain)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Browser:
    """Asks a server at a port of this machine, and keeps the connection for the next question where the server does."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)

    def asked(self, path: str) -> tuple[float, int]:
        """Seconds until all of an answer is there, and its bytes."""
        began = time.perf_counter()
        try:
            return self._ask(path, began)
        except ConnectionError:  # it had closed what was kept
            return self._ask(path, began)

    def _ask(self, path: str, began: float) -> tuple[float, int]:
        try:
            self._connection.request("GET", path)
            answer = self._connection.getresponse()
            size = len(answer.read())
        except OSError:
            self._connection.close()
            raise
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status}")
        return time.perf_counter() - began, size


def main() -> None:
    trials, rounds = (
        (int(arg) for arg in (*sys.argv[1:], "5000", "9")[:2]) if len(sys.argv) < 3 else map(int, sys.argv[1:])
    )
    folder = Path(tempfile.mkdtemp(prefix="hpo-dashboard-"))
    servers = []
    try:
        began = time.perf_counter()
        url = make(folder, trials)
        print(f"{trials} trials made in {time.perf_counter() - began:.0f} s", flush=True)
        ports = {"hpo dashboard": free_port(), "optuna-dashboard": free_port()}
        ours = [
            sys.executable,
            "-m",
            "hpo.cli",
            "dashboard",
            "--storage",
            url,
            "--artifacts",
            str(folder / "artifacts"),
        ]
        bare = [sys.executable, "-m", "optuna_dashboard._cli", url]
        for command, port in zip((ours, bare), ports.values(), strict=True):
            servers.append(
                subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
        browsers = {server: Browser(port) for server, port in ports.items()}
        for browser in browsers.values():
            _wait(browser)
        libraries = ", ".join(f"{name} {version(name)}" for name in ("optuna", "optuna-dashboard", "gunicorn"))
        python = f"Python {platform.python_version()}"
        print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {python}, {libraries}")
        measure(browsers, trials, rounds)
    finally:
        for server in servers:
            server.terminate()
            server.wait()
        shutil.rmtree(folder)


def _wait(browser: Browser) -> None:
    while True:
        try:
            browser.asked("/api/studies")
        except (OSError, RuntimeError):
            time.sleep(0.2)
        else:
            return


def measure(browsers: dict[str, Browser], trials: int, rounds: int) -> None:
    """Asks in turns, and prints a line for each question and server."""
    questions = {
        "list of studies": "/api/studies",
        "list, again": "/api/studies",
        "open the study": "/api/studies/1?after=0",
        "what is new": f"/api/studies/1?after={trials}",
    }
    seen: dict[tuple[str, str], list[float]] = {(q, server): [] for q in questions for server in browsers}
    sizes = {}
    for number in range(rounds + 1):
        for question, path in questions.items():
            if question != "list, again":
                time.sleep(PAUSE)
            order = list(browsers.items())
            for server, browser in order if number % 2 else reversed(order):
                seconds, sizes[question, server] = browser.asked(path)
                if number:
                    seen[question, server].append(seconds)
                else:
                    print(f"first: {question}, {server}: {seconds:.2f} s", flush=True)
    print(f"\n| question | server | median s | least | most | bytes |  (n = {rounds})")
    print("| --- | --- | --: | --: | --: | --: |")
    for (question, server), found in seen.items():
        middle = statistics.median(found)
        size = sizes[question, server]
        print(f"| {question} | {server} | {middle:.4f} | {min(found):.4f} | {max(found):.4f} | {size:,} |")
    for question in questions:
        mine, theirs = (statistics.median(seen[question, server]) for server in browsers)
        print(f"{question}: {mine / theirs:.2f} of optuna-dashboard's")
    print(re.sub(r"\s+", " ", f"load {os.getloadavg()[0]:.1f} at the end"))


if __name__ == "__main__":
    main()
