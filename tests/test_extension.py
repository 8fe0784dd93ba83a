"""What may be added to a study under its old name."""

import json
from typing import Any

import pytest

from hpo.extension import Extension, extension
from hpo.resolve import Families, resolve_all
from hpo.space import Float, Int, Space, choice, fixed
from hpo.study import StudyDef, from_json
from tests.study.files import SHORTEST, changed

MODEL: Space = {
    "cell": choice("lstm", "gru", default="lstm"),
    "units": Int(low=16, high=128, log=True, default=64),
    "steps": Int(low=4, high=12, step=4, default=8),
    "dropout": Float(low=0.1, high=0.5, default=0.1, when={"cell": ("lstm",)}),
    "ratio": fixed(4),
}
OTHER: Space = {"units": Int(low=1, high=9, default=5)}
FAMILIES: Families = {"lstm": (MODEL, {"rate": Float(low=1e-4, high=1e-2, log=True, default=1e-3)}), "fcn": (OTHER, {})}


def made(space: dict[str, Any], **changes: object) -> tuple[StudyDef, dict[str, Space]]:
    """A definition with these entries, and its spaces."""
    raw = changed(SHORTEST, {"model/family": ["lstm", "fcn"], "space": space, **changes})
    definition = from_json(json.dumps(raw))
    spaces, problems = resolve_all(definition.space, FAMILIES)
    assert not problems
    return definition, spaces


def compared(old: dict[str, Any], new: dict[str, Any], **changes: object) -> Extension:
    """From these entries to those."""
    return extension(*made(old), *made(new, **changes))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"rate": {"low": 1e-3, "high": 1e-2}}, {"rate": {"low": 1e-4, "high": 1e-1}}),
        ({}, {"rate": {"low": 1e-5, "high": 1e-2}}),
        ({"lstm": {"units": {"low": 32, "high": 64}}}, {"lstm": {"units": {"low": 32, "high": 65}}}),
        ({"lstm": {"units": {"low": 32, "high": 64}}}, {}),
        ({"steps": {"low": 4, "high": 12, "step": 4}}, {"steps": {"low": 0, "high": 16, "step": 4}}),
        ({"cell": ["lstm", "gru"]}, {}),
        ({"dropout": {"low": 0.2, "high": 0.4}}, {"dropout": {"low": 0.2, "high": 0.4, "when": {"cell": "lstm"}}}),
    ],
)
def test_wider_ranges_are_taken(old: dict[str, Any], new: dict[str, Any]) -> None:
    """A range that holds the old one, on the same scale and steps; also an entry that changes nothing."""
    found = compared(old, new)
    assert found.refused == []
    assert found.wider
    _, spaces = made(new)
    for family, space in found.spaces.items():
        for name, domain in space.items():
            assert domain.model_copy(update={"default": spaces[family][name].default}) == spaces[family][name]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({}, {"rate": {"low": 2e-4, "high": 1e-1}}),
        ({}, {"rate": {"low": 1e-4, "high": 1e-2, "log": False}}),
        ({}, {"rate": 1e-3}),
        ({}, {"ratio": 5}),
        ({}, {"ratio": [2, 4]}),
        ({"ratio": [2, 4]}, {"ratio": [2, 4, 8]}),
        ({}, {"units": {"low": 8, "high": 128}}),  # wider for one family, not for the other
        ({"steps": {"low": 4, "high": 12, "step": 4}}, {"steps": {"low": 2, "high": 14, "step": 4}}),
        ({"steps": {"low": 4, "high": 12, "step": 4}}, {"steps": {"low": 4, "high": 12, "step": 2}}),
        ({}, {"dropout": {"low": 0.0, "high": 0.5, "when": {"cell": "gru"}}}),
    ],
)
def test_anything_else_is_refused(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Narrower, another scale, other steps, choices, fixed values, conditions: old trials would not compare."""
    found = compared(old, new)
    assert found.refused
    assert found.wider == []
    assert found.spaces == made(old)[1]


def test_both_kinds_are_told_apart() -> None:
    """What is wider and what is refused, each with its old and new value; other tables are never wider."""
    found = compared(
        {"rate": {"low": 1e-3, "high": 1e-2}, "dropout": {"low": 0.2, "high": 0.4}},
        {"rate": {"low": 1e-3, "high": 1e-1}, "dropout": {"low": 0.2, "high": 0.3}},
        **{"train/max_epochs": 9, "budget/trials": 99},
    )
    assert found.wider == ["space.rate.high: 0.01 -> 0.1"]
    assert found.refused == ["space.dropout.high: 0.4 -> 0.3", "train.max_epochs: 60 -> 9"]


def test_what_does_not_count_keeps_its_value() -> None:
    """A hyperparameter's default stands for it where it does not count: it stays, even if the new range has the
    published one, or old trials would change.
    """
    found = compared({"dropout": {"low": 0.3, "high": 0.4}}, {"dropout": {"low": 0.0, "high": 0.5}})
    assert found.spaces["lstm"]["dropout"] == Float(low=0.0, high=0.5, default=0.3, when={"cell": ("lstm",)})


def test_an_entry_that_did_not_change_keeps_its_range() -> None:
    """Whatever the default space of another version says."""
    definition, spaces = made({"rate": {"low": 1e-3, "high": 1e-2}})
    later, others = made({"rate": {"low": 1e-3, "high": 1e-1}})
    others["lstm"]["units"] = Int(low=1, high=999, log=True, default=64)
    found = extension(definition, spaces, later, others)
    assert found.spaces["lstm"]["units"] == MODEL["units"]
