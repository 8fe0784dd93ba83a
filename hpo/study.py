"""Study files: read, with every mistake named at once; stored as JSON; told apart by what may not change."""

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hpo import data, pruners
from hpo.data import SourceOptions, is_path
from hpo.data.split import DRAWN, By
from hpo.errors import StudyFileError, nearest
from hpo.folders import names
from hpo.study_file import SIBLINGS, Search, Split, StudyDef, Train
from hpo.study_space import ENTRY, FORMS, FamilySpace
from hpo.study_table import keys, shown
from hpo.training import TRAINING

__all__ = ["MAX_BYTES", "StudyDef", "data_table", "differences", "digest", "from_json", "load", "to_json"]

# A study file is written by hand; anything larger is the wrong file.
MAX_BYTES = 1 << 20

# May change under an old name: they say how long, how patiently and who is told, not what is searched. So may the paths
# of the data, which go by their hash.
_FREE = ("budget", "notify", "train.stall_minutes")


def load(path: Path) -> StudyDef:
    """The study that a TOML file defines.

    The paths of `data` stay as they are written: relative to the folder of the study file.

    Raises:
        StudyFileError: the file cannot be read, is no TOML, or says something wrong; all mistakes at once.
    """
    source = str(path)
    raw = _read(path)
    definition, problems = _build(raw)
    problems += _contradictions(raw)
    if problems or definition is None:
        raise StudyFileError(source, problems)
    return definition


def to_json(definition: StudyDef) -> str:
    """The definition as canonical JSON: sorted keys, defaults included."""
    return json.dumps(definition.plain(), sort_keys=True, separators=(",", ":"))


def from_json(text: str) -> StudyDef:
    """The definition that `to_json` wrote.

    Raises:
        StudyFileError: the text is none, or was written by a version that knows other keys.
    """
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise StudyFileError("stored study", [f"is no JSON: {error}"]) from error
    definition, problems = _build(_set(_tuples(raw)))
    if definition is None:
        raise StudyFileError("stored study", problems)
    return definition


def data_table(raw: Mapping[str, Any], where: str) -> SourceOptions:
    """The table `[data]` alone, as a command makes it up.

    Args:
        raw: its keys, of which `source` is a source's name.
        where: what it comes from, for the message.

    Raises:
        StudyFileError: it says something wrong; all mistakes at once.
        UsageError: there is no such source.
    """
    table = data.get(raw["source"]).Options
    try:
        return table.model_validate(_tuples(raw))
    except ValidationError as error:
        raise StudyFileError(where, _worded(error, {"data": raw}, ("data",))) from error


def digest(definition: StudyDef) -> str:
    """SHA-256 of everything that may not change under an old name (all but `_FREE`)."""
    fixed = {key: value for key, value in sorted(_flat(definition.plain()).items()) if not _free(key)}
    return hashlib.sha256(json.dumps(fixed, separators=(",", ":")).encode()).hexdigest()


def differences(old: StudyDef, new: StudyDef) -> list[str]:
    """What keeps `new` from going on under the name of `old`: ``key: old -> new``, free keys left out."""
    before, after = _flat(old.plain()), _flat(new.plain())
    return [
        f"{key}: {_plain(before, key)} -> {_plain(after, key)}"
        for key in dict.fromkeys([*before, *after])
        if not _free(key) and (key not in before or key not in after or _plain(before, key) != _plain(after, key))
    ]


def _plain(flat: Mapping[str, Any], key: str) -> str:
    return json.dumps(flat[key]) if key in flat else "(not set)"


def _free(key: str) -> bool:
    table, _, name = key.partition(".")
    return (table == "data" and is_path(name)) or any(key == free or key.startswith(f"{free}.") for free in _FREE)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted keys of all leaves that are set; an empty table has none."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        elif value is not None:
            flat[f"{prefix}{name}"] = value
    return flat


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise StudyFileError(str(path), ["there is no such file"]) from error
    except OSError as error:
        raise StudyFileError(str(path), [f"the file cannot be read: {error.strerror}"]) from error
    if len(content) > MAX_BYTES:
        raise StudyFileError(str(path), ["the file is larger than 1 MiB; a study file has a few lines"])
    try:
        # Editors on Windows put a byte-order mark in front, which TOML does not know.
        raw = tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise StudyFileError(str(path), [f"line {line} is not UTF-8; save the file with that encoding"]) from error
    except (ValueError, RecursionError) as error:
        # ValueError also covers whole numbers of more digits than Python converts.
        detail = "tables or lists lie too deep in each other" if isinstance(error, RecursionError) else str(error)
        raise StudyFileError(str(path), [f"is not valid TOML: {detail}"]) from error
    frozen: dict[str, Any] = _tuples(raw)
    return frozen


def _tuples(value: Any) -> Any:
    """Lists as tuples: a strict model takes no list for a tuple."""
    if isinstance(value, dict):
        return {name: _tuples(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return tuple(_tuples(inner) for inner in value)
    return value


def _set(value: Any) -> Any:
    """Without the nulls: a key that may have none is left out, as in a file."""
    return {k: _set(v) for k, v in value.items() if v is not None} if isinstance(value, dict) else value


def _build(raw: object) -> tuple[StudyDef | None, list[str]]:
    try:
        return StudyDef.model_validate(raw), []
    except ValidationError as error:
        return None, _worded(error, raw)


def _worded(error: ValidationError, raw: object, inside: tuple[str, ...] = ()) -> list[str]:
    """Every mistake in our words. `inside`: the place in `raw` of what was validated."""
    firsts: dict[str, str] = {}
    for details in error.errors(include_url=False):
        key, text = _problem({**details, "loc": (*inside, *details["loc"])}, raw)
        # One mistake in a union is reported once for each of its members.
        firsts.setdefault(key, text)
    return [f"{key}: {text}" if key else text for key, text in firsts.items()]


def _problem(details: ErrorDetails, raw: object) -> tuple[str, str]:
    """Key and wording of one of pydantic's errors. None of pydantic's own words get through."""
    key, accepted, table = _locate(details["loc"], raw)
    got = details["input"]
    match details["type"]:
        case "value_error":
            return key, str(details["ctx"]["error"])
        case "missing":
            return key, f"is missing; accepted: {accepted}"
        case "extra_forbidden":
            name = str(details["loc"][-1])
            if key == f"train.{name}" and name in TRAINING:
                return key, f"is a hyperparameter; it belongs into [space]: {name} = ..., a range or a list of choices"
            of = f" of source {table.model_fields['source'].default!r}" if issubclass(table, SourceOptions) else ""
            return key, f"unknown key{of}; {nearest(name, keys(table))}"
        case "literal_error" if isinstance(got, str):
            choices = re.findall("'([^']*)'", details["ctx"]["expected"])
            return key, f"got {shown(got)}; {nearest(got, choices)}"
        case _:
            return key, f"got {shown(got)}; accepted: {accepted}"


def _locate(loc: tuple[int | str, ...], raw: Any) -> tuple[str, str, type[BaseModel]]:
    """Dotted key, accepted values and table of an error's place.

    What follows a field that is no table (a list's index, the member of a union) is left out: the field's own
    description covers it.
    """
    table: type[BaseModel] = StudyDef
    key, accepted, rest = "", "tables and keys", loc
    if len(loc) >= 2 and loc[0] == "space":
        # (space, NAME, entry, FORM, ...), or for one family (space, FAMILY, family, entries, NAME, FORM, ...)
        steps, rest = ((loc[1], loc[4]), loc[5:]) if len(loc) > 4 and loc[3] == "entries" else (loc[1:2], loc[3:])
        key, accepted, entry = "space", ENTRY, raw["space"]
        for step in steps:
            key, entry = f"{key}.{_printable(step)}", entry[step]
        if rest[:1] == ("entries",):
            return key, FamilySpace.model_fields["entries"].description or "", table
        # the short forms have no keys of their own
        if not rest or not isinstance(entry, Mapping):
            return key, accepted, table
        table, rest = FORMS[str(rest[0])], rest[1:]
    for i, part in enumerate(rest):
        field = keys(table).get(str(part))
        key = f"{key}.{_printable(part)}".lstrip(".")
        if field is None:
            break
        accepted = field.description or ""
        if part == "when" and len(rest) > i + 1:
            key = f"{key}.{_printable(rest[i + 1])}"
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            break
        # which keys a pruner and a source have depends on their names
        if field.annotation is pruners.Pruner:
            table = _table_of_pruner(raw)
        elif field.annotation is SourceOptions:
            table = _table_of_source(raw)
        else:
            table = field.annotation
    return key, accepted, table


def _table_of_pruner(raw: Any) -> type[BaseModel]:
    pruner = raw["search"]["pruner"]
    known = isinstance(pruner, Mapping) and pruner.get("name") in pruners.names()
    return pruners.get(pruner["name"]) if known else pruners.Pruner


def _table_of_source(raw: Any) -> type[BaseModel]:
    table = raw.get("data")
    known = isinstance(table, Mapping) and table.get("source") in names("data")
    return data.get(table["source"]).Options if known else SourceOptions


def _printable(part: int | str) -> str:
    text = str(part)
    return text if text.isprintable() else repr(text)


def _contradictions(raw: Mapping[str, Any]) -> list[str]:
    """What is wrong between keys that are fine one by one. Judges the raw file, so that it comes with all else."""
    tables = {name: value for name, value in raw.items() if isinstance(value, Mapping)}
    split = tables.get("split", {})
    problems = _name(raw.get("name"))
    problems += _pruner(tables.get("search", {}), tables.get("train", {}), split)
    problems += _split(split)
    if "budget" in tables and not {"trials", "hours"} & set(tables["budget"]):
        problems.append("budget: has no end; give trials, hours, or both")
    return problems


def _name(name: object) -> list[str]:
    parent, slash, sibling = name.partition("/") if isinstance(name, str) else ("", "", "")
    if slash and sibling in SIBLINGS:
        return [f"name: got {shown(name)}; such names are hpo's own, for what it puts beside the study {parent!r}"]
    return []


def _split(split: Mapping[str, Any]) -> list[str]:
    by, folds = split.get("by"), split.get("folds", 1)
    if by in get_args(By) and by not in DRAWN:
        return [
            f"split.{key}: has no effect with by = {by!r}: the data say which folds there are; leave it out"
            for key in ("folds", "repeats", "validation")
            if key in split
        ]
    if isinstance(folds, int) and folds > 1 and "validation" in split:
        return [f"split.validation: has no effect with {folds} folds: each is the validation part once"]
    return []


def _pruner(search: Mapping[str, Any], train: Mapping[str, Any], split: Mapping[str, Any]) -> list[str]:
    if "pruner" not in search:
        return []
    metrics, name = train.get("metric"), search["pruner"]
    name = name.get("name") if isinstance(name, Mapping) else name
    if isinstance(metrics, tuple) and len(metrics) > 1 and name in pruners.names() and name != "none":
        return [
            f"search.pruner: got {shown(name)}; with several metrics in train.metric no trial is pruned, because one "
            "that is bad by the first may be good by another; leave it out"
        ]
    try:
        pruner = Search.model_validate({"pruner": search["pruner"]}).pruner
        epochs = Train.model_validate({k: v for k, v in train.items() if k == "max_epochs"}).max_epochs
        keys = {k: v for k, v in split.items() if k in ("folds", "repeats")}
        by = split.get("by") if split.get("by") in get_args(By) else DRAWN[0]
        folds = Split.model_validate({"by": by} | keys).count()
    except ValidationError:
        return []  # named already
    return [] if folds is None else pruner.unfit(epochs, folds)
