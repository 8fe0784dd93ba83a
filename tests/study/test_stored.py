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
from tests.study.files import EXAMPLE, REMOVE, SHORTEST, changed, write

PLACES = [
    "name", "data", "data/source", "data/path", "data/missing", "split", "split/by", "split/folds",
    "split/repeats", "model", "model/family", "space",
    "space/units", "space/lstm", "search", "search/sampler", "search/pruner", "train", "train/metric",
    "train/max_epochs", "budget", "budget/trials", "budget/hours", "notify", "x",
]  # fmt: skip


_finite = st.floats(-1e9, 1e9)
_scalars = st.one_of(st.booleans(), st.integers(-(2**53), 2**53), _finite, st.text("abc", max_size=3))
_choices = st.lists(_scalars, min_size=1, max_size=4, unique_by=lambda v: (isinstance(v, bool), isinstance(v, str), v))
_when: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.dictionaries(
        st.sampled_from(["a", "b"]), st.one_of(_scalars, st.lists(_scalars, min_size=1, max_size=3)), min_size=1
    ).map(lambda when: {"when": when}),
)
_ranges = st.tuples(
    st.integers(1, 99), st.integers(0, 99), st.sampled_from([{}, {"log": True}, {"step": 2}]), _when
).map(lambda t: {"low": t[0], "high": t[0] + t[1]} | t[2] | t[3])
_entries: st.SearchStrategy[Any] = st.one_of(
    _scalars,
    _choices,
    _ranges,
    st.tuples(_scalars, _when).map(lambda t: {"value": t[0]} | t[1]),
    st.tuples(_choices, _when).map(lambda t: {"choices": t[0]} | t[1]),
)
_budgets = st.fixed_dictionaries(
    {"trials": st.integers(1, 999)},
    optional={
        "hours": st.floats(0.01, 99), "trial_minutes": st.integers(1, 99), "gpu_hours": st.floats(0.01, 99),
        "retries": st.integers(0, 9), "max_consecutive_failures": st.integers(1, 9),
    },
)  # fmt: skip
_splits = {"stopping": st.floats(0, 0.49), "seed": st.integers(0, 2**32 - 1)}
_files = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True),
        "data": st.sampled_from([
            {"source": "bundled", "name": "BasicMotions"},
            {"source": "uci_har", "path": 'data/"odd" \\ földer'},
            {"source": "ucr", "path": "data", "name": "Earthquakes"},
            {"source": "npz", "path": "own.npz", "missing": "interpolate"},
            {"source": "csv", "path": "a.csv", "label": "y", "channels": ["a", "b"], "length": 9, "label_rule": "pure"},
            {"source": "parquet", "path": "a", "test_path": "b", "label": "y", "length": 9, "stride": 3, "blocks": 2},
        ]),
        "split": st.one_of(
            st.fixed_dictionaries(
                {"by": st.sampled_from(["group", "stratified"])},
                optional={"folds": st.integers(1, 9), "repeats": st.integers(1, 9), **_splits},
            ),
            st.fixed_dictionaries({"by": st.sampled_from(["leave-one-group-out", "predefined"])}, optional=_splits),
        ),
        "model": st.fixed_dictionaries(
            {"family": st.one_of(st.just("lstm"), st.permutations(["lstm", "conv_lstm", "lstm_fcn"]))},
            optional={"max_parameters": st.integers(1, 10**9)},
        ),
        "budget": _budgets,
    },
    optional={
        "space": st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), _entries, max_size=4),
        "search": st.fixed_dictionaries(
            {}, optional={
                "sampler": st.sampled_from(["tpe", "random"]),
                "pruner": st.sampled_from(["median", "none", {"name": "hyperband", "min_epochs": 3}]),
            },
        ),
        "train": st.fixed_dictionaries(
            {}, optional={
                "metric": st.sampled_from(["loss", ["auroc"]]), "max_epochs": st.integers(4, 999),
                "stall_minutes": st.floats(0.1, 99), "optimizer": st.sampled_from(["adam", "adamw"]),
            },
        ),
    },
)  # fmt: skip


@given(_files)
def test_a_stored_study_is_the_one_of_the_file(tmp_path_factory: pytest.TempPathFactory, raw: dict[str, Any]) -> None:
    """Whatever a valid file says survives the way through TOML, JSON and back, with the same digest."""
    definition = load(write(tmp_path_factory.mktemp("study"), raw))
    again = from_json(to_json(definition))
    assert again == definition
    assert to_json(again) == to_json(definition)
    assert digest(again) == digest(definition)
    assert differences(definition, again) == []


_junk: st.SearchStrategy[Any] = st.recursive(
    st.one_of(_scalars, st.floats(), st.integers(), st.text(max_size=5)),
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
