"""What all sources share: labels, checks, the hash."""

from typing import Any

import numpy as np
import pytest

from hpo.data import Dataset, make_dataset
from hpo.errors import DataError


@pytest.mark.parametrize(
    ("train", "test", "classes", "y_train", "y_test"),
    [
        ([1, -1, 1], [-1, 1], ("-1", "1"), [1, 0, 1], [0, 1]),
        ([10, 2, 7], [7], ("2", "7", "10"), [2, 0, 1], [1]),
        (["10", "2", "2.0"], ["2.0"], ("2", "10"), [1, 0, 0], [0]),
        ([1.0, 2.5], [2.5], ("1", "2.5"), [0, 1], [1]),
        (["walk", "run", "Run"], ["run"], ("Run", "run", "walk"), [2, 1, 0], [1]),
        (["1", "10", "2b"], ["2b"], ("1", "10", "2b"), [0, 1, 2], [2]),
        ([True, False], [True], ("False", "True"), [1, 0], [1]),
    ],
)
def test_label_coding(train: Any, test: Any, classes: Any, y_train: Any, y_test: Any) -> None:
    """Numbers sort as numbers and names as text; gaps and negative numbers do not matter; the mapping is train's."""
    data = make_dataset(
        "tiny", np.zeros((len(train), 2, 1)), train, None, np.zeros((len(test), 2, 1)), test, None, ["c"]
    )
    assert data.classes == classes
    assert data.train.y.tolist() == y_train
    assert data.test is not None
    assert data.test.y.tolist() == y_test


def tiny(**changes: Any) -> Dataset:
    """Four training samples and no test part, each argument changeable."""
    arguments: dict[str, Any] = {
        "name": "tiny",
        "x_train": np.arange(24.0).reshape(4, 3, 2),
        "labels_train": [0, 1, 0, 1],
        "groups_train": [1, 1, 2, 2],
        "x_test": None,
        "labels_test": None,
        "groups_test": None,
        "channels": ["a", "b"],
    }
    return make_dataset(**(arguments | changes))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_train": np.zeros((0, 3, 2)), "labels_train": [], "groups_train": None}, r"train part: empty"),
        ({"x_train": []}, "empty"),
        ({"x_train": np.zeros((4, 0, 2))}, "empty"),
        ({"labels_train": [0, 1, 0]}, r"4 samples but labels of shape \(3,\)"),
        ({"groups_train": [1, 2]}, r"4 samples but groups of shape \(2,\)"),
        ({"groups_train": ["s1", "s1", "s2", "s2"]}, r"groups must be whole numbers, got \['s1'"),
        ({"labels_train": ["a", "", "b", "a"]}, r"missing labels \(''\)"),
        ({"channels": ["a"]}, "with 1 channels"),
        (
            {"x_train": [np.zeros((3, 2)), np.zeros((2, 1))]},
            r"sample 1 has the shape \(2, 1\), expected \(time steps, 2",
        ),
        ({"x_train": [np.zeros((3, 2)), np.zeros(2)]}, r"sample 1 has the shape \(2,\)"),
        ({"x_train": [np.zeros((3, 2)), np.zeros((0, 2))] * 2}, "2 of 4 samples hold no value, the first at row 1"),
        ({"x_train": np.full((4, 3, 2), np.nan)}, "4 of 4 samples hold no value"),
        ({"x_test": np.zeros((2, 4, 2)), "labels_test": [0, 1]}, "training samples have 3 time steps, test samples 4"),
        ({"x_train": [[[1, 2], [3]], [[1, 2], [3, 4]]]}, "ragged rows"),
        ({"x_train": np.full((4, 3, 2), "x")}, "not a rectangle of numbers"),
        ({"x_test": np.zeros((1, 3, 2))}, "the test part has samples but no labels"),
        ({"class_names": {"0": "same", "1": "same"}}, "two labels share one class name"),
    ],
)
def test_shared_refusals(change: dict[str, Any], message: str) -> None:
    """What no source may bring is refused once, for all of them."""
    with pytest.raises(DataError, match=message):
        tiny(**change)


def test_all_faults_at_once() -> None:
    """Several faults of one data set come in one message."""
    x = np.zeros((4, 3, 2))
    x[2, 1, 0] = np.nan
    with pytest.raises(DataError, match=r"1 NaN.*row 2, time step 1, channel 0.*one class only"):
        tiny(x_train=x, labels_train=[1, 1, 1, 1])


def test_hash_covers_the_content() -> None:
    """The hash changes with every array, the classes and the channels, and not with the name or the input's dtype."""
    base = tiny()
    x = np.arange(24.0).reshape(4, 3, 2)
    assert tiny(name="other", x_train=np.asfortranarray(x.astype(np.float32))).sha256 == base.sha256
    changed = [
        tiny(x_train=x + 1),
        tiny(x_train=x.reshape(4, 2, 3), channels=["a", "b", "c"]),
        tiny(labels_train=[1, 0, 0, 1]),
        tiny(labels_train=[0, 2, 0, 2]),
        tiny(groups_train=[1, 2, 2, 2]),
        tiny(groups_train=None),
        tiny(channels=["a", "z"]),
        tiny(class_names={"0": "zero"}),
        tiny(x_test=x, labels_test=[0, 1, 0, 1]),
    ]
    assert len({base.sha256, *(data.sha256 for data in changed)}) == len(changed) + 1
