"""Overlapping windows, joined into recordings and written as a csv, come back as they were, and so does their split."""

from pathlib import Path

import numpy as np
import pytest

from hpo.data import Part, csv, load, uci_har
from hpo.data.split import make_split

SUBJECTS = 6  # of the 21 to train on: enough for a split, and seconds instead of a minute


def recordings(part: Part) -> list[list[int]]:
    """Windows that follow each other: the second half of one is the first half of the next, by the same person doing
    the same.
    """
    half = part.x.shape[1] // 2
    owners = part.groups
    assert owners is not None
    joined = [[0]]
    for k in range(1, len(part.y)):
        same = owners[k] == owners[k - 1] and part.y[k] == part.y[k - 1]
        if same and np.array_equal(part.x[k - 1, half:], part.x[k, :half]):
            joined[-1].append(k)
        else:
            joined.append([k])
    return joined


def write(part: Part, channels: tuple[str, ...], path: Path) -> list[int]:
    """The recordings as rows of a csv file. Returns the windows in the order of the file."""
    half = part.x.shape[1] // 2
    owners = part.groups
    assert owners is not None
    found = recordings(part)
    with path.open("w") as file:
        file.write(",".join(["recording", "step", "subject", "activity", *channels]) + "\n")
        for number, windows in enumerate(found):
            rows = np.concatenate([part.x[windows[0], :half], *(part.x[k, half:] for k in windows)])
            # 9 digits tell any two float32 apart
            table = np.char.mod("%.9g", rows.astype(np.float64))
            head = f"{number},%d,{owners[windows[0]]},{part.y[windows[0]]}"
            file.writelines(f"{head % step},{','.join(row)}\n" for step, row in enumerate(table))
    return [k for windows in found for k in windows]


def check(part: Part, channels: tuple[str, ...], folder: Path) -> None:
    """Asserts that windows, labels, groups and the parts of a split by subject come back."""
    length = part.x.shape[1]
    order = write(part, channels, folder / "raw.csv")
    options = csv.Options(
        path=str(folder / "raw.csv"), series="recording", time="step", group="subject", label="activity",
        channels=channels, length=length, stride=length // 2, label_rule="pure",
    )  # fmt: skip
    again = load(options, folder / "cache").train
    np.testing.assert_array_equal(again.x, part.x[order])
    np.testing.assert_array_equal(again.y, part.y[order])
    assert part.groups is not None
    assert again.groups is not None
    np.testing.assert_array_equal(again.groups, part.groups[order])
    splits = [
        make_split(p.y, p.groups, by="group", folds=3, validation=0.2, stopping=0.2, seed=0, data_sha256="d" * 64)
        for p in (part, again)
    ]
    for before, after in zip(*(split.folds for split in splits), strict=True):
        for name, rows in before.parts().items():
            assert {order[k] for k in after.parts()[name]} == set(rows.tolist())


def test_made_up_windows(tmp_path: Path) -> None:
    """As with UCI HAR below, without its files: people with recordings of several lengths."""
    rng = np.random.default_rng(0)
    windows, labels, owners = [], [], []
    for person in range(6):
        for recording in range(4):
            raw = rng.normal(size=(16 * int(rng.integers(2, 7)), 3)).astype(np.float32)
            for begin in range(0, len(raw) - 31, 16):
                windows.append(raw[begin : begin + 32])
                labels.append(recording % 2)
                owners.append(person + 1)
    part = Part(np.stack(windows), np.array(labels, dtype=np.int64), np.array(owners, dtype=np.int64))
    assert len(recordings(part)) == 24
    check(part, ("a", "b", "c"), tmp_path)


@pytest.mark.timeout(300)  # unpacking 180 MB of xz, and parsing it
def test_uci_har(unpacked: Path, tmp_path: Path) -> None:
    """The windows of some of UCI HAR's people, whose neighbours overlap by half, survive the way through a csv file."""
    data = load(uci_har.Options(path=str(unpacked)), tmp_path / "har")
    assert data.train.groups is not None
    chosen = np.isin(data.train.groups, np.unique(data.train.groups)[:SUBJECTS])
    part = Part(data.train.x[chosen], data.train.y[chosen], data.train.groups[chosen])
    overlapping = len(part.y) - len(recordings(part))
    assert overlapping > 0.9 * len(part.y)
    check(part, data.channels, tmp_path)
