"""How long a browser waits for `hpo dashboard`, and for Optuna Dashboard's own command, on one study of 5,000 trials.

    .venv/bin/python -m benchmarks.dashboard [--on postgresql] [--trials 5000] [--rounds 9]

Makes the study in a folder that is removed again (minutes), starts both servers on its SQLite file, or on a
PostgreSQL server of its own, and asks in turns as the front-end asks: the list of studies, again, as a second page
asks soon, and a hundred times in a row; the study from its first trial on, as somebody opens it; and what is new, as
an open page asks every ten seconds. Before all but the lists that follow one both have a pause that is longer than
Optuna Dashboard's own memory of ten seconds. The first round warms up and does not count. Both servers may keep the
connection, as a browser lets them; who asks is a bare socket, so that the seconds are the servers'. Ten minutes with
9 rounds.
"""

import argparse
import json
import os
import platform
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import optuna
import sqlalchemy
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from hpo.search import ending
from hpo.store import DataRecord, Store, tables
from hpo.study import from_json
from hpo.trial import Cause, Result
from tests.postgres import Server, binaries

PAUSE = 10.5  # seconds
ROW = 100
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


def make(url: str, folder: Path, trials: int) -> None:
    """A study as hpo leaves it: eight parameters, 15 epochs, an outcome, and the files of a completed trial each."""
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
        multiply(store.rdb.engine, trials)
    for number in range(trials):
        place = folder / "artifacts" / "large" / str(number)
        place.mkdir(parents=True)
        for name in ("curves.json", "report.json", "log.txt"):
            (place / name).write_text("{}")


def multiply(engine: sqlalchemy.Engine, trials: int) -> None:
    """Copies the trials that were drawn until there are enough: Optuna takes 20 ms and more to add one."""
    with engine.begin() as connection:
        look = sqlalchemy.inspect(connection)
        for table, key in COPIED.items():
            columns = [column["name"] for column in look.get_columns(table)]
            names = ", ".join(name for name in columns if name != key)
            moved = {"number", "trial_id"} - {key}
            values = ", ".join(f"{name} + :by" if name in moved else name for name in columns if name != key)
            below = "number" if "number" in columns else "trial_id - 1"
            for by in range(DRAWN, trials, DRAWN):
                copy = f"insert into {table} ({names}) select {values} from {table} where {below} < :n"  # noqa: S608 - ours
                connection.execute(sqlalchemy.text(copy), {"by": by, "n": min(DRAWN, trials - by)})
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("analyze"))


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
        self._port = port
        self._connection: socket.socket | None = None

    def asked(self, path: str) -> tuple[float, int]:
        """Seconds until all of an answer is there, and its bytes."""
        question = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nAccept: application/json\r\n\r\n".encode()
        began = time.perf_counter()
        try:
            size = self._ask(question)
        except ConnectionError:  # it had closed what was kept
            self._connection = None
            size = self._ask(question)
        return time.perf_counter() - began, size

    def _ask(self, question: bytes) -> int:
        if self._connection is None:
            self._connection = socket.create_connection(("127.0.0.1", self._port), timeout=300)
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection.sendall(question)
        answer, start, size = bytearray(), 0, None
        while size is None or len(answer) < start + size:
            more = self._connection.recv(1 << 20)
            if not more:
                raise ConnectionError
            answer += more
            if size is None and (end := answer.find(b"\r\n\r\n")) >= 0:
                head = answer[:end].decode().lower()
                if " 200 " not in head:
                    raise RuntimeError(head)
                start, size = end + 4, int(head.split("content-length: ")[1].split()[0])
        return size


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """The address of an empty database of that kind."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'hpo.db'}"
        return
    found = binaries()
    if found is None:
        sys.exit("needs PostgreSQL's initdb and pg_ctl")
    server = Server(found)
    try:
        yield server.database("large").replace("postgresql:", "postgresql+psycopg:")
    finally:
        server.remove()


@contextmanager
def served(commands: list[list[str]]) -> Iterator[list[Browser]]:
    """These servers, each at a free port; yields who asks them, once they answer."""
    servers, browsers = [], []
    try:
        for command in commands:
            port = free_port()
            whole = [sys.executable, "-m", *command, "--port", str(port)]
            servers.append(subprocess.Popen(whole, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            browsers.append(Browser(port))
        for browser, server in zip(browsers, servers, strict=True):
            _wait(browser, server)
        yield browsers
    finally:
        for server in servers:
            server.terminate()
            server.wait()


def main() -> None:
    """Makes the study, starts both and asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--on", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hpo-dashboard-") as name:
        folder = Path(name)
        with database(given.on, folder) as url:
            began = time.perf_counter()
            make(url, folder, given.trials)
            print(f"{given.trials} trials made in {time.perf_counter() - began:.0f} s on {given.on}", flush=True)
            libraries = ", ".join(f"{name} {version(name)}" for name in ("optuna", "optuna-dashboard", "gunicorn"))
            python = f"Python {platform.python_version()}"
            print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {python}, {libraries}")
            ours = ["hpo.cli", "dashboard", "--storage", url, "--artifacts", str(folder / "artifacts")]
            with served([ours, ["optuna_dashboard._cli", url]]) as browsers:
                pair = dict(zip(("hpo dashboard", "optuna-dashboard"), browsers, strict=True))
                measure(pair, given.trials, given.rounds)


def _wait(browser: Browser, server: subprocess.Popen[bytes]) -> None:
    while server.poll() is None:
        try:
            browser.asked("/api/studies")
        except (OSError, RuntimeError):
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"{server.args!r} ended with {server.returncode}")


def measure(browsers: dict[str, Browser], trials: int, rounds: int) -> None:
    """Asks in turns, and prints a line for each question and server."""
    questions = {
        "list of studies": "/api/studies",
        "list, again": "/api/studies",
        "list, in a row": "/api/studies",
        "open the study": "/api/studies/1?after=0",
        "what is new": f"/api/studies/1?after={trials}",
    }
    seen: dict[tuple[str, str], list[float]] = {(q, server): [] for q in questions for server in browsers}
    sizes = {}
    for number in range(rounds + 1):
        for question, path in questions.items():
            if question not in ("list, again", "list, in a row"):
                time.sleep(PAUSE)
            order = list(browsers.items())
            for server, browser in order if number % 2 else reversed(order):
                asked = [browser.asked(path) for _ in range(ROW if question == "list, in a row" else 1)]
                seconds, sizes[question, server] = statistics.median(one for one, _ in asked), asked[-1][1]
                if number:
                    seen[question, server].append(seconds)
                else:
                    print(f"first: {question}, {server}: {seconds:.2f} s", flush=True)
    print(f"\n| question | server | median s | least | most | bytes |  (n = {rounds})")
    print("| --- | --- | --: | --: | --: | --: |")
    for (question, server), found in seen.items():
        middle = statistics.median(found)
        size = sizes[question, server]
        print(f"| {question} | {server} | {middle:.5f} | {min(found):.5f} | {max(found):.5f} | {size:,} |")
    for question in questions:
        mine, theirs = (statistics.median(seen[question, server]) for server in browsers)
        print(f"{question}: {mine / theirs:.2f} of optuna-dashboard's")
    print(re.sub(r"\s+", " ", f"load {os.getloadavg()[0]:.1f} at the end"))


if __name__ == "__main__":
    main()
