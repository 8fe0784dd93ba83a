"""What is checked of a search space before a study begins: whatever can be drawn from it can be trained."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo.errors import DataError, StudyFileError
from hpo.prepare import Prepared, prepare
from tests.data.files import write_pair
from tests.study.files import SHORTEST, write


def prepared(folder: Path, family: str, space: dict[str, Any]) -> Prepared:
    """A study of one family with this space, on windows of 8 time steps."""
    data = {"source": "ucr", "path": str(write_pair(folder / "files"))}
    study = write(folder, SHORTEST | {"data": data, "model": {"family": family}, "space": space})
    return prepare(study, folder / "cache")


def mistakes(folder: Path, family: str, space: dict[str, Any]) -> list[str]:
    """Why such a study is refused."""
    with pytest.raises(StudyFileError) as caught:
        prepared(folder, family, space)
    return list(caught.value.problems)


def test_a_hyperparameter_of_the_model_may_depend_on_one_of_training(tmp_path: Path) -> None:
    """Its values are checked all the same, where it counts."""
    when = {"mixup": 0.2}
    training = {"mixup": {"choices": [0.0, 0.2], "when": {"ema": 0.0}}, "ema": [0.0, 0.9]}
    space = training | {"kernel_size": {"choices": [1, 3], "when": when}}
    assert prepared(tmp_path, "conv_lstm", space).spaces["conv_lstm"]["kernel_size"].when == {"mixup": (0.2,)}
    (mistake,) = mistakes(
        tmp_path, "conv_lstm", space | {"n_steps": 2, "kernel_size": {"choices": [3, 5], "when": when}}
    )
    assert mistake.startswith("space (conv_lstm): kernel_size = 5 is longer than the sub-windows of 4 time steps")


@pytest.mark.parametrize(
    ("family", "range_", "wrong"),
    [("conv_lstm", {"low": 1, "high": 4}, [3]), ("cnn_lstm", {"low": 2, "high": 8, "step": 2, "log": False}, [6])],
)
def test_every_value_of_a_range_of_whole_numbers_is_checked(
    tmp_path: Path, family: str, range_: dict[str, Any], wrong: list[int]
) -> None:
    """Between ends that divide the window lie values that do not: each is named, before a trial is lost to it."""
    space = {"n_steps": range_, "kernel_size": 1, "pool_size": 1, "units": {"low": 1, "high": 10**9}}
    if family == "conv_lstm":
        space = {"n_steps": range_, "kernel_size": 1, "filters": {"low": 1, "high": 10**9}}
    assert mistakes(tmp_path, family, space) == [
        f"space ({family}): n_steps = {value} does not divide windows of 8 time steps; these do: 1, 2, 4, 8"
        for value in wrong
    ]


@pytest.mark.parametrize(
    ("split", "warnings"),
    [
        ({"validation": 0.5}, []),
        ({"validation": 0.1}, ["the validation part has no window of class rare: the score says nothing of"]),
        ({"validation": 0.34, "stopping": 0.1}, ["the stopping part has no window of class rare: what stops the e"]),
        (
            {"by": "leave-one-group-out"},
            ["the validation part has no window of class rare in 9 of 12 folds: the score says nothing of"],
        ),
    ],
)
def test_a_part_without_a_class(tmp_path: Path, split: dict[str, Any], warnings: list[str]) -> None:
    """Who ranks trials or stops epochs on a part that has no window of some class is told, part by part."""
    y = np.tile(["often", "often", "some", "often", "some"], 12)
    y[[0, 30, 45]] = "rare"
    x = np.random.default_rng(0).normal(size=(60, 8, 1))
    np.savez(tmp_path / "own.npz", X=x, y=y, groups=np.arange(60) // 5)
    keys = {"data": {"source": "npz", "path": "own.npz"}, "split": {"by": "stratified"} | split}
    found = prepare(write(tmp_path, SHORTEST | keys), tmp_path / "cache").warnings
    assert [text[: len(start)] for text, start in zip(found, warnings, strict=True)] == warnings


def test_a_part_that_auroc_cannot_rank(tmp_path: Path) -> None:
    """It is refused before a trial trains, also where auroc is the second metric; other metrics make do with it."""
    groups = np.repeat([1, 2, 3], 8)
    y = np.where(groups == 2, "still", np.tile(["still", "quake"], 12))
    np.savez(tmp_path / "own.npz", X=np.random.default_rng(0).normal(size=(24, 8, 1)), y=y, groups=groups)
    keys = {"data": {"source": "npz", "path": "own.npz"}, "split": {"by": "leave-one-group-out"}}
    for metric in ("auroc", ["accuracy", "auroc"]):
        study = write(tmp_path, SHORTEST | keys | {"train": {"metric": metric}})
        with pytest.raises(DataError, match=r"one class only in the validation part of fold 1 \(still\); auroc ranks"):
            prepare(study, tmp_path / "cache")
    study = write(tmp_path, SHORTEST | keys | {"train": {"metric": "balanced_accuracy"}})
    assert len(prepare(study, tmp_path / "cache").split.folds) == 3
