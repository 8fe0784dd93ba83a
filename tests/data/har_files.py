"""A made-up UCI HAR in files, and the ways to damage it."""

import zipfile
from pathlib import Path

from hpo.data import uci_har

N_TRAIN, N_TEST, STEPS = 6, 4, 5


def har_value(part: str, channel: int, row: int, step: int) -> float:
    """The number that the made-up UCI HAR files have at this place; all of them differ."""
    return (0 if part == "train" else 500) + channel * 50 + row * 5 + step + 0.25


def write_har(folder: Path) -> Path:
    """A tiny UCI HAR in the original layout: 6 and 4 windows of 5 steps, labels 1, 2, 5, subjects 1-3 and 4.

    Returns: the folder "UCI HAR Dataset" in `folder`.
    """
    root = folder / "UCI HAR Dataset"
    for part, n in (("train", N_TRAIN), ("test", N_TEST)):
        (root / part / "Inertial Signals").mkdir(parents=True)
        for c, channel in enumerate(uci_har.CHANNELS):
            rows = [" ".join(f" {har_value(part, c, row, step):.7e}" for step in range(STEPS)) for row in range(n)]
            (root / part / "Inertial Signals" / f"{channel}_{part}.txt").write_text("\n".join(rows) + "\n")
        labels, subjects = ("5 1 2 5 1 2", "1 1 2 2 3 3") if part == "train" else ("1 2 5 1", "4 4 4 4")
        (root / part / f"y_{part}.txt").write_text(labels.replace(" ", "\n") + "\n")
        (root / part / f"subject_{part}.txt").write_text(subjects.replace(" ", "\n") + "\n")
    (root / "activity_labels.txt").write_text("1 WALKING\n2 SITTING\n5 LAYING\n")
    return root


def signal(root: Path, part: str = "train", channel: str = "body_acc_y") -> Path:
    """One of the made-up signal files."""
    return root / part / "Inertial Signals" / f"{channel}_{part}.txt"


def zipped(folder: Path, to: Path, *, inside: str = "UCI HAR Dataset/") -> Path:
    """The folder as a zip, with its files under `inside`."""
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, inside + file.relative_to(folder).as_posix())
    return to


def entry(name: str, mode: int = 0) -> zipfile.ZipInfo:
    """A zip entry with a Unix mode."""
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def cut_rows(root: Path) -> None:
    """One signal ends two rows early."""
    signal(root).write_text("".join(signal(root).read_text().splitlines(keepends=True)[:-2]))


def cut_line(root: Path) -> None:
    """One signal ends within a row."""
    signal(root).write_text(signal(root).read_text()[:-20])


def cut_labels(root: Path) -> None:
    """The labels end early."""
    (root / "test" / "y_test.txt").write_text("1\n2\n")


def empty(root: Path) -> None:
    """One signal is an empty file."""
    signal(root).write_text("")


def words(root: Path) -> None:
    """One signal holds words."""
    signal(root).write_text("not numbers at all, alas\n" * N_TRAIN)


def short_windows(root: Path) -> None:
    """One signal has fewer steps than the others."""
    signal(root).write_text("1 2 3\n" * N_TRAIN)


def not_a_number(root: Path) -> None:
    """A sample holds NaN, another infinity."""
    lines = signal(root).read_text().splitlines()
    lines[1] = "1 2 NaN 4 5"
    lines[3] = "1 2 3 inf NaN"
    signal(root).write_text("\n".join(lines))


def too_large(root: Path) -> None:
    """A sample holds a number that float32 cannot hold."""
    signal(root).write_text(signal(root).read_text().replace("e+02", "e+92", 1))


def unseen_label(root: Path) -> None:
    """The test part has a label that training never saw."""
    (root / "test" / "y_test.txt").write_text("1\n2\n5\n6\n")


def one_class(root: Path) -> None:
    """All samples have one label."""
    (root / "train" / "y_train.txt").write_text("1\n" * N_TRAIN)
    (root / "test" / "y_test.txt").write_text("1\n" * N_TEST)


def half_subjects(root: Path) -> None:
    """A subject is no whole number."""
    (root / "train" / "subject_train.txt").write_text("1.5\n" * N_TRAIN)
