"""A training that was killed between two epochs and goes on ends as if it had never been interrupted, to the bit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo import checkpoints, objective
from hpo.trial import Cause, Epoch, FoldParts, Result, TrialSpec
from tests.training.toy import make, read, save, windows

# Keras 3.15 hands TensorFlow's arrays to NumPy 2 in an old way, in its own ReduceLROnPlateau.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.timeout(300),
]


VERSIONS = {"keras": "3.15", "cpu": "fast"}


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours catches it."""


def always(spec: TrialSpec, versions: Any) -> checkpoints.Keeper:
    """Keeps a checkpoint after every epoch, however short: writing takes no time by this clock."""
    return checkpoints.Keeper(spec, versions, clock=lambda: 0.0)


@pytest.fixture(autouse=True)
def _after_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objective, "Keeper", always)


def train(spec: TrialSpec, *, dies_at: int | None = None) -> tuple[Result | None, list[Epoch]]:
    """Trains until the end, or until the report of a step, which then never arrives anywhere."""
    epochs: list[Epoch] = []

    def report(epoch: Epoch) -> None:
        if epoch.step == dies_at:
            raise Killed
        epochs.append(epoch)

    try:
        return objective.train(spec, report, lambda: None), epochs
    except Killed:
        return None, epochs


def attempt(spec: TrialSpec, number: int, folder: str = "resumed") -> TrialSpec:
    """The same trial, tried for the n-th time, with its files in a folder of its own."""
    artifacts = str(Path(spec.artifacts).with_name(folder))
    return spec.model_copy(update={"attempt": number, "artifacts": artifacts, "resumable": True})


def noisy(tmp_path: Path, folds: int = 1) -> list[FoldParts]:
    """Parts with nothing to learn, so that the metric soon stands still: rates fall and epochs are stopped."""
    made = []
    for fold in range(folds):
        x, y = windows(24, seed=fold, noise=2.0)
        made.append(
            FoldParts(
                train=save(tmp_path / f"t{fold}", x, np.random.default_rng(fold).permutation(y)),
                stopping=None,
                validation=save(tmp_path / f"v{fold}", *windows(10, seed=fold + 9, noise=2.0)),
            )
        )
    return made


END = -1  # of the first fold, which early stopping chose
CASES: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "dropout, batch normalisation, averages, augmentation, a rate that rises and falls": (
        (1, 3),
        {
            "family": "lstm_fcn",
            "model": {"units": 2, "filters": 2, "kernels": "3-3-3", "dropout": 0.5},
            "metric": "loss",
            "learning_rate": 0.1,
            "patience": 3,
            "max_epochs": 5,
            "ema": 0.5,
            "warm_up": 1.5,
            "jitter": 0.3,
            "mixup": 0.4,
            "clipnorm": 1.0,
        },
    ),
    "recurrent dropout, cosine, class weights, Adam": (
        (1,),
        {
            "family": "conv_lstm",
            "model": {"n_steps": 2, "filters": 2, "dense_units": 3, "recurrent_dropout": 0.2},
            "schedule": "cosine",
            "class_weight_power": 1.0,
            "optimizer": "adam",
        },
    ),
    "a course that is repeated": ((1,), {"rates": (0.1, 0.05, 0.05), "ema": 0.5}),
    "folds": ((END, 10), {"metric": "loss", "patience": 1, "learning_rate": 0.5, "max_epochs": 9}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_resumed_training_ends_with_the_same_bits(tmp_path: Path, case: str) -> None:
    """Weights, curve, scores, best epochs and report are those of the training that nobody killed; and every epoch is
    reported once more, with the same numbers, however often it was killed.
    """
    kills, options = CASES[case][0], dict(CASES[case][1])
    rates = {"rates": options.pop("rates", None)}
    spec = make(tmp_path, noisy(tmp_path, 2 if case == "folds" else 1), **options).model_copy(update=rates)
    whole, epochs = train(spec)
    assert whole is not None
    stopped = max(e.step for e in epochs if e.fold == 0)
    assert stopped < 8
    kills = tuple(stopped if step == END else step for step in kills)
    for number, step in enumerate(kills, 1):
        assert train(attempt(spec, number), dies_at=step)[0] is None
    last = attempt(spec, len(kills) + 1)
    resumed, again = train(last)
    assert resumed is not None
    same = (
        "cause", "value", "metrics", "fold_values", "best_epochs", "epochs", "parameters", "weights_sha256",
        "curve_sha256",
    )  # fmt: skip
    assert {name: getattr(resumed, name) for name in same} == {name: getattr(whole, name) for name in same}
    assert [(e.step, e.value, e.logs) for e in again] == [(e.step, e.value, e.logs) for e in epochs]
    assert [e.checkpoint is not None for e in again] == [e.step > kills[-1] for e in again]  # the others were restored
    reports = [read(one, "report.json") for one in (spec, last)]
    assert reports[0]["confusion_matrix"] == reports[1]["confusion_matrix"]
    assert resumed.seconds["total"] > sum(resumed.seconds[phase] for phase in ("data", "build", "fit", "score")) > 0


@pytest.fixture
def killed(tmp_path: Path) -> TrialSpec:
    """The second attempt at a trial whose first one left a checkpoint, made up."""
    spec = attempt(make(tmp_path), 1)
    made = checkpoints.Checkpoint({"logs": [[{}]]}, {"model/0": np.zeros(100, np.float32)})
    assert always(spec, VERSIONS).keep(2, lambda: made) == "checkpoint-1-2.npz"
    found = always(attempt(spec, 2), VERSIONS).last()
    assert found is not None
    assert found.facts == made.facts
    np.testing.assert_array_equal(found.arrays["model/0"], made.arrays["model/0"])
    return attempt(spec, 2)


def names(spec: TrialSpec) -> list[str]:
    """Files of a trial, without its curves and its report."""
    return sorted(p.name for p in Path(spec.artifacts).iterdir() if p.suffix != ".json")


def cut(path: Path) -> None:
    """As after a power failure."""
    path.write_bytes(path.read_bytes()[:-200])


def flip(path: Path) -> None:
    """One bit in the weights."""
    content = bytearray(path.read_bytes())
    content[content.index(b"model/0.npy") + 200] ^= 1
    path.write_bytes(content)


def other_members(path: Path) -> None:
    """An archive, but none of ours."""
    np.savez(path, something=np.zeros(3))


BROKEN: dict[str, Callable[[Path], object]] = {
    "cut off": cut,
    "a flipped bit": flip,
    "empty": lambda path: path.write_bytes(b""),
    "no archive": lambda path: path.write_text("{}"),
    "another archive": other_members,
    "a pickle": lambda path: np.savez(path, facts=np.array([{}], dtype=object)),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_checkpoint_is_left_out(killed: TrialSpec, caplog: pytest.LogCaptureFixture, how: str) -> None:
    """It is named in the log, and there is nothing to go on from."""
    BROKEN[how](Path(killed.artifacts) / "checkpoint-1-2.npz")
    assert always(killed, VERSIONS).last() is None
    assert "checkpoint-1-2.npz cannot be read and is left out: " in caplog.text


@pytest.mark.parametrize(
    "changes", [{"seed": 8}, {"family": "lstm"}, {"study": "other"}, {"training": {}}, {"number": 5}, "versions"]
)
def test_a_foreign_checkpoint_is_left_out(killed: TrialSpec, caplog: pytest.LogCaptureFixture, changes: Any) -> None:
    """One of another trial, setting or version is not gone on from; neither is one of a later attempt."""
    if changes == "versions":
        keeper = always(killed, VERSIONS | {"keras": "2.0"})
    else:
        keeper = always(killed.model_copy(update=changes), VERSIONS)
    assert keeper.last() is None
    assert "checkpoint-1-2.npz belongs to another training" in caplog.text
    assert always(killed.model_copy(update={"attempt": 0}), VERSIONS).last() is None


def test_the_cache_may_lie_elsewhere(killed: TrialSpec) -> None:
    """Another node has its arrays in another folder, the same split by its hash: the checkpoint counts there too."""
    moved = [
        FoldParts(train=f"/elsewhere{f.train}", stopping=None, validation=f"/elsewhere{f.validation}")
        for f in killed.folds
    ]
    there = killed.model_copy(update={"folds": tuple(moved), "device": "1"})
    assert always(there, VERSIONS | {"cpu": "slow"}).last() is not None


def test_training_starts_anew_without_a_usable_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With a broken one, and with one of another model, the result is that of a training from the beginning."""
    monkeypatch.setattr(checkpoints, "identity", lambda *_: "the same")
    spec = make(tmp_path)
    other = attempt(spec.model_copy(update={"model": {"units": 5}}), 1)
    train(other, dies_at=1)
    anew, epochs = train(attempt(spec, 2))
    assert "the checkpoint is of another model; fold 1 starts anew" in caplog.text
    assert [e.checkpoint for e in epochs[-3:]] == [f"checkpoint-2-{step}.npz" for step in range(3)]
    cut(Path(other.artifacts) / "checkpoint-2-2.npz")
    again, epochs = train(attempt(spec, 3))
    assert [e.checkpoint for e in epochs] == [f"checkpoint-3-{step}.npz" for step in range(3)]
    plain, _ = train(spec)
    found = {(r.weights_sha256, r.curve_sha256) for r in (anew, again, plain) if r is not None}
    assert len(found) == 1


def test_only_the_last_one_is_kept(killed: TrialSpec) -> None:
    """Older ones go, half-written ones too; those of a later attempt and other files stay."""
    folder = Path(killed.artifacts)
    for name in (".checkpoint-1-1.npz.99", "checkpoint-3-0.npz", "log.txt"):
        (folder / name).touch()
    always(killed, {}).keep(2, lambda: checkpoints.Checkpoint({}, {}))
    assert names(killed) == ["checkpoint-2-2.npz", "checkpoint-3-0.npz", "log.txt"]
    checkpoints.remove(folder)
    assert names(killed) == ["log.txt"]
    checkpoints.remove(folder / "none")


def test_checkpoints_are_kept_when_asked_for(tmp_path: Path) -> None:
    """A training outside of the fleet leaves none."""
    spec = make(tmp_path, max_epochs=1)
    _, (epoch,) = train(spec)
    assert (epoch.checkpoint, names(spec)) == (None, [])


def test_a_disk_that_cannot_be_written_costs_no_training(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is said once, and the training goes on without."""
    spec = attempt(make(tmp_path), 1)
    Path(spec.artifacts).parent.mkdir()
    Path(spec.artifacts).write_text("in the way")
    result, epochs = train(spec)
    assert result is not None
    assert result.cause is Cause.COMPLETED
    assert [epoch.checkpoint for epoch in epochs] == [None] * 3
    assert caplog.text.count("no checkpoint: ") == 1


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, small_disk: Path) -> None:
    """A checkpoint that does not fit leaves the one before it alone, and no part of itself."""
    spec = attempt(make(tmp_path), 1).model_copy(update={"artifacts": str(small_disk / "4")})
    keeper = always(spec, {})
    small, large = (checkpoints.Checkpoint({}, {"x": np.zeros(n)}) for n in (10, 100_000))
    assert keeper.keep(0, lambda: small) == "checkpoint-1-0.npz"
    assert keeper.keep(1, lambda: large) is None
    assert names(spec) == ["checkpoint-1-0.npz"]
    assert keeper.last() is not None


def test_writing_takes_a_twentieth_of_the_time(tmp_path: Path) -> None:
    """After a checkpoint that took a second there is none for twenty seconds; cheap ones come at every epoch."""
    now = [0.0]
    keeper = checkpoints.Keeper(attempt(make(tmp_path), 1), {}, clock=lambda: now[0])

    def slow() -> checkpoints.Checkpoint:
        now[0] += 1
        return checkpoints.Checkpoint({}, {})

    kept = []
    for step in range(100):
        now[0] += 3
        kept.append(keeper.keep(step, slow) is not None)
    assert kept == [step % 7 == 0 for step in range(100)]  # 7 epochs of 3 s are the first that take 20 s
