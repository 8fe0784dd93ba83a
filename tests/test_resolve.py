"""A family's default space, overlaid with the entries of a study file."""

import json
import tomllib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo import models
from hpo.errors import StudyFileError
from hpo.resolve import resolve, resolve_all, split_params
from hpo.space import Choice, Fixed, Float, Int, Params, Space, choice, clip, counts, defaults, fixed, same, sample
from hpo.study import from_json
from hpo.study_space import Item
from hpo.training import training_space

MODEL: Space = {
    "cell": choice("lstm", "gru", default="lstm", allowed=("lstm", "gru")),
    "units": choice(8, 16, 32, default=8, at_least=1),
    "filters": Int(low=16, high=128, log=True, default=64, at_least=1, at_most=4096),
    "shuffle": choice(True, False, default=True),
    "dropout": Float(low=0.2, high=0.6, default=0.5, at_least=0.0, at_most=0.9),
    "recurrent_dropout": Float(low=0.0, high=0.3, default=0.2, when={"cell": ("lstm",)}, at_least=0.0),
    "momentum": Choice(values=(0.9, 0.99), default=0.9, at_least=0.0, at_most=0.999),
    "ratio": fixed(4),
}
ENTRIES = """
filters = { low = 16, high = 128, log = true }
kernel_size = [3, 5, 7]
dropout = 0.5
recurrent_dropout = { low = 0.0, high = 0.3, when = { layers = 1 } }
learning_rate = { low = 1e-4, high = 1e-2, log = true }
"""
TRAINING: Space = {
    "learning_rate": Float(low=1e-4, high=1e-2, log=True, default=1e-3, at_least=1e-8, at_most=1.0),
    "label_smoothing": Fixed(default=0.0, at_least=0.0, at_most=0.5),
}


def _entry(raw: object) -> dict[str, Item]:
    """The `[space]` of a file, from how it is written."""
    study = {
        "name": "a", "data": {"source": "ucr", "path": "x"}, "split": {"by": "group"}, "model": {"family": "lstm"},
        "budget": {},
    }  # fmt: skip
    return from_json(json.dumps(study | {"space": raw})).space


def _resolve(raw: object) -> Space:
    return resolve(_entry(raw), MODEL, TRAINING, where="study.toml")


_numbers = st.one_of(st.integers(-2, 200), st.floats(-1, 200), st.floats(0, 1))
_scalars = st.one_of(_numbers, st.booleans(), st.sampled_from(["lstm", "gru", "x"]))
_lists = st.lists(_scalars, min_size=1, max_size=3, unique_by=lambda v: (isinstance(v, bool), isinstance(v, str), v))
_whens = st.dictionaries(st.sampled_from([*MODEL, "y"]), st.one_of(_scalars, _lists), min_size=1, max_size=2)
_entries: st.SearchStrategy[Any] = st.one_of(
    _scalars,
    _lists,
    st.tuples(_numbers, _numbers).map(lambda ends: {"low": min(ends), "high": max(ends)}),
    st.tuples(_scalars, _whens).map(lambda t: {"value": t[0], "when": t[1]}),
    st.tuples(_lists, _whens).map(lambda t: {"choices": t[0], "when": t[1]}),
)


@given(st.dictionaries(st.sampled_from([*MODEL, *TRAINING, "z"]), _entries, max_size=3), st.integers(0, 99))
def test_what_is_accepted_can_be_sampled_within_the_limits(raw: dict[str, Any], seed: int) -> None:
    """Any entries are refused with reasons, or give a space whose samples and defaults keep all hard limits."""
    spaces, problems = resolve_all(_entry(raw), {"f": (MODEL, TRAINING)})
    if problems:
        assert all(problem.startswith("space.") for problem in problems)
        return
    space = spaces["f"]
    assert list(space) == [*MODEL, *TRAINING]
    for params in (sample(space, np.random.default_rng(seed)), defaults(space)):
        for name, domain in space.items():
            published = {**MODEL, **TRAINING}[name]
            value = params[name]
            assert type(value) is type(published.default)
            assert published.allowed is None or value in published.allowed
            assert published.at_least is None or float(value) >= published.at_least
            assert published.at_most is None or float(value) <= published.at_most
            entry = raw.get(name)
            elsewhere = isinstance(entry, dict) and "value" in entry
            assert elsewhere or same(clip(domain, domain.default), domain.default)


def test_without_entries_the_default_space_stays() -> None:
    """Nothing said, nothing changed; model hyperparameters come first."""
    assert _resolve({}) == {**MODEL, **TRAINING}
    assert list(_resolve({})) == [*MODEL, *TRAINING]


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        ("units", 64, Fixed(default=64, at_least=1)),
        ("units", [4, 64], Choice(values=(4, 64), default=4, at_least=1)),
        ("units", {"low": 8, "high": 20, "step": 4}, Int(low=8, high=20, step=4, default=8, at_least=1)),
        ("units", {"low": 9, "high": 20, "log": True}, Int(low=9, high=20, log=True, default=9, at_least=1)),
        ("filters", {"low": 8, "high": 32}, Int(low=8, high=32, log=True, default=32, at_least=1, at_most=4096)),
        ("filters", {"low": 1, "high": 9, "log": False}, Int(low=1, high=9, default=9, at_least=1, at_most=4096)),
        ("dropout", {"low": 0, "high": 0.3}, Float(low=0.0, high=0.3, default=0.3, at_least=0.0, at_most=0.9)),
        ("dropout", 0, Fixed(default=0.0, at_least=0.0, at_most=0.9)),
        ("dropout", [0, 0.1], Choice(values=(0.0, 0.1), default=0.1, at_least=0.0, at_most=0.9)),
        ("momentum", {"low": 0, "high": 0.5}, Float(low=0.0, high=0.5, default=0.5, at_least=0.0, at_most=0.999)),
        ("label_smoothing", {"low": 0, "high": 0.1}, Float(low=0, high=0.1, default=0.0, at_least=0.0, at_most=0.5)),
        ("learning_rate", {"low": 1e-5, "high": 1e-4},
         Float(low=1e-5, high=1e-4, log=True, default=1e-4, at_least=1e-8, at_most=1.0)),
        ("shuffle", False, Fixed(default=False)),
        ("cell", ["gru"], Choice(values=("gru",), default="gru", allowed=("lstm", "gru"))),
        ("ratio", [2, 4], Choice(values=(2, 4), default=4)),
        ("recurrent_dropout", {"low": 0.1, "high": 0.3},
         Float(low=0.1, high=0.3, default=0.2, when={"cell": ("lstm",)}, at_least=0.0)),
        ("recurrent_dropout", {"value": 0.1, "when": {"shuffle": False}},
         Choice(values=(0.1,), default=0.2, when={"shuffle": (False,)}, at_least=0.0)),
        ("units", {"choices": [4], "when": {"momentum": 0.9, "filters": [16, 17], "ratio": 4}},
         Choice(values=(4,), default=4, when={"momentum": (0.9,), "filters": (16, 17), "ratio": (4,)}, at_least=1)),
    ],
)  # fmt: skip
def test_an_entry_replaces_the_domain(name: str, raw: object, expected: object) -> None:
    """An entry narrows, widens or fixes; limits, conditions and log scales that it does not name stay."""
    space = _resolve({name: raw})
    assert space[name] == expected
    assert type(space[name].default) is type({**MODEL, **TRAINING}[name].default)
    assert {k: v for k, v in space.items() if k != name} == {
        k: v for k, v in {**MODEL, **TRAINING}.items() if k != name
    }


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"unit": 3}, "space.unit: no such hyperparameter; did you mean 'units'? known: cell, dropout, filters, label"),
        ({"filters": 16.0}, "space.filters: got 16.0 (decimal number); accepted: a whole number from 1 up to 4096"),
        ({"filters": [16, 0.5]}, "space.filters: got 0.5 (decimal number); accepted: a whole number from 1"),
        ({"filters": {"low": 16, "high": 32.0}}, "space.filters.high: got 32.0 (decimal number); accepted: a whole"),
        ({"filters": {"low": 0, "high": 32, "log": False}}, "space.filters.low: got 0 (whole number); accepted: a who"),
        ({"filters": {"low": 4, "high": 32, "step": 4}}, "space.filters.step: its scale is logarithmic, which knows n"),
        ({"units": {"low": 4, "high": 33, "step": 4}}, "space.units.step: 4 steps from 4 never reach high, 33; the la"),
        ({"units": "many"}, "space.units: got 'many' (text); accepted: a whole number from 1"),
        ({"units": True}, "space.units: got true (boolean); accepted: a whole number from 1"),
        ({"dropout": 0.95}, "space.dropout: got 0.95 (decimal number); accepted: a number from 0 up to 0.9"),
        ({"dropout": {"low": 0, "high": 1}}, "space.dropout.high: got 1 (whole number); accepted: a number from 0 up "),
        ({"dropout": {"low": 0, "high": 0.4, "step": 1}}, "space.dropout.step: is for whole numbers, and this is a"),
        ({"learning_rate": {"low": 0, "high": 0.1}}, "space.learning_rate.low: got 0 (whole number); accepted: a numb"),
        ({"cell": "rnn"}, "space.cell: got 'rnn' (text); accepted: 'lstm' or 'gru'"),
        ({"cell": {"low": 1, "high": 2}}, "space.cell: got a range; accepted: 'lstm' or 'gru'"),
        ({"shuffle": 1}, "space.shuffle: got 1 (whole number); accepted: true or false"),
        ({"units": {"value": 8, "when": {"sell": "gru"}}}, "space.units.when.sell: no such hyperparameter; did you me"),
        ({"units": {"value": 8, "when": {"cell": "rnn"}}}, "space.units.when.cell: got 'rnn' (text); cell is one of '"),
        ({"units": {"value": 8, "when": {"dropout": 0.9}}}, "space.units.when.dropout: got 0.9 (decimal number); drop"),
        ({"units": {"value": 8, "when": {"filters": 16.5}}}, "space.units.when.filters: got 16.5 (decimal number); fi"),
        ({"units": {"value": 8, "when": {"ratio": 5}}}, "space.units.when.ratio: got 5 (whole number); ratio is fixed"),
        ({"units": {"value": 8, "when": {"dropout": [0.2, 0.5]}}},
         "space.units.when.dropout: dropout is any decimal number from 0.2 to 0.6, and hardly any trial has"),
        ({"cell": {"value": "gru", "when": {"recurrent_dropout": 0.2}}, "recurrent_dropout": [0.1, 0.2]},
         "space.cell.when: the conditions form a circle: cell -> recurrent_dropout -> cell"),
        ({"units": {"value": 8, "when": {"units": 8}}}, "space.units.when: the conditions form a circle: units -> uni"),
    ],
)  # fmt: skip
def test_an_entry_that_does_not_fit(raw: dict[str, object], message: str) -> None:
    """Types, limits, allowed values and conditions are checked against the family's own domain."""
    with pytest.raises(StudyFileError) as caught:
        _resolve(raw)
    (problem,) = caught.value.problems
    assert problem.startswith(message)
    assert str(caught.value).startswith("study.toml: 1 mistake")


def test_an_inherited_log_scale_needs_a_positive_low() -> None:
    """A range without `log` keeps the family's scale; a low of 0 that only the scale forbids is refused for it."""
    space: Space = {"decay": Float(low=1e-6, high=1e-2, log=True, default=1e-4, at_least=0.0)}
    with pytest.raises(
        StudyFileError, match=r"space\.decay\.low: got 0 .*its scale is logarithmic, give low above 0 or"
    ):
        resolve(_entry({"decay": {"low": 0, "high": 0.1}}), {}, space, where="study.toml")
    assert (
        resolve(_entry({"decay": {"low": 0, "high": 0.1, "log": False}}), {}, space, where="x")["decay"].default == 1e-4
    )


def test_a_decimal_number_with_few_values_may_be_a_parent() -> None:
    """A condition on it can hold: it is a list, one value, or a range without width."""
    for few in ([0.2, 0.5], 0.5, {"low": 0.5, "high": 0.5}):
        assert _resolve({"units": {"value": 32, "when": {"dropout": 0.5}}, "dropout": few})["units"].when


def test_a_value_with_a_condition_holds_where_the_condition_does() -> None:
    """Elsewhere the hyperparameter has its published default: in what is drawn, and in the first trial."""
    space = _resolve({"units": {"value": 32, "when": {"cell": "lstm"}}, "dropout": {"value": 0, "when": {"units": 8}}})
    rng = np.random.default_rng(0)
    found = {(p["cell"], p["units"], p["dropout"]) for p in (sample(space, rng) for _ in range(50))}
    assert found == {("lstm", 32, 0.5), ("gru", 8, 0.0)}
    assert (defaults(space)["units"], defaults(space)["dropout"]) == (32, 0.5)
    assert defaults(_resolve({"units": {"value": 32, "when": {"cell": "gru"}}}))["units"] == 8


def test_a_condition_that_the_file_rules_out_is_no_mistake() -> None:
    """A user who fixes the cell need not know that another hyperparameter of the family depends on it."""
    space = _resolve({"cell": "gru"})
    assert space["recurrent_dropout"].when == {"cell": ("lstm",)}


def test_all_mistakes_of_a_space_come_at_once() -> None:
    """Values and conditions are reported together; a parent's own mistake is not reported twice."""
    raw = {"unit": 1, "cell": "rnn", "units": {"value": 0, "when": {"cell": "x", "sell": 1}}, "dropout": ["a", 2]}
    with pytest.raises(StudyFileError) as caught:
        _resolve(raw)
    assert [problem.split(": ")[0] for problem in caught.value.problems] == [
        "space.unit", "space.cell", "space.units", "space.dropout", "space.dropout", "space.units.when.sell",
    ]  # fmt: skip


def test_with_several_families_an_entry_holds_where_it_fits() -> None:
    """An entry applies to each family that has it; one that none has, or that does not fit one, is a mistake."""
    other: Space = {"units": Int(low=1, high=9, default=3, at_least=1), "head": fixed("flat", allowed=("flat", "gap"))}
    families = {"a": (MODEL, TRAINING), "b": (other, TRAINING)}
    spaces, problems = resolve_all(_entry({"units": 5, "head": "gap", "dropout": 0.1, "learning_rate": 0.01}), families)
    assert problems == []
    assert spaces["a"]["units"].default == spaces["b"]["units"].default == 5
    assert "head" not in spaces["a"]
    assert "dropout" not in spaces["b"]
    _, problems = resolve_all(
        _entry({"unit": 5, "head": "x", "units": {"value": 1, "when": {"cell": "gru"}}, "learning_rate": 3}), families
    )
    assert problems == [
        "space.unit: no such hyperparameter; did you mean 'units'? known: cell, dropout, filters, head, "
        "label_smoothing, learning_rate, momentum, ratio, recurrent_dropout, shuffle, units",
        "space.learning_rate: got 3 (whole number); accepted: a number from 1e-08 up to 1",
        "space.head: got 'x' (text); accepted: 'flat' or 'gap' (family b)",
        "space.units.when.cell: no such hyperparameter; known: head, label_smoothing, learning_rate, units (family b)",
    ]


def test_an_entry_for_one_family_stands_in_the_place_of_the_shared_one() -> None:
    """In its family it replaces the shared entry, condition included; the other families keep that."""
    families = {"lstm": (MODEL, TRAINING), "gru": (MODEL, TRAINING)}
    shared = {"units": [8, 16], "dropout": {"value": 0.3, "when": {"cell": "lstm"}}}
    spaces, problems = resolve_all(
        _entry(shared | {"lstm": {"units": 64, "dropout": [0.2, 0.4], "ratio": 2}, "gru": {}}), families
    )
    assert problems == []
    assert (spaces["lstm"]["units"], spaces["gru"]["units"].kind) == (Fixed(default=64, at_least=1), "choice")
    assert spaces["lstm"]["dropout"].when is None
    assert spaces["gru"]["dropout"].when == {"cell": ("lstm",)}
    assert (spaces["lstm"]["ratio"].default, spaces["gru"]["ratio"].default) == (2, 4)


def test_mistakes_in_an_entry_for_one_family() -> None:
    """Each is named with the family in its key; entries that hold for no family are mistakes too."""
    other: Space = {"head": fixed("flat", allowed=("flat", "gap"))}
    families = {"lstm": (MODEL, TRAINING), "fcn": (other, TRAINING)}
    own = {"unit": 3, "cell": "rnn", "units": {"value": 8, "when": {"sell": 1}}, "filters": 0}
    _, problems = resolve_all(
        _entry({"filters": 32, "lstm": own, "fcn": {"units": 3, "head": {"value": "gap", "when": {"head": "gap"}}},
                "gru": {"units": 3}}), families
    )  # fmt: skip
    assert [problem.split(": ")[0] for problem in problems] == [
        "space.filters", "space.lstm.unit", "space.fcn.units", "space.gru", "space.lstm.filters", "space.lstm.cell",
        "space.lstm.units.when.sell", "space.fcn.head.when",
    ]  # fmt: skip
    assert problems[0] == "space.filters: has no effect: every family that has it has an entry of its own"
    assert problems[3] == "space.gru: the study does not search this family; known: fcn, lstm"


def test_with_several_parents_all_conditions_must_hold() -> None:
    """A hyperparameter counts where every parent has one of the accepted values, and only there."""
    space = _resolve({"units": {"choices": [8, 16], "when": {"cell": "lstm", "shuffle": True, "filters": [16, 32]}}})
    assert space["units"].when == {"cell": ("lstm",), "shuffle": (True,), "filters": (16, 32)}
    held: Params = {"cell": "lstm", "shuffle": True, "filters": 32}
    assert counts(space["units"], held)
    other: Params = {"cell": "gru", "shuffle": False, "filters": 33}
    for parent, value in other.items():
        assert not counts(space["units"], held | {parent: value})


def test_settings_are_cut_into_model_and_training() -> None:
    """What is no hyperparameter of training is an argument of the family's `build`."""
    model, training = split_params({"units": 8, "learning_rate": 0.1, "cell": "gru", "batch_size": 16})
    assert model == {"units": 8, "cell": "gru"}
    assert training == {"learning_rate": 0.1, "batch_size": 16}


def test_the_published_families_take_the_example() -> None:
    """The entries of the example fit the default space of the family that it names."""
    space = resolve(
        _entry(tomllib.loads(ENTRIES)),
        models.default_space("conv_lstm", (128, 9), 6),
        training_space(models.training("conv_lstm"), n_train=5000, optimizer="adamw"),
        where="example",
    )
    assert space["filters"] == Int(low=16, high=128, log=True, default=64, at_least=1)
    assert isinstance(space["recurrent_dropout"], Float)
