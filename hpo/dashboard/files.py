"""A trial's files, and the pictures that are drawn from them when somebody looks. Knows no database."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hpo.artifacts import Entry
from hpo.curves import CURVES, REPORT
from hpo.dashboard import headers
from hpo.dashboard.sheet import sheet
from hpo.dashboard.wire import Answer
from hpo.formats import read_json
from hpo.plots import Figure
from hpo.plots.scores import by_class, by_group, confusion
from hpo.plots.training import curves

# What a file is said to be; all else is bytes, whatever its name says.
KINDS = {".json": "application/json", ".txt": "text/plain; charset=utf-8"}
BYTES = "application/octet-stream"
MOST_GROUPS = 60  # that a picture shows
_CHUNK = 1 << 16
_SHOWN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
PICTURES = {
    "curves.svg": ("learning curves", CURVES),
    "confusion.svg": ("confusion matrix", REPORT),
    "classes.svg": ("scores class by class", REPORT),
    "groups.svg": ("scores group by group", REPORT),
}


def folder(root: Path, place: Path) -> Path | None:
    """A trial's folder; None where there is none here, or where its record leads out of `root`."""
    place = place.resolve()
    return place if place.is_dir() and place.is_relative_to(root.resolve()) else None


def listed(place: Path) -> list[str]:
    """Names of the files that may be looked at, sorted."""
    names = (file.name for file in place.iterdir() if file.is_file() and not file.is_symlink())
    return sorted(name for name in names if _SHOWN.fullmatch(name))


def stored(entries: Iterable[Entry]) -> dict[str, list[str]]:
    """The same of a store that is no folder here: folder -> names."""
    found: dict[str, list[str]] = {}
    for entry in entries:
        place, _, name = entry.name.rpartition("/")
        if _SHOWN.fullmatch(name):
            found.setdefault(place, []).append(name)
    return found


def key(name: str) -> str:
    """A file's name as an address has it."""
    return name.encode().hex()


def find(place: Path, wanted: str) -> Path | None:
    """The file with this key; None if the folder itself does not hold it."""
    return next((place / name for name in listed(place) if key(name) == wanted), None)


def kind(name: str) -> str:
    """The content type of a file."""
    return KINDS.get(Path(name).suffix, BYTES)


def sent(file: Path) -> Answer:
    """A file as a download: no browser shows it as a page of ours."""
    said = (
        ("Content-Type", kind(file.name)),
        ("Content-Length", str(file.stat().st_size)),
        ("Content-Disposition", f'attachment; filename="{file.name}"'),
        ("Content-Security-Policy", headers.FILE),
    )
    return Answer(200, _Pieces(file), said)


class _Pieces:
    """A file's content, piece by piece; a WSGI server closes it."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("rb")

    def __iter__(self) -> Iterator[bytes]:
        while piece := self._file.read(_CHUNK):
            yield piece

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def pictures(names: list[str], *, grouped: bool) -> list[tuple[str, str]]:
    """Titles and names of the pictures that can be drawn from these files, for studies that split by group or not."""
    found = [(title, name) for name, (title, source) in PICTURES.items() if source in names]
    return [(title, name) for title, name in found if grouped or name != "groups.svg"]


def picture(place: Path, name: str, of: str, *, seen: bool) -> str | None:
    """A picture of a trial as SVG; None where there is nothing to draw.

    Args:
        place: the trial's folder.
        name: of `PICTURES`.
        of: which trial, in words.
        seen: its scores come from data that it was trained on, and not from validation.
    """
    if name not in PICTURES:
        return None
    value = read_json(place / PICTURES[name][1])
    figures = [] if value is None else _figures(name, value, place, of, seen=seen)
    return sheet(figures) if figures else None


def _figures(name: str, value: Mapping[str, Any], place: Path, of: str, *, seen: bool) -> list[Figure]:
    windows = f"windows that {of} has seen" if seen else f"the validation windows of {of}"
    match name:
        case "curves.svg":
            report = read_json(place / REPORT) or {}
            part = "seen data" if seen else "validation"
            return curves(value["folds"], key="curves", of=of, best_epochs=report.get("best_epochs", ()), part=part)
        case "confusion.svg":
            return [confusion(value["classes"], value["confusion_matrix"], key="confusion", of=windows)]
        case "classes.svg":
            return [by_class(value["per_class"], key="classes", of=windows)]
    groups = dict(list((value["per_group"] or {}).items())[:MOST_GROUPS])
    metric = value["metric"]
    return [by_group(groups, metric, key="groups", of=windows, mean=value["metrics"].get(metric))] if groups else []
