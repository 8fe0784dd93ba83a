"""What other programs read: nothing is lost on the way, and nothing is run."""

import csv
import io
import json
import math
import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hpo.formats import cell, to_csv, to_json, to_toml

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))


@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_everything_comes_back(value: dict[str, Any]) -> None:
    """JSON and TOML give the same values back, numbers to the last bit."""
    for back in (json.loads(to_json(value)), tomllib.loads(to_toml(value))):
        assert back == value
        assert json.dumps(back, sort_keys=True) == json.dumps(value, sort_keys=True)  # 1 and 1.0, 0.0 and -0.0


@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_numbers_of_a_table_come_back(values: list[float]) -> None:
    """A float reads back to the last bit."""
    (row,) = list(csv.DictReader(io.StringIO(to_csv([{f"v{i}": value for i, value in enumerate(values)}]))))
    assert [float(text) for text in row.values()] == values


@given(TEXT)
def test_no_text_is_a_formula(text: str) -> None:
    """No field of a table opens like a formula, and a text that does not is left as it is."""
    (head,), (field,) = csv.reader(io.StringIO(to_csv([{"name": text or "-"}]), newline=""))
    assert head == "name"
    if field.startswith(("=", "+", "-", "@", "\t", "\r", "\n")):
        assert not math.isnan(float(field))  # unless it is a number
    assert field.removeprefix("'").splitlines() == (text or "-").removeprefix("'").splitlines()


def test_a_number_is_no_formula() -> None:
    """A text that is a number with a sign stays as it is; what only opens like one does not."""
    for text in ("-3", "+3", "-0.5", "-.5", "+1e-7", "3"):
        assert cell(text) == text
    for text in ("-", "-3+1", "+cmd", "-3\n", "-inf", "-nan", "--3", "-1_0", "-٣", "=3", "@3", "-3 "):
        assert cell(text).startswith("'")


def test_what_has_no_word() -> None:
    """No number and no value: null in JSON, left out or nan in TOML, an empty field in a table."""
    value = {"a": None, "b": math.nan, "c": [1, None]}
    assert json.loads(to_json(value)) == {"a": None, "b": None, "c": [1, None]}
    toml = tomllib.loads(to_toml(value))
    assert toml.keys() == {"b", "c"}
    assert math.isnan(toml["b"])
    assert to_csv([{"a": None, "b": True}, {"c": -1.5}]) == "a,b,c\n,true,\n,,-1.5"
