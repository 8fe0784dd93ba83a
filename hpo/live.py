"""Watches a study, one training or a download while it goes on: live on a terminal, plain lines in a pipe or a log."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

from hpo.errors import HpoError
from hpo.render import ended_line, progress, summary_line
from hpo.store import Store, TrialRecord, pareto
from hpo.trial import Epoch

POLL_SECONDS = 1.0
SAY_SECONDS = 30.0  # between two summaries where nothing is live


class Watch:
    """A context in which a thread shows how a study goes on.

    Args:
        store: the database; it gets connections of its own.
        name: of the study.
        console: where to; a dumb one gets lines.
    """

    def __init__(self, store: Store, name: str, console: Console) -> None:
        self._store = store
        self._name = name
        self._console = console
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)
        self._metrics = store.study(name).definition.train.metrics
        self._seen = {t.number for t in store.trials(name) if t.cause is not None}

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            if self._console.is_terminal and not self._console.is_dumb_terminal:
                with Live(console=self._console, auto_refresh=False, transient=True) as live:
                    while not self._stop.wait(POLL_SECONDS):
                        live.update(progress(self._store.status(self._name, self._look())), refresh=True)
            else:
                polls = 0
                while not self._stop.wait(POLL_SECONDS):
                    trials = self._look()
                    polls += 1
                    if polls * POLL_SECONDS >= SAY_SECONDS:
                        polls = 0
                        status = self._store.status(self._name, trials)
                        self._console.print(summary_line(status), highlight=False, soft_wrap=True)
            self._look()
        except HpoError as error:
            self._console.print(f"progress cannot be shown: {error}", highlight=False)

    def _look(self) -> list[TrialRecord]:
        """Says what ended since the last look. Returns all trials."""
        trials = self._store.trials(self._name)
        fresh = [t for t in trials if t.cause is not None and t.number not in self._seen and t.state != "running"]
        if not fresh:
            return trials
        several = len(self._metrics) > 1
        best = {trial.number for trial in pareto(trials, self._metrics)[: None if several else 1]}
        for trial in sorted(fresh, key=lambda t: t.finished_at or 0.0):
            self._seen.add(trial.number)
            line = ended_line(trial, trial.number in best)
            self._console.print(line, highlight=False, soft_wrap=True, markup=False)
        return trials


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
