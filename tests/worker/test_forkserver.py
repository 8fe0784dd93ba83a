"""The fork server with the real TensorFlow: it stays uninitialised, and its children train, repeat and leave."""

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hpo import data
from hpo.child import ChildStartError, Closed, ForkServer
from hpo.data import bundled
from hpo.data.split import make_split
from hpo.training import TRAINING
from hpo.trial import Cause, FoldParts, Result, Started, TrainSettings, TrialSpec
from tests.support import TESTS, fake_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """One for the module: its imports take seconds."""
    server = ForkServer(log=tmp_path_factory.mktemp("server") / "log.txt")
    server.warm_up()
    yield server
    server.close()


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[FoldParts, ...]:
    """The parts of a small real data set."""
    cache = tmp_path_factory.mktemp("cache")
    loaded = data.load(bundled.Options(name="BasicMotions"), cache)
    split = make_split(
        loaded.train.y, None, by="stratified", folds=1, validation=0.2, stopping=0.0, seed=0, data_sha256=loaded.sha256
    )
    return data.prepare(loaded, split, cache)


def spec(parts: tuple[FoldParts, ...], folder: Path, **changes: object) -> TrialSpec:
    """A trial of a second or two."""
    training = {name: domain.default for name, domain in TRAINING.items()}
    settings = TrainSettings(
        metric="accuracy",
        max_epochs=2,
        patience=2,
        optimizer="adamw",
        scaling="channel",
        threads=1,
        max_parameters=None,
    )
    made = TrialSpec(
        study="s",
        number=0,
        attempt=1,
        seed=7,
        family="lstm",
        model={"units": 8, "dense_units": 8},
        training={**training, "batch_size": 16},
        settings=settings,
        folds=parts,
        classes=("Badminton", "Running", "Standing", "Walking"),
        artifacts=str(folder / "artifacts"),
    )
    return made.model_copy(update=changes)


def run(server: ForkServer, trial: TrialSpec, folder: Path) -> Result:
    """Trains a trial in a child; the child must end well."""
    child = server.start(trial, folder / "log.txt")
    result = None
    try:
        while True:
            message = child.receive(timeout=60)
            if message is None:
                raise TimeoutError("nothing was heard of the child for a minute")
            if isinstance(message, Result):
                result = message
    except Closed:
        pass
    if not child.wait(10) or child.status != 0 or result is None:
        raise AssertionError(f"status {child.status}, result {result}")
    return result


@pytest.mark.timeout(300)  # TensorFlow's import may be its own
def test_children_train_and_repeat_to_the_bit(server: ForkServer, parts: tuple[FoldParts, ...], tmp_path: Path) -> None:
    """The same trial in two fresh processes has the same weights and curve, another seed has others."""
    first, second = (run(server, spec(parts, tmp_path), tmp_path) for _ in range(2))
    other = run(server, spec(parts, tmp_path, seed=8), tmp_path)
    assert first.cause is Cause.COMPLETED
    assert (first.weights_sha256, first.curve_sha256) == (second.weights_sha256, second.curve_sha256)
    assert first.weights_sha256 != other.weights_sha256
    assert first.curve_sha256 != other.curve_sha256


def test_what_a_child_raises_is_its_result(server: ForkServer, parts: tuple[FoldParts, ...], tmp_path: Path) -> None:
    """A bug comes back with its traceback and stands in the log; the server lives on."""
    pid = server.pid
    result = run(server, spec(parts, tmp_path, family="lstm", model={"units": "many"}), tmp_path)
    assert result.cause is Cause.BUG
    assert "Traceback" in result.detail
    assert "Traceback" in (tmp_path / "log.txt").read_text()
    assert server.pid == pid


@pytest.mark.timeout(300)
def test_every_family_trains_in_a_child(server: ForkServer, parts: tuple[FoldParts, ...], tmp_path: Path) -> None:
    """All families survive the fork: none of their layers was made in the server."""
    from hpo import models

    for number, family in enumerate(models.family_names()):
        trial = spec(parts, tmp_path, number=number, family=family, model={})
        assert run(server, trial, tmp_path).cause is Cause.COMPLETED, family


def test_the_server_never_initialises_tensorflow() -> None:
    """All imports of the real work leave TensorFlow's context alone; one operation, and the guard refuses to fork."""
    code = """
import json
from hpo.forkserver import tensorflow_work
work = tensorflow_work()
before = work.guard()
import tensorflow as tf
tf.constant(1)
print(json.dumps([before, work.guard()]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=TESTS.parent)
    before, after = json.loads(done.stdout.splitlines()[-1])
    assert before is None
    assert "initialised" in after


def test_a_server_that_does_not_start_says_why(parts: tuple[FoldParts, ...], tmp_path: Path) -> None:
    """Its last words are in the message, and where all of them are."""
    server = ForkServer([sys.executable, "-c", "raise SystemExit('no TensorFlow here')"], log=tmp_path / "server.log")
    with pytest.raises(ChildStartError, match=r"no TensorFlow here \(all of it is in .*server\.log"):
        server.start(spec(parts, tmp_path), tmp_path / "log.txt")
    server.close()


def test_a_spec_that_is_too_large_is_refused_at_once(parts: tuple[FoldParts, ...], tmp_path: Path) -> None:
    """What does not fit into one message is an error, not a silence."""
    server = fake_server()
    many = tuple(f"class {n:05d}" for n in range(30_000))
    with pytest.raises(ChildStartError, match="too long"):
        server.start(spec(parts, tmp_path, classes=many), tmp_path / "log.txt")
    child = server.start(spec(parts, tmp_path), tmp_path / "log.txt")
    child.kill()
    child.wait()
    server.close()


def test_the_first_operation_comes_soon(server: ForkServer, parts: tuple[FoldParts, ...], tmp_path: Path) -> None:
    """A child tells how long it took from the fork to its first executed operation."""
    child = server.start(spec(parts, tmp_path), tmp_path / "log.txt")
    message = child.receive(timeout=60)
    assert isinstance(message, Started)
    assert 0 < message.seconds < 60
    child.kill()
    child.wait()


def test_the_first_process_of_a_container_buries_its_orphans(
    parts: tuple[FoldParts, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fork server that dies leaves its children to init, which may be the supervisor: none stays as a zombie."""
    monkeypatch.setenv("FAKE", '{"epochs": 1000, "pause": 0.1}')
    prctl, subreaper = ctypes.CDLL(None).prctl, 36  # PR_SET_CHILD_SUBREAPER: orphans become ours, as if we were init
    assert prctl(subreaper, 1) == 0
    try:
        server = fake_server()
        orphans = [server.start(spec(parts, tmp_path, number=n), tmp_path / "log.txt") for n in range(3)]
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        for child in orphans:
            assert child.wait(60)
            assert not Path(f"/proc/{child.pid}").exists()
        server.close()
    finally:
        prctl(subreaper, 0)


def test_ctrl_c_in_the_midst_of_its_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever started it knows it by then, and ends it: no process stays."""
    started: list[int] = []

    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            started.append(self.pid)
            os.kill(os.getpid(), signal.SIGINT)

    server = ForkServer(log=tmp_path / "log.txt")
    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        server.warm_up()
    server.close()
    assert len(started) == 1
    assert not Path(f"/proc/{started[0]}").exists()
