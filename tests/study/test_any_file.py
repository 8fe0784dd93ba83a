"""Any study file: a valid one survives the way into the database; one changed thing is refused by its name, or fine."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from hpo import data, pruners, samplers
from hpo.errors import StudyFileError
from hpo.study import differences, digest, from_json, load, to_json
from hpo.study_file import Budget, Model, Search, Split, StudyDef, Train
from hpo.study_table import keys
from tests.study import drawn
from tests.study.files import SHORTEST, write


def survives(definition: StudyDef) -> None:
    """Asserts that it comes back from the database as it was."""
    again = from_json(to_json(definition))
    assert again == definition
    assert to_json(again) == to_json(definition)
    assert digest(again) == digest(definition)
    assert differences(definition, again) == []


def test_every_key_is_drawn() -> None:
    """The files that are drawn may have every key, source, sampler and pruner that there is."""
    assert drawn.TRAIN.keys() | {"metric"} == keys(Train).keys()
    assert drawn.SEARCH.keys() | {"pruner"} == keys(Search).keys()
    assert drawn.MODEL.keys() == keys(Model).keys()
    assert drawn.BUDGET.keys() | {"trials"} == keys(Budget).keys()
    assert drawn.SPLIT.keys() | drawn.SHARE.keys() | {"by", "folds", "repeats"} == keys(Split).keys()
    assert sorted(drawn.DATA) == sorted(data.sources())
    for name, (needed, others) in drawn.DATA.items():
        known = keys(data.get(name).Options).keys()
        assert needed.keys() | others.keys() <= known
        assert all(key in needed for key, field in keys(data.get(name).Options).items() if field.is_required())
    every = {key for needed, others in drawn.DATA.values() for key in (*needed, *others)} | {"source", "missing"}
    assert every == {key for name in drawn.DATA for key in keys(data.get(name).Options)}
    assert sorted(drawn.PRUNERS) == pruners.names()
    for name, own in drawn.PRUNERS.items():
        assert own.keys() | {"name", "min_epochs"} == keys(pruners.get(name)).keys()
    assert samplers.names()


@pytest.mark.parametrize("source", drawn.DATA)
def test_the_shortest_table_of_a_source_is_stored_as_it_is(tmp_path: Path, source: str) -> None:
    """Defaults that are written out in the database do not contradict each other: a csv without windows, say."""
    values: dict[str, object] = {"path": "a", "name": "a", "label": "y"}
    fields = keys(data.get(source).Options)
    table = {"source": source} | {key: values[key] for key, field in fields.items() if field.is_required()}
    survives(load(write(tmp_path, SHORTEST | {"data": table})))


@given(drawn.files())
def test_a_valid_file_is_stored_as_it_is(tmp_path_factory: pytest.TempPathFactory, raw: dict[str, Any]) -> None:
    """Whatever a valid file says survives the way through TOML, JSON and back, with the same digest."""
    survives(load(write(tmp_path_factory.mktemp("study"), raw)))


def read(path: Path) -> StudyDef | StudyFileError:
    """The definition, or why there is none."""
    try:
        return load(path)
    except StudyFileError as error:
        return error


def names(problem: str, place: drawn.Place, new: str) -> bool:
    """Whether a message speaks of a place, or of a new name there.

    Its key is that of the place, of a table around it or of something in it; or its text has the whole key, or, beside
    another key of the same table, its last part.
    """
    key, _, text = problem.partition(": ")
    old = [part for part in place if isinstance(part, str)]
    for path in (old, [*old[:-1], new or old[-1]]):
        dotted = [".".join(path[:n]) for n in range(1, len(path) + 1)]
        beside = key.split(".")[0] == path[0] and re.search(rf"\b{re.escape(path[-1])}\b", text)
        if key in dotted or key.startswith(f"{dotted[-1]}.") or dotted[-1] in text or beside:
            return True
    return False


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        ("train.max_epochs: got 0", True),
        ("train: got 3 (whole number)", True),
        ("search.pruner.min_epochs: got 9; accepted: less than train.max_epochs, 9", True),
        ("train.patience: no more than max_epochs", True),
        ("train.patience: got 0", False),
        ("search.pruner.min_epochs: has no effect with fewer max_epochs", False),
        ("budget: has no end", False),
    ],
)
def test_what_counts_as_named(problem: str, expected: bool) -> None:
    """A message about something else names nothing."""
    assert names(problem, ("train", "max_epochs"), "") == expected


@settings(max_examples=400)
@given(drawn.mutations())
def test_one_change_is_fine_or_refused_by_its_name(
    tmp_path_factory: pytest.TempPathFactory, mutation: tuple[dict[str, Any], drawn.Place, str]
) -> None:
    """A key that is missing, renamed or added, a value of another type, out of range or unknown: the message names it.

    If it is a study file all the same, it survives the way into the database too.
    """
    raw, place, new = mutation
    found = read(write(tmp_path_factory.mktemp("study"), raw))
    if isinstance(found, StudyDef):
        survives(found)
        return
    assert any(names(problem, place, new) for problem in found.problems), (place, new, found.problems)
    assert not re.search(r"[Ii]nput should|pydantic|Extra inputs|Value error| 0 mistakes", str(found))
