"""What is stored of a study file, whatever it says, and what may change under an old name."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.errors import StudyFileError
from hpo.study import StudyDef, differences, digest, from_json, load, to_json
from tests.study.drawn import scalars
from tests.study.files import EXAMPLE, REMOVE, SHORTEST, changed, write

PLACES = [
    "name", "data", "data/source", "data/path", "data/missing", "split", "split/by", "split/folds",
    "split/repeats", "model", "model/family", "space",
    "space/units", "space/lstm", "search", "search/sampler", "search/pruner", "train", "train/metric",
    "train/max_epochs", "budget", "budget/trials", "budget/hours", "notify", "x",
]  # fmt: skip


_junk: st.SearchStrategy[Any] = st.recursive(
    st.one_of(scalars, st.floats(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["when", "low", "high", "step", "log", "choices", "value", "name", "min_epochs", "lstm", "x"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=6,
)


@given(st.lists(st.tuples(st.sampled_from(PLACES), _junk), min_size=1, max_size=3))
def test_junk_is_refused_in_our_words(tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, Any]]) -> None:
    """Whatever stands at any key, the file is read or refused as a study file with mistakes, never anything else."""
    path = write(tmp_path_factory.mktemp("study"), changed(SHORTEST, {"space/units": 3} | dict(changes)))
    message = ""
    try:
        load(path)
    except StudyFileError as error:
        message = str(error)
    assert not re.search(r"[Ii]nput should|pydantic|Extra inputs|Value error| 0 mistakes", message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "stored study: 1 mistake\n  - is no JSON"),
        ("3", "stored study: 1 mistake\n  - got 3"),
        ('{"new": 1}', "stored study: 6 mistakes"),
    ],
)
def test_a_damaged_record_is_refused(text: str, message: str) -> None:
    """What `to_json` did not write is no stored study."""
    with pytest.raises(StudyFileError, match=message):
        from_json(text)


FREE: list[dict[str, object]] = [
    {"budget/trials": 99},
    {"budget/hours": REMOVE},
    {"budget/retries": 0},
    {"train/stall_minutes": 3},
    {"data/path": "elsewhere"},
]
BOUND: list[tuple[dict[str, object], list[str]]] = [
    ({"name": "b"}, ['name: "har-conv-lstm" -> "b"']),
    ({"split/seed": 1}, ["split.seed: 0 -> 1"]),
    ({"model/family": ["conv_lstm", "lstm"]}, ['model.family: ["conv_lstm"] -> ["conv_lstm", "lstm"]']),
    ({"model/max_parameters": REMOVE}, ["model.max_parameters: 2000000 -> (not set)"]),
    ({"space/filters/high": 256}, ["space.filters.high: 128 -> 256"]),
    ({"space/units": 50}, ["space.units.value: (not set) -> 50"]),
    ({"space/kernel_size": [3, 5]}, ["space.kernel_size.choices: [3, 5, 7] -> [3, 5]"]),
    ({"space/recurrent_dropout/when": {"layers": 2}}, ["space.recurrent_dropout.when.layers: [1] -> [2]"]),
    ({"search/sampler": "random"}, ['search.sampler: "tpe" -> "random"']),
    ({"search/pruner": "none"}, ['search.pruner.name: "hyperband" -> "none"']),
    ({"train/max_epochs": 61}, ["train.max_epochs: 60 -> 61"]),
]


@pytest.mark.parametrize("changes", FREE)
def test_free_keys_leave_the_digest(tmp_path: Path, changes: dict[str, object]) -> None:
    """Budget, patience with a stalled trial and the place of the data may change under an old name."""
    raw = tomllib.loads(EXAMPLE)
    old, new = load(write(tmp_path, raw)), load(write(tmp_path, changed(raw, changes)))
    assert old != new
    assert digest(old) == digest(new)
    assert differences(old, new) == []


@pytest.mark.parametrize(("changes", "shown"), BOUND)
def test_bound_keys_change_the_digest(tmp_path: Path, changes: dict[str, object], shown: list[str]) -> None:
    """Everything else makes another study, and the difference is shown in both directions."""
    raw = tomllib.loads(EXAMPLE)
    old, new = load(write(tmp_path, raw)), load(write(tmp_path, changed(raw, changes)))
    assert digest(old) != digest(new)
    assert differences(old, new) == shown
    assert len(differences(new, old)) == len(shown)


def test_a_default_written_out_is_no_difference(tmp_path: Path) -> None:
    """The order of keys, a default written out and 10 for 10.0 make no other study."""
    plain = load(write(tmp_path, SHORTEST))
    changes = {
        "train/max_epochs": 60,
        "split/validation": 0.2,
        "train/metric": ["accuracy"],
        "search/pruner": "hyperband",
    }
    written = load(write(tmp_path, dict(reversed(changed(SHORTEST, changes).items()))))
    assert digest(plain) == digest(written)


def test_a_study_stored_with_nulls_is_read() -> None:
    """Version 0.1.0 wrote the keys that a source has not as null; such a study goes on under its digest."""
    old = json.loads(to_json(load_text({"source": "uci_har", "path": "x"})))
    old["data"] |= {"name": None}
    old["budget"]["hours"] = None
    again = from_json(json.dumps(old))
    assert digest(again) == digest(load_text({"source": "uci_har", "path": "x"}))


def test_paths_of_data_are_free() -> None:
    """Every path may move, whatever it is called; no other key of the data may change."""
    one = {"source": "csv", "path": "a.csv", "test_path": "b.csv", "label": "y"}
    moved = load_text(one | {"path": "c.csv", "test_path": "d.csv"})
    assert digest(moved) == digest(load_text(one))
    assert differences(load_text(one), load_text(one | {"length": 5})) == ["data.length: (not set) -> 5"]


def load_text(data: dict[str, Any]) -> StudyDef:
    """The shortest study on other data."""
    return from_json(json.dumps(SHORTEST | {"data": data}))
