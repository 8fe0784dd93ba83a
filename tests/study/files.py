"""Study files from keys, and with keys changed: what several tests write."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hpo.errors import StudyFileError
from hpo.study import load

PAGE = (Path(__file__).parents[2] / "docs" / "study-files.md").read_text(encoding="utf-8")
EXAMPLE = PAGE.split("```toml\n")[1].split("```")[0]
SHORTEST: dict[str, Any] = {
    "name": "a",
    "data": {"source": "bundled", "name": "BasicMotions"},
    "split": {"by": "stratified"},
    "model": {"family": "lstm"},
    "budget": {"trials": 1},
}
REMOVE = object()


def toml(value: object) -> str:
    """The value in TOML."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(value)
        case Mapping():
            return "{ " + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + " }"
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case _:
            return str(value)


def file_text(raw: Mapping[str, object]) -> str:
    """The keys as a TOML file."""
    return "".join(f"{json.dumps(k)} = {toml(v)}\n" for k, v in raw.items())


def write(folder: Path, raw: Mapping[str, object] | str) -> Path:
    """A study file in `folder`, from its keys or as it stands."""
    path = folder / "study.toml"
    path.write_text(raw if isinstance(raw, str) else file_text(raw), encoding="utf-8")
    return path


def changed(raw: Mapping[str, Any], changes: Mapping[str, object]) -> dict[str, Any]:
    """A copy of `raw` with dotted keys set or removed."""
    new = copy.deepcopy(dict(raw))
    for key, value in changes.items():
        *tables, last = key.split("/")
        table = new
        for name in tables:
            if not isinstance(table.get(name), dict):
                table[name] = {}
            table = table[name]
        if value is REMOVE:
            del table[last]
        else:
            table[last] = value
    return new


def problems_of(folder: Path, raw: Mapping[str, object] | str) -> tuple[str, ...]:
    """What is wrong with the file; there has to be something."""
    with pytest.raises(StudyFileError) as caught:
        load(write(folder, raw))
    assert caught.value.exit_code == 2
    assert "study.toml" in str(caught.value)
    return caught.value.problems
