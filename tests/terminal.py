"""A terminal that a test can look at, type into and resize: tmux, with a server of its own."""

import os
import shlex
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path


class Terminal:
    """A shell in a window.

    Args:
        folder: where the shell starts.
        columns, rows: of the window.
        environment: what the shell gets beside the test's own.
    """

    def __init__(self, folder: Path, columns: int, rows: int, **environment: str) -> None:
        self._tmux = ["tmux", "-L", f"hpo-{uuid.uuid4().hex}", "-f", "/dev/null"]
        size = ["-x", str(columns), "-y", str(rows)]
        # pytest-xdist exports the width of its own terminal, and programs would believe that
        inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        env = {**inherited, "LC_ALL": "C.UTF-8", **environment}
        shell = "env PS1='ready> ' bash --norc --noprofile"  # a prompt that no program prints
        subprocess.run([*self._tmux, "new-session", "-d", *size, shell], cwd=folder, env=env, check=True)

    def _run(self, *words: str) -> str:
        return subprocess.run([*self._tmux, *words], capture_output=True, text=True, check=True).stdout

    def type(self, *command: str) -> None:
        """A command's words, and Enter."""
        self.shell(shlex.join(command))

    def shell(self, line: str) -> None:
        """A line as the shell reads it, and Enter."""
        self._run("send-keys", "-l", line)
        self._run("send-keys", "Enter")

    def press(self, key: str) -> None:
        """One key, by tmux's name for it."""
        self._run("send-keys", key)

    def resize(self, columns: int, rows: int) -> None:
        """Gives the window another size."""
        self._run("resize-window", "-x", str(columns), "-y", str(rows))

    def screen(self) -> list[str]:
        """What one sees now, line by line."""
        return self._run("capture-pane", "-p").splitlines()

    def see(self, wanted: Callable[[str], object], seconds: float = 60) -> list[str]:
        """Waits until the screen as one text is as wanted; returns its lines."""
        deadline = time.monotonic() + seconds
        while not wanted("\n".join(lines := self.screen())):
            if time.monotonic() > deadline:
                window = self._run("list-panes", "-F", "#{pane_width}x#{pane_height}, another screen: #{alternate_on}")
                raise TimeoutError("\n".join([window.strip(), *lines]))
            time.sleep(0.05)
        return lines

    def close(self) -> None:
        """Ends it, and what runs in it."""
        self._run("kill-server")
