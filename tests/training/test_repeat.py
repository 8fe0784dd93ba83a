"""A course that is repeated because nothing is held out: so many epochs, with these rates, and the last weights."""

from pathlib import Path
from typing import Any

import pytest

from hpo.trial import MODEL, Cause, FoldParts, TrialSpec
from tests.training.toy import make, read, run, save, windows

# Keras 3.15 hands TensorFlow's arrays to NumPy 2 in an old way, in its own callbacks for the learning rate.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PLATEAU: dict[str, Any] = {"metric": "loss", "patience": 3, "learning_rate": 0.2, "max_epochs": 8}


def repeated(spec: TrialSpec, rates: list[float]) -> TrialSpec:
    """The same trial with nothing held out."""
    part = spec.folds[0].train
    folds = (FoldParts(train=part, stopping=None, validation=part),)
    return spec.model_copy(update={"folds": folds, "rates": tuple(rates), "keep_model": True})


@pytest.mark.parametrize(
    "changes",
    [PLATEAU, PLATEAU | {"warm_up": 1.5}, {"schedule": "cosine"}, {"schedule": "constant", "ema": 0.9}],
    ids=["plateau", "warm-up", "cosine", "averaged"],
)
def test_the_course_is_the_same_to_the_bit(tmp_path: Path, changes: dict[str, Any]) -> None:
    """On the same windows each epoch has the loss and the rate that it had when validation looked on."""
    spec = make(tmp_path, **changes)
    _, epochs = run(spec)
    first = [(epoch.logs["loss"], epoch.logs["learning_rate"]) for epoch in epochs]
    if changes is PLATEAU:
        assert len({rate for _, rate in first}) > 1, "the rate has to change for this to say anything"
    result, epochs = run(repeated(spec, [rate for _, rate in first]))
    assert [(epoch.logs["loss"], epoch.logs["learning_rate"]) for epoch in epochs] == first
    assert result.cause is Cause.COMPLETED
    assert result.best_epochs == (len(first),)


def test_it_ends_after_its_epochs(tmp_path: Path) -> None:
    """Fewer rates than `max_epochs` are fewer epochs, with the beginning of the same course and schedule."""
    spec = make(tmp_path, schedule="cosine", max_epochs=6)
    _, whole = run(spec)
    rates = [epoch.logs["learning_rate"] for epoch in whole]
    _, epochs = run(repeated(spec, rates[:2]))
    assert [epoch.logs["loss"] for epoch in epochs] == [epoch.logs["loss"] for epoch in whole[:2]]


def test_it_is_scored_on_what_it_was_trained_on(tmp_path: Path) -> None:
    """The value is the training part's own score with the last weights, and the model is kept."""
    spec = make(tmp_path, max_epochs=2)
    result, epochs = run(repeated(spec, [0.02, 0.02]))
    assert set(epochs[0].logs) == {"loss", "accuracy", "learning_rate"}
    report = read(spec, "report.json")
    assert sum(map(sum, report["confusion_matrix"])) == 32
    assert result.value == report["pooled_metrics"]["balanced_accuracy"]
    assert (Path(spec.artifacts) / MODEL).exists()


def test_a_course_can_diverge(tmp_path: Path) -> None:
    """A loss that is no number ends it as it ends any other training."""
    part = save(tmp_path / "x", *windows(16))
    spec = make(tmp_path, [FoldParts(train=part, stopping=None, validation=part)], learning_rate=1e38)
    result, _ = run(spec.model_copy(update={"rates": (1e38,) * 3}))
    assert result.cause is Cause.DIVERGED
