"""The cache: built once, mapped, verified, rebuilt when damaged."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hpo.data import Raw, _cache, cached, open_test, read, ucr
from hpo.errors import DataError
from tests.data.files import get, leftovers, remove, shorten, spoil, write_pair


def test_load_gives_what_the_source_read(pair: Path, cache: Path) -> None:
    """The cached arrays equal the parsed ones, and are mapped read-only from the data folder."""
    data, raw = get(pair, cache), read(ucr.Options(path=str(pair)))
    assert (data.name, data.sha256, data.classes, data.channels) == ("Tiny", raw.sha256, ("0", "1"), ("channel_0",))
    assert data.shape == (8, 1)
    assert (data.class_counts_train, data.class_counts_test, data.n_test) == ((6, 6), (3, 3), 6)
    assert data.test_groups is None
    np.testing.assert_array_equal(data.train.x, raw.train.x)
    np.testing.assert_array_equal(data.train.y, raw.train.y)
    assert isinstance(data.train.x, np.memmap)
    assert not data.train.x.flags.writeable
    assert Path(str(data.train.x.filename)).parent == cache / "data" / data.sha256
    test = open_test(data.sha256, cache)
    assert raw.test is not None
    np.testing.assert_array_equal(test.x, raw.test.x)
    assert isinstance(test.x, np.memmap)
    assert Path(str(test.x.filename)).parent == cache / "test" / data.sha256
    assert leftovers(cache) == []


def test_note_says_what_is_there(pair: Path, cache: Path) -> None:
    """The note lists every file with its hash, the shapes and the class counts; `cached` shows it."""
    data = get(pair, cache)
    folder = cache / "data" / data.sha256
    note = json.loads((folder / "meta.json").read_text())
    assert note["name"] == "Tiny"
    assert note["train"] == {"samples": 12, "class_counts": [6, 6], "groups": None, "lengths": [8, 8]}
    assert note["test"]["class_counts"] == [3, 3]
    assert note["files"] == {
        name: {"bytes": (folder / name).stat().st_size, "sha256": _cache.file_sha256(folder / name)}
        for name in ("x.npy", "y.npy")
    }
    (found,) = cached(cache)
    assert (found.name, found.sha256, found.n_train, found.n_test, found.shape) == ("Tiny", data.sha256, 12, 6, (8, 1))
    assert found.size == sum(f.stat().st_size for part in ("data", "test") for f in cache.glob(f"{part}/*/*.npy"))
    (folder / "meta.json").write_text("{")
    assert cached(cache) == []
    assert cached(cache / "nowhere") == []


def test_parsed_once(pair: Path, cache: Path, reads: list[str], tmp_path: Path) -> None:
    """The same content is parsed once, wherever its files lie; other content is parsed."""
    first = get(pair, cache)
    moved = shutil.copytree(pair.parent, tmp_path / "moved") / pair.name
    assert get(pair, cache).sha256 == get(moved, cache).sha256 == first.sha256
    assert len(reads) == 1
    changed = get(write_pair(pair.parent, seed=1), cache)
    assert changed.sha256 != first.sha256
    assert len(reads) == 2
    assert len(cached(cache)) == 2


CHILD = """
import sys
from pathlib import Path
import numpy as np
from hpo.data import _cache, load, prepare, ucr
from hpo.data.split import Fold, Split

pair, cache, marks = map(Path, sys.argv[1:])
original, write = ucr.read, _cache.write_part

def mark(word):
    with marks.open("a") as file:
        file.write(word + "\\n")

def read(options):
    mark("read")
    return original(options)

def write_part(folder, part, prefix=""):
    mark("write")
    return write(folder, part, prefix)

ucr.read, _cache.write_part = read, write_part
print("ready", flush=True)
sys.stdin.read()
data = load(ucr.Options(path=str(pair)), cache)
halves = np.arange(6), np.arange(6, 12)
split = Split((Fold(halves[0], None, halves[1]), Fold(halves[1], None, halves[0])), "5" * 64)
print(data.sha256, float(data.train.x.sum()), prepare(data, split, cache)[1].train)
"""


def test_eight_at_once_build_once(pair: Path, cache: Path, tmp_path: Path) -> None:
    """Eight processes that ask at the same moment parse once, write each part once, and all get the same."""
    marks = tmp_path / "marks"
    command = [sys.executable, "-c", CHILD, str(pair), str(cache), str(marks)]
    children = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    try:
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        for child in children:  # all are ready: let them go at once
            assert child.stdin is not None
            child.stdin.close()
        outputs = {child.stdout.read() for child in children if child.stdout is not None}
        assert [child.wait(timeout=60) for child in children] == [0] * 8
    finally:
        for child in children:
            child.kill()
            child.wait()
            if child.stdout is not None:
                child.stdout.close()
    assert len(outputs) == 1
    # Train and test once, and of two folds two parts each.
    assert marks.read_text().split() == ["read"] + ["write"] * 6
    assert leftovers(cache) == []


@pytest.mark.parametrize("fault", [remove, shorten, spoil])
@pytest.mark.parametrize("name", ["x.npy", "y.npy", "meta.json"])
def test_damaged_training_part_is_rebuilt(
    pair: Path, cache: Path, reads: list[str], fault: Callable[[Path], None], name: str
) -> None:
    """A missing, cut-off or changed file of the training part makes the next load parse again, and then it is whole."""
    data = get(pair, cache)
    before = data.train.x.copy()
    fault(cache / "data" / data.sha256 / name)
    again = get(pair, cache)
    assert len(reads) == 2
    np.testing.assert_array_equal(again.train.x, before)
    assert _cache.damage(cache / "data" / data.sha256) == []
    assert leftovers(cache) == []


@pytest.mark.parametrize("fault", [remove, shorten])
@pytest.mark.parametrize("name", ["x.npy", "meta.json"])
def test_lost_test_part_is_rebuilt(
    pair: Path, cache: Path, reads: list[str], fault: Callable[[Path], None], name: str
) -> None:
    """A load sees a missing or cut-off file of the test part without opening it, and rebuilds it."""
    data = get(pair, cache)
    fault(cache / "test" / data.sha256 / name)
    if (fault, name) == (shorten, "meta.json"):
        # Only who opens the test part reads its note.
        with pytest.raises(DataError, match=r"meta\.json is missing or damaged"):
            open_test(data.sha256, cache)
        return
    with pytest.raises(DataError, match="the test part of the data"):
        open_test(data.sha256, cache)
    get(pair, cache)
    assert len(reads) == 2
    assert len(open_test(data.sha256, cache).y) == 6


def test_changed_test_part_is_refused(pair: Path, cache: Path) -> None:
    """A changed byte in the test part is found when it is opened; following the message repairs it."""
    data = get(pair, cache)
    entry = cache / "test" / data.sha256
    spoil(entry / "x.npy")
    with pytest.raises(DataError, match=r"x\.npy has another content.*Remove .*" + data.sha256) as caught:
        open_test(data.sha256, cache)
    assert caught.value.exit_code == 3
    shutil.rmtree(entry)
    get(pair, cache)
    assert len(open_test(data.sha256, cache).y) == 6


@pytest.mark.parametrize("text", ["", "{", "[]", '{"sha256": "../../x", "name": "n"}', '{"name": "n"}'])
def test_damaged_record_is_ignored(pair: Path, cache: Path, reads: list[str], text: str) -> None:
    """A damaged record of what was parsed costs another parse, nothing more."""
    get(pair, cache)
    (record,) = (cache / "parsed").iterdir()
    record.write_text(text)
    assert get(pair, cache).n_test == 6
    assert len(reads) == 2


def test_other_format_is_rebuilt(pair: Path, cache: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry that another version of the cache's format wrote is not trusted but rebuilt."""
    get(pair, cache)
    monkeypatch.setattr(_cache, "FORMAT", _cache.FORMAT + 1)
    assert get(pair, cache).n_test == 6
    assert len(reads) == 2


def test_files_that_change_while_read(pair: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that change while they are parsed are refused, and nothing is remembered under the wrong content."""
    original = ucr.read

    def changing(options: ucr.Options) -> Raw:
        found = original(options)
        write_pair(pair.parent, seed=1)
        return found

    monkeypatch.setattr(ucr, "read", changing)
    with pytest.raises(DataError, match="the files changed while they were read"):
        get(pair, cache)
    assert not (cache / "parsed").exists()
