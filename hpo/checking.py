"""What `hpo check` and `hpo data` say: plain values first, then tables of them."""

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from hpo import data, samplers
from hpo.errors import UsageError
from hpo.prepare import Prepared, read_data
from hpo.sizes import parameter_counts
from hpo.space import describe
from hpo.study import data_table as read_table


def plan(prepared: Prepared, *, sizes: bool) -> dict[str, Any]:
    """Everything that a launch of this study would work with, JSON-ready.

    Args:
        sizes: count the parameters of some models, which takes seconds.
    """
    loaded, definition = prepared.data, prepared.definition
    groups, labels = loaded.train.groups, loaded.train.y
    folds = []
    for fold in prepared.split.folds:
        parts: dict[str, Any] = {}
        for part, indices in (("train", fold.train), ("stopping", fold.stopping), ("validation", fold.validation)):
            if indices is None:
                continue
            counted = Counter(labels[indices].tolist())
            parts[part] = {
                "windows": len(indices),
                "classes": {loaded.classes[k]: counted[k] for k in sorted(counted)},
                "groups": None if groups is None else sorted(set(groups[indices].tolist())),
            }
        folds.append(parts)
    counted_sizes = parameter_counts(prepared.spaces, loaded.shape, len(loaded.classes)) if sizes else None
    return {
        "study": definition.name,
        "data": _summary(loaded),
        "split": {"by": definition.split.by, "sha256": prepared.split.sha256, "folds": folds},
        "warnings": list(prepared.warnings),
        "metric": definition.train.metric,
        "metrics": list(definition.train.metrics),
        "search": {
            "sampler": definition.search.sampler,
            "settings": samplers.countable(prepared.spaces),
            "duplicates": definition.search.duplicates,
            "pruner": definition.search.pruner.model_dump(mode="json"),
        },
        "spaces": {f: {n: describe(d) for n, d in space.items()} for f, space in prepared.spaces.items()},
        "parameters": None
        if counted_sizes is None
        else {f: {"default": c[0], "least": min(c), "most": max(c)} for f, c in counted_sizes.items()},
        "max_parameters": definition.model.max_parameters,
        "budget": definition.budget.model_dump(mode="json"),
    }


def table(found: dict[str, Any]) -> RenderableType:
    """The plan for people."""
    rows = Table.grid(padding=(0, 2))
    rows.add_row("study", Text(found["study"], style="bold"))
    _data_rows(rows, found["data"])
    folds = found["split"]["folds"]
    rows.add_row("split", f"by {found['split']['by']}, {len(folds)} fold(s), SHA-256 {found['split']['sha256'][:12]}")
    for number, parts in enumerate(folds):
        for part, what in parts.items():
            text = f"{part}: {what['windows']} windows"
            if what["groups"] is not None:
                text += f", groups {', '.join(map(str, what['groups']))}"
            rows.add_row(f"  fold {number}" if part == "train" else "", text)
    for family, space in found["spaces"].items():
        searched = {name: text for name, text in space.items() if not text.endswith("(fixed)")}
        fixed = [f"{name}={text.removesuffix(' (fixed)')}" for name, text in space.items() if name not in searched]
        rows.add_row("family", Text(family, style="bold"))
        for name, text in searched.items():
            rows.add_row("", f"{name}: {text}")
        if fixed:
            rows.add_row("", "fixed: " + ", ".join(fixed))
        if found["parameters"]:
            size = found["parameters"][family]
            rows.add_row("", f"parameters: default {size['default']:,}, {size['least']:,} to {size['most']:,} seen")
    if found["max_parameters"]:
        rows.add_row("limit", f"models over {found['max_parameters']:,} parameters end as too large, untrained")
    rows.add_row("metric", ", ".join(found["metrics"]))
    settings, pruner = found["search"]["settings"], dict(found["search"]["pruner"])
    rows.add_row(
        "sampler", found["search"]["sampler"] + ("" if settings is None else f", {settings:,} settings in all")
    )
    if settings is not None and (found["budget"]["trials"] or 0) > settings and found["search"]["sampler"] != "grid":
        again = found["search"]["duplicates"] == "reseed"
        rows.add_row("", "repeated: " + ("trained again, with other seeds" if again else "answered from the record"))
    name, keys = pruner.pop("name"), ", ".join(f"{key} {value}" for key, value in pruner.items())
    rows.add_row("pruner", name if name == "none" else f"{name}, {keys}")
    rows.add_row("budget", ", ".join(f"{k} {v:g}" for k, v in found["budget"].items() if v is not None))
    return rows


def data_listing(cache: Path) -> dict[str, Any]:
    """Sources, and data sets in the cache."""
    return {
        "sources": data.sources(),
        "cached": [
            {"name": c.name, "sha256": c.sha256, "n_train": c.n_train, "n_test": c.n_test, "shape": list(c.shape)}
            for c in data.cached(cache)
        ],
    }


def data_listing_table(found: dict[str, Any]) -> RenderableType:
    """`hpo data list` for people."""
    rows = Table.grid(padding=(0, 2))
    for name, text in found["sources"].items():
        rows.add_row("source", Text(name, style="bold"), text)
    for entry in found["cached"]:
        timesteps, channels = entry["shape"]
        size = f"{entry['n_train']}/{entry['n_test']} windows of {timesteps} x {channels}"
        rows.add_row("in cache", Text(entry["name"], style="bold"), f"{size}, SHA-256 {entry['sha256'][:12]}")
    return rows


def keys(texts: Iterable[str]) -> dict[str, Any]:
    """``KEY=VALUE`` as a study file has it; a value that is no TOML is a text without its quotes.

    Raises:
        UsageError: there is no ``=`` in it.
    """
    found: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text}: accepted: KEY=VALUE, for example --set length=128")
        try:
            found[key.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            found[key.strip()] = value.strip()
    return found


def data_summary(source: str, where: str, keys: Mapping[str, Any], cache: Path) -> dict[str, Any]:
    """One data set, read (or found in the cache).

    Args:
        where: the source's path, or the name of a data set for a source that has no path.
        keys: more keys of `[data]`.

    Raises:
        UsageError: there is no such source, or it has other keys.
        DataError: the data are missing or damaged.
    """
    place = "path" if "path" in data.get(source).Options.model_fields else "name"
    options = read_table({"source": source, place: where, **keys}, "hpo data show")
    return _summary(read_data(options, cache))


def data_table(found: dict[str, Any]) -> RenderableType:
    """`hpo data show` for people."""
    rows = Table.grid(padding=(0, 2))
    _data_rows(rows, found)
    rows.add_row("SHA-256", found["sha256"])
    return rows


def _summary(loaded: data.Loaded) -> dict[str, Any]:
    groups = loaded.train.groups
    return {
        "name": loaded.name,
        "sha256": loaded.sha256,
        "shape": list(loaded.shape),
        "padded": loaded.padded,
        "lengths_train": list(loaded.lengths_train),
        "lengths_test": None if loaded.lengths_test is None else list(loaded.lengths_test),
        "cut_test": loaded.cut_test,
        "notes": list(loaded.notes),
        "channels": list(loaded.channels),
        "n_train": len(loaded.train.y),
        "n_test": loaded.n_test,
        "classes_train": dict(zip(loaded.classes, loaded.class_counts_train, strict=True)),
        "classes_test": dict(zip(loaded.classes, loaded.class_counts_test, strict=False)),
        "groups_train": None if groups is None else sorted(set(groups.tolist())),
        "groups_test": None if loaded.test_groups is None else list(loaded.test_groups),
        "majority_train": max(loaded.class_counts_train) / len(loaded.train.y),
    }


def _data_rows(rows: Table, found: dict[str, Any]) -> None:
    timesteps, channels = found["shape"]
    rows.add_row("data", Text(found["name"], style="bold"))
    rows.add_row("", f"{found['n_train']} windows to train and validate on, {found['n_test']} in the locked test part")
    rows.add_row("", f"{timesteps} time steps x {channels} channels: {', '.join(found['channels'])}")
    if found["padded"]:
        rows.add_row("", _lengths(found))
    for note in found["notes"]:
        rows.add_row("", note)
    classes = ", ".join(f"{name} {n}" for name, n in found["classes_train"].items())
    rows.add_row("", f"classes: {classes} (the largest is {found['majority_train']:.1%})")
    if found["groups_train"] is not None:
        rows.add_row("", f"groups: {', '.join(map(str, found['groups_train']))}")


def _lengths(found: dict[str, Any]) -> str:
    """A sentence on windows that differ in length."""
    text = f"padded: {_range(found['lengths_train'])} time steps are there"
    if found["lengths_test"]:
        text += f", in the test part {_range(found['lengths_test'])}"
    return text + (f" ({found['cut_test']} longer cut)" if found["cut_test"] else "")


def _range(ends: list[int]) -> str:
    return f"{ends[0]} to {ends[1]}" if ends[0] < ends[1] else str(ends[0])
