"""One training outside of the fleet."""

import json
import sys
from pathlib import Path

import pytest

from hpo import once
from hpo.child import ChildStartError, ForkServer
from hpo.trial import Cause, Epoch, TrialSpec
from tests.training.toy import make


def server(plan: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ForkServer:
    """A fork server whose children do what `plan` says."""
    monkeypatch.setenv("FAKE", json.dumps(plan))
    monkeypatch.setenv("FAKE_DIARY", str(tmp_path / "diary"))
    return ForkServer((sys.executable, "-m", "tests.fake_server"), log=tmp_path / "server.log")


@pytest.fixture
def spec(tmp_path: Path) -> TrialSpec:
    """Trial 4."""
    return make(tmp_path)


def test_a_training_ends_with_its_result(spec: TrialSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every epoch is heard, the result comes back, and a server that was handed in serves again."""
    fake = server({"epochs": 3}, tmp_path, monkeypatch)
    for _ in range(2):
        epochs: list[Epoch] = []
        result = once.run(spec, tmp_path / "log.txt", epochs.append, server=fake)
        assert result.cause is Cause.COMPLETED
        assert [epoch.epoch for epoch in epochs] == [0, 1, 2]
    fake.close()


def test_a_training_that_dies_is_an_error(spec: TrialSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies before its result is told with the place of its log."""
    fake = server({"poison": [4]}, tmp_path, monkeypatch)
    with pytest.raises(ChildStartError, match=r"trial 4 died before its result; see .*log\.txt"):
        once.run(spec, tmp_path / "log.txt", server=fake)
    fake.close()


def test_ctrl_c_leaves_nothing(spec: TrialSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C during an epoch goes on to the caller, and the process is gone then."""
    fake = server({"epochs": 1000, "pause": 0.01}, tmp_path, monkeypatch)

    def interrupt(_: Epoch) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        once.run(spec, tmp_path / "log.txt", interrupt, server=fake)
    number, _, pid, *_ = (tmp_path / "diary").read_text().split()
    assert number == "4"
    assert not Path(f"/proc/{pid}").exists()
    fake.close()
