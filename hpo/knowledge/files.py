"""Settings from the files that `hpo export` writes, to be tried first."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpo.errors import StudyFileError
from hpo.knowledge.found import FREE, Knowledge
from hpo.prepare import Prepared
from hpo.space import Params
from hpo.store import Start
from hpo.study import MAX_BYTES
from hpo.study_file import Train
from hpo.study_table import shown
from hpo.transfer import transfer


def from_file(path: Path, prepared: Prepared) -> Knowledge:
    """The settings in a parameters file, each exactly as it stands there.

    Raises:
        StudyFileError: the file cannot be read, or a setting does not fit the study; all reasons at once.
    """
    documents = _documents(path)
    problems: list[str] = []
    starts, lines = [], []
    for place, document in enumerate(documents):
        where = "" if len(documents) == 1 else f"number {place + 1}: "
        setting = _setting(document)
        if isinstance(setting, str):
            problems.append(where + setting)
            continue
        params, reasons = transfer(*setting, prepared.spaces)
        problems += [f"{where}{reason}" for reason in reasons]
        if not reasons:
            starts.append(Start(params=params, origin=str(path)))
            lines.append(f"{path}: {where}to be tried once{_otherwise(document, prepared.definition.train)}")
    if problems:
        raise StudyFileError(f"{path} does not fit study {prepared.definition.name!r}", problems)
    return Knowledge(starts=tuple(starts), lines=tuple(lines))


def _documents(path: Path) -> list[Any]:
    """What `hpo export` wrote: one document, or a list of them."""
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise StudyFileError(str(path), ["there is no such file"]) from error
    except OSError as error:
        raise StudyFileError(str(path), [f"the file cannot be read: {error.strerror}"]) from error
    if len(content) > MAX_BYTES:
        raise StudyFileError(str(path), ["the file is larger than 1 MiB; `hpo export` writes less"])
    try:
        text = content.decode("utf-8-sig")
        raw = tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text)
    except (ValueError, RecursionError) as error:
        kind = "TOML" if path.suffix.lower() == ".toml" else "JSON"
        raise StudyFileError(str(path), [f"is not valid {kind} (by its ending): {error}"]) from error
    if isinstance(raw, dict) and isinstance(raw.get("trials"), list):
        raw = raw["trials"]
    return raw if isinstance(raw, list) else [raw]


def _setting(document: Any) -> tuple[str, Params] | str:
    """Family and hyperparameters of a document, or why it has none."""
    accepted = "accepted: a file of `hpo export`, with the keys model, params and train"
    if not isinstance(document, dict) or not isinstance(document.get("model"), str):
        return f"model: is missing; {accepted}"
    params: Params = {}
    for table in ("params", "train"):
        values = document.get(table, {})
        if not isinstance(values, dict):
            return f"{table}: got {shown(values)}; {accepted}"
        for name, value in values.items():
            if not isinstance(value, bool | int | float | str):
                return f"{table}.{name}: got {shown(value)}; accepted: a number, a text or a boolean"
            if not (table == "train" and name in Train.model_fields):
                params[name] = value
    return document["model"], params


def _otherwise(document: Mapping[str, Any], train: Train) -> str:
    """What the study fixes otherwise than the study that the file comes from."""
    there, here = document.get("train", {}), train.model_dump(mode="json")
    other = [
        f"{key} = {here[key]}, not {there[key]}"
        for key in Train.model_fields
        if key in there and key not in FREE and there[key] != here[key]
    ]
    return f", with the study's own {', '.join(other)}" if other else ""
