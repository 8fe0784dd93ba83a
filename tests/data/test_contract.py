"""What holds for every source, found by its file in hpo/data and by its section in docs/sources.md."""

import json
import random
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from hpo.data import SourceOptions, get, is_path, load, sources, tables
from hpo.errors import DataError, UsageError
from hpo.study import data_table
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
SOURCES = tables()
HEAVY = {"aeon", "keras", "numba", "pandas", "pyarrow", "scipy", "sklearn", "tensorflow"}


def section(name: str) -> str:
    """What the page says of a source."""
    found = re.search(rf"^## {name}\n(.*?)(?=^## )", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, f"docs/sources.md has no section {name}"
    return found[1]


def block(name: str, language: str) -> str | None:
    """The first block of code in a source's section."""
    found = re.search(rf"^```{language}\n(.*?)^```", section(name), re.MULTILINE | re.DOTALL)
    return found and found[1]


def example(name: str) -> dict[str, Any]:
    """The table [data] of a source's section."""
    table: dict[str, Any] = tomllib.loads(block(name, "toml") or "")["data"]
    return table


MADE = [name for name in SOURCES if block(name, "python") or not any(map(is_path, SOURCES[name].model_fields))]


def test_sources_are_described() -> None:
    """Every source has a one-line description, and shared modules are no sources."""
    found = sources()
    assert {"bundled", "uci_har", "ucr"} <= found.keys() == SOURCES.keys()
    assert "split" not in found
    for name, description in found.items():
        assert description.endswith("."), name
        assert "\n" not in description


def test_import_is_light() -> None:
    """Importing the package, all sources and the splitter loads none of the heavy libraries."""
    code = (
        "import sys, hpo.data, hpo.data.split; hpo.data.sources(); hpo.data.tables();"
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert out.stdout.strip() == "[]"


def test_an_unknown_source() -> None:
    """An unknown source is a mistake of usage, answered with the nearest name; a shared module is none."""
    with pytest.raises(UsageError, match="unknown data source 'uci_ha'; did you mean 'uci_har'"):
        get("uci_ha")
    with pytest.raises(UsageError, match="unknown data source '_cache'"):
        get("_cache")


@pytest.mark.parametrize("name", SOURCES)
def test_options(name: str) -> None:
    """The table is called like the module, every key says what it accepts, and paths are text."""
    table = SOURCES[name]
    assert issubclass(table, SourceOptions)
    assert get_args(table.model_fields["source"].annotation) == (name,)
    assert table.model_fields["source"].default == name
    for key, field in table.model_fields.items():
        if key != "source":
            assert field.description, key
        if is_path(key):
            assert field.annotation in (str, str | None), key


@pytest.mark.parametrize("name", SOURCES)
def test_the_page(name: str) -> None:
    """The page has the source in its table, and a section with an example and all keys with their defaults."""
    assert re.search(rf"^\| `{name}` \| ", PAGE, re.MULTILINE)
    assert data_table(example(name), "the page").source == name
    rows = re.findall(r"^\| `([a-z_]+)` \| ([^|]+) \| [^|]+ \|$", section(name), re.MULTILINE)
    own = {key: field for key, field in SOURCES[name].model_fields.items() if key not in SourceOptions.model_fields}
    defaults = {
        key: "required" if field.is_required() else "none" if field.default is None else json.dumps(field.default)
        for key, field in own.items()
    }
    assert dict(rows[: len(own)]) == defaults


@pytest.mark.parametrize("name", MADE)
def test_the_example_is_read(name: str, tmp_path: Path) -> None:
    """The section's Python makes the files that its [data] reads; another folder and another time give the same."""
    found = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        subprocess.run([sys.executable, "-c", block(name, "python") or ""], cwd=folder, check=True)
        options = data_table(example(name), "the page").at(folder)
        found.append(load(options, tmp_path / "cache"))
        assert get(name).fingerprint(options) == get(name).fingerprint(options)
    assert found[0].sha256 == found[1].sha256
    assert found[0].train.x.dtype == np.float32
    assert found[0].train.x.shape == (len(found[0].train.y), *found[0].shape)
    assert min(found[0].class_counts_train) > 0


def junk(kind: str, path: Path) -> None:
    """Something at a path that is no data set."""
    match kind:
        case "empty":
            path.write_bytes(b"")
        case "noise":
            path.write_bytes(random.Random(0).randbytes(2000))  # the same in every run
        case "folder":
            path.mkdir()
        case "text":
            path.write_text('a;b\n1,2,3\n\n"c\n')


@pytest.mark.parametrize("kind", ["nothing", "empty", "noise", "folder", "text"])
@pytest.mark.parametrize("name", [name for name, table in SOURCES.items() if "path" in table.model_fields])
def test_what_is_no_data_set(name: str, kind: str, tmp_path: Path) -> None:
    """Whatever lies at the path, it is refused by name as data are, and never by another exception."""
    path = tmp_path / "junk"
    junk(kind, path)
    options = data_table(example(name) | {"path": "junk"}, "the page").at(tmp_path)
    with pytest.raises(DataError, match="junk"):
        load(options, tmp_path / "cache")
