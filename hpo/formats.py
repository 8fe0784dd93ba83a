"""How results are written for other programs, and files of ours are read again. Knows neither studies nor trials."""

import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# What opens a formula in a spreadsheet, where text from somebody else's file would then be run.
_FORMULA = ("=", "+", "-", "@", "\t", "\n")
_NUMBER = re.compile(r"[+-]([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def finite(value: Any) -> Any:
    """`value` with null for every number that JSON does not know: a score that could not be computed is NaN."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {name: finite(inner) for name, inner in value.items()}
        case list() | tuple():
            return [finite(inner) for inner in value]
        case _:
            return value


def size(number: int) -> str:
    """Bytes with a unit: ``512 B``, ``1.5 MB``; powers of 1000."""
    if number < 1000:
        return f"{number} B"
    value = float(number)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 1000:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} TB"


def to_json(value: Any, *, indent: int | None = 2) -> str:
    """Indented JSON, or on one line with `indent` None; numbers that are none become null."""
    return json.dumps(finite(value), indent=indent, ensure_ascii=False, allow_nan=False)


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None where there is none, or none that can be read."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def to_toml(value: Mapping[str, Any]) -> str:
    """The mapping as TOML; what is None is left out, for TOML has no word for it."""
    import tomlkit  # takes a while, and only this needs it

    return tomlkit.dumps(_without_none(value)).rstrip("\n")


def _without_none(value: Any) -> Any:
    match value:
        case dict():
            return {name: _without_none(inner) for name, inner in value.items() if inner is not None}
        case list() | tuple():
            return [_without_none(inner) for inner in value if inner is not None]
        case _:
            return value


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line of names, then one for each row; a row without a value for a name has an empty field there.

    Numbers read back to the last bit. A text that a spreadsheet would take for a formula, and that is no number,
    gets an apostrophe in front.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow([cell(name) for name in names])
    lines.writerows([[cell(row.get(name)) for name in names] for row in rows])
    return out.getvalue().rstrip("\n")


def cell(value: Any) -> Any:
    """What to give a CSV's writer for a value, such that no spreadsheet takes a text for a formula."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            lines = "\n".join(value.splitlines()) if "\r" in value else value  # the writer does not quote a bare \r
            return f"'{lines}" if lines.startswith(_FORMULA) and not _NUMBER.fullmatch(lines) else lines
        case _:
            return value
