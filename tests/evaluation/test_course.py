"""How long a refit takes: as the median run on validation did."""

import json
from pathlib import Path

import pytest

from hpo.errors import StorageError
from hpo.evaluation.course import median_course
from hpo.store import TrialRecord
from hpo.trial import Cause, Result
from tests.support import copies


def trial(folder: Path, number: int, *best: int) -> TrialRecord:
    """A trial whose folds were best in these epochs, with the curves that it left; its rate tells epoch and fold."""
    outcome = Result(cause=Cause.COMPLETED, value=0.5, best_epochs=best)
    logs = [[{"learning_rate": number + fold / 10 + epoch / 1000} for epoch in range(50)] for fold in range(len(best))]
    place = folder / "s" / str(number)
    place.mkdir(parents=True)
    (place / "curves.json").write_text(json.dumps({"metric": "accuracy", "folds": logs}))
    return TrialRecord(number=number, state="complete", value=0.5, params={}, outcome=outcome, artifacts=f"s/{number}")


def test_the_median_run_is_repeated(tmp_path: Path) -> None:
    """Its number of epochs, and the learning rate of each of them."""
    trials = [trial(tmp_path, 0, 9), trial(tmp_path, 1, 3), trial(tmp_path, 2, 4)]
    course = median_course(trials, copies(tmp_path))
    assert (course.trial, course.fold) == (2, 0)
    assert course.rates == pytest.approx([2.0, 2.001, 2.002, 2.003])


def test_of_two_in_the_middle_the_shorter_one(tmp_path: Path) -> None:
    """An even number has no middle; more epochs would be the bolder choice. Folds count like seeds."""
    course = median_course([trial(tmp_path, 0, 30, 5), trial(tmp_path, 1, 7, 9)], copies(tmp_path))
    assert (course.trial, course.fold, len(course.rates)) == (1, 0, 7)


def test_curves_that_are_elsewhere_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its curves nobody knows a run's learning rates."""
    monkeypatch.setattr("hpo.artifacts.copies.ARRIVAL", 0.0)  # they do not come any more
    one = trial(tmp_path, 0, 3)
    (tmp_path / "s" / "0" / "curves.json").unlink()
    with pytest.raises(StorageError, match=r"curves of trial 0 are not at .*s/0/curves.json.*HPO_ARTIFACTS"):
        median_course([one], copies(tmp_path))
