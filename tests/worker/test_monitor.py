"""`/healthz` and `/metrics`: of a real worker that is stopped and loses its database, and what they count."""

import http.client
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hpo.errors import UsageError
from hpo.monitor import Monitor, Numbers
from hpo.trial import Cause, Result
from hpo.vitals import LOOP_SECONDS, Vitals
from tests.support import completed, kill
from tests.worker.bench import Bench


def ask(port: int, path: str, *, host: str = "127.0.0.1", seconds: float = 60) -> tuple[int, str]:
    """Status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def until(port: int, status: int) -> str:
    """Asks for the health until that is the answer; returns what it says."""
    deadline = time.monotonic() + 60
    while True:
        try:
            found, said = ask(port, "/healthz")
        except OSError as error:  # it has not begun to listen
            found, said = 0, str(error)
        if found == status:
            return said
        if time.monotonic() > deadline:
            raise TimeoutError(f"{found}: {said}")
        time.sleep(0.05)


def numbers(port: int) -> dict[tuple[str, ...], float]:
    """Every sample: its name and the values of its labels but the study's -> its value."""
    status, text = ask(port, "/metrics")
    assert status == 200
    return {
        (sample.name, *(value for label, value in sorted(sample.labels.items()) if label != "study")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def port() -> int:
    """One that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


def test_a_real_worker(bench: Bench, port: int) -> None:
    """200 while it works, no answer while it is stopped, 503 with the reason while its database is away, then 200.

    What it counts is what the study has; with the worker its port goes.
    """
    bench.create(budget={"trials": 3})
    bench.plan(epochs=9000, pause=0.05)
    process = bench.process(slots=2, metrics_port=port)
    try:
        bench.wait_for_start(1)
        assert until(port, 200) == "ok\n"
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            ask(port, "/healthz", seconds=0.5)
        process.send_signal(signal.SIGCONT)
        until(port, 200)
        with sqlite3.connect(bench.folder / "hpo.db", isolation_level=None) as elsewhere:
            elsewhere.execute("BEGIN IMMEDIATE")
            assert "leases could not be renewed for" in until(port, 503)
            assert numbers(port)[("hpo_healthy",)] == 0.0
            while numbers(port)[("hpo_storage_retries_total",)] == 0:  # the test's own limit of time ends it
                time.sleep(0.05)
            elsewhere.execute("ROLLBACK")
        elsewhere.close()
        until(port, 200)
        found = numbers(port)
        assert (found[("hpo_slots",)], found[("hpo_trials_running",)], found[("hpo_healthy",)]) == (2, 2, 1)
        assert found[("hpo_epochs_total",)] > 0
        assert found[("hpo_storage_outage_seconds_total",)] > 1
        assert found[("process_cpu_seconds_total",)] > 0
    finally:
        kill(process.pid)
        process.wait()
    with pytest.raises(ConnectionRefusedError):
        ask(port, "/healthz")


@contextmanager
def monitored(vitals: Vitals) -> Iterator[int]:
    """A monitor of a worker with two slots; its port."""
    made = Numbers(vitals, study="s", worker="w", metric="accuracy", devices=["GPU-1", None], running=lambda: 1)
    monitor = Monitor(0, vitals, made)
    yield monitor.port
    monitor.close()


def test_what_is_counted() -> None:
    """Ends by cause, epochs, seconds, the best value, the slots' GPUs; names as Prometheus wants them."""
    vitals = Vitals(renew=15.0)
    with monitored(vitals) as port:
        before = numbers(port)
        assert before[("hpo_trials_ended_total", "completed")] == 0
        assert not any(name == "hpo_best_value" for name, *_ in before)
        for result in (completed(0.5), completed(0.75), Result(cause=Cause.OUT_OF_MEMORY), Result(cause=Cause.BUG)):
            vitals.epoch()
            vitals.finished(result)
        vitals.waited(1.5)
        found = numbers(port)
    assert {cause: found[("hpo_trials_ended_total", cause)] for cause in ("completed", "out of memory", "bug")} == {
        "completed": 2,
        "out of memory": 1,
        "bug": 1,
    }
    assert found[("hpo_epochs_total",)] == 4
    assert (found[("hpo_training_seconds_total",)], found[("hpo_overhead_seconds_total",)]) == (2, 2)
    assert (found[("hpo_storage_retries_total",)], found[("hpo_storage_outage_seconds_total",)]) == (1, 1.5)
    assert found[("hpo_best_value", "accuracy")] == 0.75
    assert {key[1:] for key in found if key[0] == "hpo_slot_info"} == {("GPU-1", "0"), ("", "1")}


def test_what_it_complains_of() -> None:
    """A loop that stands still, and leases that are renewed too late: twice the time between two renewals."""
    now = 0.0
    vitals = Vitals(renew=15.0, clock=lambda: now)
    assert vitals.complaint() == ""
    now = 29.0
    vitals.turned()
    assert vitals.complaint() == ""
    now = 31.0
    assert vitals.complaint() == "leases could not be renewed for 31 s: the database is away, or slow"
    vitals.asks()
    now = 33.0
    vitals.renewed()
    assert vitals.renewed_ago == 2.0, "an answer is no younger than its question"
    assert vitals.complaint() == ""
    now = 29.0 + LOOP_SECONDS + 1
    assert vitals.complaint() == "the supervisor's loop has stood still for 11 s"


def test_who_may_ask() -> None:
    """There are two pages; a page in a browser that found its way here under another name gets nothing."""
    with monitored(Vitals(renew=15.0)) as port:
        assert ask(port, "/metrics/../x")[0] == 404
        assert ask(port, "/healthz?x=1") == (200, "ok\n")
        assert ask(port, "/healthz", host=f"localhost:{port}") == (200, "ok\n")
        assert ask(port, "/healthz", host=f"rebound.example:{port}") == (403, "")


def test_a_port_that_is_taken() -> None:
    """A mistake of the user's, with what to do."""
    with monitored(Vitals(renew=15.0)) as port:
        vitals = Vitals(renew=15.0)
        made = Numbers(vitals, study="s", worker="w", metric="loss", devices=[], running=lambda: 0)
        with pytest.raises(UsageError, match=f"--metrics-port {port}: Address already in use; choose another one"):
            Monitor(port, vitals, made)
