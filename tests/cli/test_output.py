"""Where `-o` writes: a whole file or none, through links, and into what is no file as it is."""

import os
import threading
from pathlib import Path

import pytest

from hpo.console import deliver
from hpo.errors import UsageError


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """What it leads to is replaced."""
    target, link = tmp_path / "there" / "best.json", tmp_path / "latest.json"
    target.parent.mkdir()
    target.write_text("old")
    link.symlink_to("there/best.json")
    deliver("new", link)
    assert link.is_symlink()
    assert target.read_text() == "new\n"
    assert sorted(file.name for file in tmp_path.rglob("*.json*")) == ["best.json", "latest.json"]


def test_a_pipe_stays_a_pipe(tmp_path: Path) -> None:
    """Who reads from it gets the result; a device stays one likewise."""
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    deliver(b"whole", pipe)
    reader.join()
    assert read == [b"whole"]
    assert pipe.is_fifo()
    deliver("nothing", Path("/dev/null"))
    assert Path("/dev/null").is_char_device()


def test_a_folder_is_refused(tmp_path: Path) -> None:
    """And nothing is left beside it."""
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(UsageError, match=r"cannot write \S*folder: Is a directory"):
        deliver("x", folder)
    assert list(tmp_path.iterdir()) == [folder]
