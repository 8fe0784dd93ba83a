"""Shows one training or a download while it goes on: live on a terminal, plain lines in a pipe or a log."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

from hpo.trial import Epoch

SAY_SECONDS = 30.0  # between two lines where nothing is live


@contextmanager
def downloading(console: Console, what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Shows how a download goes on; yields a function for the bytes that are there, and that there will be.

    Args:
        console: where to; a dumb one gets a line now and then.
        what: is downloaded.
    """
    if console.is_terminal and not console.is_dumb_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(what, total=None, visible=False)
            yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)
        return
    said = time.monotonic()

    def heard(done: int, total: int | None) -> None:
        nonlocal said
        if time.monotonic() - said >= SAY_SECONDS:
            said = time.monotonic()
            of = "" if total is None else f" of {total / 1e6:.1f}"
            console.print(f"{what}: {done / 1e6:.1f}{of} MB", highlight=False, soft_wrap=True)

    yield heard


@contextmanager
def training(console: Console, what: str, epochs: int) -> Iterator[Callable[[Epoch], None]]:
    """Shows how one training goes on; yields a function to be called after every epoch.

    Args:
        console: where to; a dumb one gets a line now and then.
        what: is trained.
        epochs: that it has at most.
    """
    if console.is_terminal and not console.is_dumb_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), "epochs", TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(what, total=epochs)
            yield lambda epoch: bar.advance(task)
        return
    said = time.monotonic()
    done = 0

    def heard(epoch: Epoch) -> None:
        nonlocal said, done
        done += 1
        if time.monotonic() - said >= SAY_SECONDS:
            said = time.monotonic()
            console.print(f"{what}: {done} epochs of at most {epochs}", highlight=False, soft_wrap=True)

    yield heard
