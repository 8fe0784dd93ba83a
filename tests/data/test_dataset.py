"""What all sources share: labels, checks, the hash."""

from typing import Any

import numpy as np
import pytest

from hpo.data import Dataset, Raw, RawPart, make_dataset
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
        (["1_1", "1_10", "11_0"], ["1_10"], ("11_0", "1_1", "1_10"), [1, 2, 0], [2]),  # not 11, 110, 110
        ([2**53, 2**53 + 1, 2**53 + 2], [2**53 + 1], tuple(str(2**53 + k) for k in range(3)), [0, 1, 2], [1]),
        (["9007199254740993.0", "+9007199254740992"], [2**53], (str(2**53), str(2**53 + 1)), [1, 0], [0]),
        ([b"walk", "läuft".encode()], ["läuft"], ("läuft", "walk"), [1, 0], [0]),
        ([1e23, -0.0, 3e-7], [0], ("0", "3e-07", str(int(1e23))), [2, 0, 1], [0]),
    ],
)
def test_label_coding(train: Any, test: Any, classes: Any, y_train: Any, y_test: Any) -> None:
    """Numbers sort as numbers and names as text; gaps and negative numbers do not matter; the mapping is train's.

    No two labels become one unless they are one number, and bytes are the text that they hold.
    """
    first, second = (RawPart(np.zeros((len(labels), 2, 1)), labels) for labels in (train, test))
    data = make_dataset(Raw("tiny", first, second, ["c"]))
    assert data.classes == classes
    assert data.train.y.tolist() == y_train
    assert data.test is not None
    assert data.test.y.tolist() == y_test


def tiny(**changes: Any) -> Dataset:
    """Four training samples and no test part, each attribute changeable; those of a test part have ``_test``."""
    whole = {key: changes.pop(key) for key in ("name", "channels", "class_names") if key in changes}
    test = {key.removesuffix("_test"): changes.pop(key) for key in [*changes] if key.endswith("_test")}
    train: dict[str, Any] = {
        "x": np.arange(24.0).reshape(4, 3, 2),
        "labels": [0, 1, 0, 1],
        "groups": [1, 1, 2, 2],
    } | changes
    attributes: dict[str, Any] = {
        "name": "tiny",
        "train": RawPart(**train),
        "test": RawPart(**test) if test else None,
        "channels": ["a", "b"],
    }
    return make_dataset(Raw(**(attributes | whole)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((0, 3, 2)), "labels": [], "groups": None}, r"train part: empty"),
        ({"x": []}, "empty"),
        ({"x": np.zeros((4, 0, 2))}, "empty"),
        ({"labels": [0, 1, 0]}, r"4 samples but labels of shape \(3,\)"),
        ({"groups": [1, 2]}, r"4 samples but groups of shape \(2,\)"),
        ({"groups": [1.5, 1, 2, 2]}, r"groups must be whole numbers or text, got \[1\.5"),
        ({"labels": ["a", "", "b", "a"]}, r"missing labels \(''\)"),
        ({"labels": [b"a", b"\xff", b"b", b"a"]}, "labels are bytes that are no UTF-8 text"),
        ({"channels": ["a"]}, "with 1 channels"),
        (
            {"x": [np.zeros((3, 2)), np.zeros((2, 1))]},
            r"sample 1 has the shape \(2, 1\), expected \(time steps, 2",
        ),
        ({"x": [np.zeros((3, 2)), np.zeros(2)]}, r"sample 1 has the shape \(2,\)"),
        ({"x": [np.zeros((3, 2)), np.zeros((0, 2))] * 2}, "2 of 4 samples hold no value, the first at row 1"),
        ({"x": np.full((4, 3, 2), np.nan)}, "4 of 4 samples hold no value"),
        ({"x_test": np.zeros((2, 4, 2)), "labels_test": [0, 1]}, "training samples have 3 time steps, test samples 4"),
        ({"x": [[[1, 2], [3]], [[1, 2], [3, 4]]]}, "ragged rows"),
        ({"x": np.full((4, 3, 2), "x")}, "not a rectangle of numbers"),
        ({"folds": [0, 1, 0]}, r"4 samples but folds of shape \(3,\)"),
        ({"recordings": [0]}, r"4 samples but recordings of shape \(1,\)"),
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
    with pytest.raises(DataError, match=r"1 missing.*row 2, time step 1, channel 0.*one class only"):
        tiny(x=x, labels=[1, 1, 1, 1])


def test_hash_covers_the_content() -> None:
    """The hash changes with every array, the classes and the channels, and not with the name or the input's dtype."""
    base = tiny()
    x = np.arange(24.0).reshape(4, 3, 2)
    assert tiny(name="other", x=np.asfortranarray(x.astype(np.float32))).sha256 == base.sha256
    changed = [
        tiny(x=x + 1),
        tiny(x=x.reshape(4, 2, 3), channels=["a", "b", "c"]),
        tiny(labels=[1, 0, 0, 1]),
        tiny(labels=[0, 2, 0, 2]),
        tiny(groups=[1, 2, 2, 2]),
        tiny(groups=None),
        tiny(folds=[0, 0, 1, 1]),
        tiny(recordings=[0, 0, 1, 1]),
        tiny(channels=["a", "z"]),
        tiny(class_names={"0": "zero"}),
        tiny(x_test=x, labels_test=[0, 1, 0, 1]),
    ]
    assert len({base.sha256, *(data.sha256 for data in changed)}) == len(changed) + 1
