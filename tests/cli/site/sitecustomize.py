"""Runs first in every Python process that has this folder on its PYTHONPATH, however deep: hides modules, takes notes.

WATCH_HIDE: modules, between commas, that this interpreter shall not find, as if they were not installed.
WATCH_NOTES: file that gets a line of JSON for each file opened under WATCH_FOLDER, and one for the modules that the
process holds when it forks, and when it ends (a forked child ends without).
"""

import atexit
import json
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

HIDDEN = {name for name in os.environ.get("WATCH_HIDE", "").split(",") if name}
NOTES = os.environ.get("WATCH_NOTES")
FOLDER = os.environ.get("WATCH_FOLDER")


class Hiding(PathFinder):
    """Python's own finder, which overlooks some modules."""

    @classmethod
    def find_spec(
        cls, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As documented; None for what is hidden."""
        if fullname.partition(".")[0] in HIDDEN:
            return None
        return super().find_spec(fullname, path, target)


def watch(file: int) -> None:
    """Writes the notes; each is one `write`, so that those of several processes do not mix."""

    def note(**values: object) -> None:
        os.write(file, (json.dumps({"pid": os.getpid(), **values}) + "\n").encode())

    def happened(event: str, arguments: tuple[object, ...]) -> None:
        if event == "os.fork":  # it may be killed before its end
            ended()
        if event == "open" and FOLDER and isinstance(arguments[0], str | os.PathLike):
            path = Path(arguments[0]).absolute()
            if path.is_relative_to(FOLDER):
                note(opened=path.relative_to(FOLDER).as_posix())

    def ended() -> None:
        modules = sorted({name.partition(".")[0] for name in list(sys.modules)})
        note(program=Path(sys.argv[0]).name, modules=modules)

    sys.addaudithook(happened)
    atexit.register(ended)


if HIDDEN:
    sys.meta_path[:] = [Hiding if finder is PathFinder else finder for finder in sys.meta_path]
if NOTES:
    watch(os.open(NOTES, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
