"""From a source's files to verified arrays in the cache: parsed once, the test part kept apart and closed."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hpo.data import _cache
from hpo.data._dataset import Dataset, Part, class_counts
from hpo.data._lengths import lengths
from hpo.data._overlap import copies
from hpo.data._source import SourceOptions, get, read
from hpo.errors import DataError
from hpo.formats import read_json

# Part of the key under which a parsed file is remembered: raise it when a source reads the same file differently.
PARSER = 2


@dataclass(frozen=True, eq=False)
class Loaded:
    """A data set in the cache. Of the test part it knows only what was noted when it was written.

    Attributes:
        name: for humans.
        sha256: hash of the content, which names the cache's folders.
        classes: class names in label order. channels: channel names.
        shape: (timesteps, channels) of every sample, padding included.
        train: arrays of the training part, memory-mapped and read-only.
        n_test: samples of the test part; 0 where there is none.
        class_counts_train, class_counts_test: samples of each class; the latter is empty where there is no test part.
        test_groups: sorted groups of the test part, for example subjects; None where there are none.
        padded: samples differ in length.
        lengths_train, lengths_test: time steps of the shortest and of the longest sample; the latter None where there
            is no test part.
        cut_test: test samples that lost their end, being longer than all of training.
        notes: sentences on what was left out or changed when the files were read.
        copies: test samples that are in the training part too, value for value.
    """

    name: str
    sha256: str
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    shape: tuple[int, int]
    train: Part
    n_test: int
    class_counts_train: tuple[int, ...]
    class_counts_test: tuple[int, ...]
    test_groups: tuple[int, ...] | None
    padded: bool
    lengths_train: tuple[int, int]
    lengths_test: tuple[int, int] | None
    cut_test: int
    notes: tuple[str, ...] = ()
    copies: int = 0


@dataclass(frozen=True)
class Cached:
    """One data set on disk, as `hpo data list` shows it. Attributes as of `Loaded`; `size` is in bytes."""

    name: str
    sha256: str
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    shape: tuple[int, int]
    n_train: int
    n_test: int
    size: int
    path: Path


def load(options: SourceOptions, cache: Path) -> Loaded:
    """The data set, parsed unless the cache already holds the same files' content.

    However many processes ask at once, one parses and the others wait. The training arrays are verified by hash,
    the test arrays only by their size: nothing here opens them, unless they have to be written.

    Args:
        options: the source, and what to read; relative paths count from the working directory.
        cache: the cache's root folder; made if need be.

    Raises:
        DataError: the files are missing, damaged or not usable, or the cache cannot be written.
        MissingExtra: the library that the source reads with is not installed.
    """
    raw = get(options.source).fingerprint(options)
    key = hashlib.sha256(json.dumps([PARSER, options.settings(), raw]).encode()).hexdigest()
    record = cache / "parsed" / f"{key}.json"
    found = _look_up(cache, record)
    if found is not None:
        return found
    with _cache.lock(cache, f"parsed-{key}"):
        found = _look_up(cache, record)
        if found is not None:
            return found
        dataset = read(options)
        if get(options.source).fingerprint(options) != raw:
            raise DataError(
                f"{options.place()}: the files changed while they were read; try again when they are at rest"
            )
        _store(cache, dataset)
        with _cache.writing(cache):
            test = dataset.test
            note = {
                "sha256": dataset.sha256,
                "name": dataset.name,
                "notes": dataset.notes,
                # now, because nobody opens the test part later to count
                "copies": 0 if test is None else copies(dataset.train.x, test.x),
            }
            _cache.write_json(record, note)
        found = _look_up(cache, record)
    if found is None:
        raise DataError(f"the cache at {cache} does not keep what is written to it; choose another with HPO_CACHE")
    return found


def open_test(sha256: str, cache: Path) -> Part:
    """The test part, memory-mapped and verified. Only evaluation has a reason to call this, once.

    Raises:
        DataError: it is not in this cache, or it is damaged.
    """
    entry = cache / "test" / _cache.entry_name(sha256)
    problems = _cache.damage(entry)
    if problems:
        raise DataError(
            f"the test part of the data {sha256[:12]} cannot be used: {'; '.join(problems)}. "
            f"Remove {entry} if it is there, and load the data again (hpo data show)"
        )
    return _cache.open_part(entry)


def cached(cache: Path) -> list[Cached]:
    """The data sets in the cache, by name; entries whose note cannot be read are left out (a load rebuilds them)."""
    found = []
    for note in sorted((cache / "data").glob("*/" + _cache.META)):
        meta = _cache.read_meta(note.parent)
        if meta is None:
            continue
        test = meta["test"]
        files = [*meta["files"].values(), *(test["files"].values() if test else ())]
        found.append(
            Cached(
                name=meta["name"],
                sha256=meta["sha256"],
                classes=tuple(meta["classes"]),
                channels=tuple(meta["channels"]),
                shape=(meta["shape"][0], meta["shape"][1]),
                n_train=sum(meta["train"]["class_counts"]),
                n_test=sum(test["class_counts"]) if test else 0,
                size=sum(file["bytes"] for file in files),
                path=note.parent,
            )
        )
    return sorted(found, key=lambda entry: (entry.name, entry.sha256))


def _look_up(cache: Path, record: Path) -> Loaded | None:
    """What the record speaks of; None where it is not there, or not whole."""
    known = read_json(record)
    if known is None or not _cache.is_sha256(known.get("sha256")):
        return None
    entry = cache / "data" / known["sha256"]
    meta = _cache.read_meta(entry)
    if meta is None or _cache.damage(entry):
        return None
    test = meta["test"]
    test_entry = cache / "test" / known["sha256"]
    if test and (not (test_entry / _cache.META).exists() or _cache.changed_sizes(test_entry, test["files"])):
        return None
    return Loaded(
        name=known["name"],
        sha256=meta["sha256"],
        classes=tuple(meta["classes"]),
        channels=tuple(meta["channels"]),
        shape=(meta["shape"][0], meta["shape"][1]),
        train=_cache.open_part(entry),
        n_test=sum(test["class_counts"]) if test else 0,
        class_counts_train=tuple(meta["train"]["class_counts"]),
        class_counts_test=tuple(test["class_counts"]) if test else (),
        test_groups=tuple(test["groups"]) if test and test["groups"] is not None else None,
        notes=tuple(known.get("notes", ())),
        copies=known.get("copies", 0),
        padded=meta["padded"],
        lengths_train=(meta["train"]["lengths"][0], meta["train"]["lengths"][1]),
        lengths_test=(test["lengths"][0], test["lengths"][1]) if test else None,
        cut_test=test["cut"] if test else 0,
    )


def _store(cache: Path, dataset: Dataset) -> None:
    """Writes both parts, each into its own folder. The training part's note also speaks of the test part."""
    common = {
        "name": dataset.name,
        "classes": dataset.classes,
        "channels": dataset.channels,
        "shape": dataset.train.x.shape[1:],
        "padded": dataset.padded,
    }
    test: _cache.Json | None = None
    if dataset.test is not None:
        held_out = dataset.test
        test = {**_about(held_out, dataset.classes), "cut": dataset.cut}

        def write_test(folder: Path) -> None:
            _cache.write_meta(folder, dataset.sha256, _cache.write_part(folder, held_out), {**common, "test": test})

        entry = cache / "test" / dataset.sha256
        _cache.ensure(cache, entry, write_test)
        # With these a load sees that a file is gone without opening anything of the test part.
        test = {**test, "files": (_cache.read_meta(entry) or {})["files"]}

    def write_train(folder: Path) -> None:
        note = {**common, "train": _about(dataset.train, dataset.classes), "test": test}
        _cache.write_meta(folder, dataset.sha256, _cache.write_part(folder, dataset.train), note)

    _cache.ensure(cache, cache / "data" / dataset.sha256, write_train)


def _about(part: Part, classes: tuple[str, ...]) -> _cache.Json:
    """What the note says of a part; `groups` are the distinct ones, sorted, `lengths` the shortest and the longest."""
    groups = None if part.groups is None else [int(g) for g in np.unique(part.groups)]
    steps = lengths(part.x)
    return {
        "samples": len(part.y),
        "class_counts": class_counts(part.y, len(classes)),
        "groups": groups,
        "lengths": [int(steps.min()), int(steps.max())],
    }
