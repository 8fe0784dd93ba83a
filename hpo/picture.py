"""The live picture of a study: budget and forecast, best so far, workers, running trials. Pure: values in, picture out.

A picture is as high as it may be: where there is no room for all workers and trials, it says how many it left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from hpo.render import MARKS, best_words, duration, places, score, settings, shown, state
from hpo.store import Status, TrialRecord, WorkerRecord

BLOCKS = "▁▂▃▄▅▆▇█"
LETTERS = "_.-=+*#@"  # where a terminal has no blocks
SPARKS = 16  # values that a sparkline has at most
NARROW, NARROWEST = 110, 80  # columns below which a row has no settings, and below which it has no curve either
SILENT_SECONDS = 3600.0  # after which nobody waits for a worker that said nothing any more
YEAR_SECONDS = 365 * 86400.0  # beyond which a forecast names no day
UNITS = {"trials": "", "hours": " h", "gpu_hours": " h of slots"}


@dataclass(frozen=True)
class Forecast:
    """When a study's budget ends, if its trials go on as they did.

    Attributes:
        seconds: from now on.
        limit: which of its limits ends it.
    """

    seconds: float
    limit: str


def forecast(status: Status) -> Forecast | None:
    """The limit that comes first; None while nobody works, and before anything can be told."""
    if not any(worker.alive for worker in status.workers) or status.state not in ("running", "stopping"):
        return None
    trials, hours, slots = (status.budget[name] for name in ("trials", "hours", "gpu_hours"))
    found = []
    if hours.limit is not None:
        found.append(Forecast((hours.limit - hours.used) * 3600, "hours"))
    if slots.limit is not None and status.running:
        found.append(Forecast((slots.limit - slots.used) * 3600 / len(status.running), "gpu_hours"))
    if trials.limit is not None and trials.used and hours.used:
        found.append(Forecast((trials.limit - trials.used) * hours.used * 3600 / trials.used, "trials"))
    soonest = min(found, key=lambda one: one.seconds, default=None)
    return soonest and Forecast(max(0.0, soonest.seconds), soonest.limit)


def forecast_words(status: Status) -> str:
    """When it ends, by which limit; empty where nobody can tell."""
    found = forecast(status)
    if found is None:
        return ""
    if found.seconds > YEAR_SECONDS:
        return f"more than a year left ({found.limit})"
    at = datetime.fromtimestamp(status.at + found.seconds, UTC).astimezone()
    day = "" if found.seconds < 12 * 3600 else at.strftime(" on %d %b")
    return f"about {duration(found.seconds)} left, until {at:%H:%M}{day} ({found.limit})"


def sparks(values: Sequence[float], marks: str = BLOCKS) -> str:
    """A line of marks, the lowest value's first and the highest value's last in `marks`; of many values the latest."""
    values = values[-SPARKS:]
    if not values:
        return ""
    low, high = min(values), max(values)
    top = len(marks) - 1
    return "".join(marks[round((value - low) / (high - low) * top) if high > low else top // 2] for value in values)


@dataclass(frozen=True)
class Sparkline:
    """Values as a line of marks that the terminal has."""

    values: Sequence[float]

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """As wide as its longest form, so that columns stay where they are."""
        return Measurement(SPARKS, SPARKS)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """One line."""
        marks = LETTERS if options.ascii_only else BLOCKS
        yield Text(sparks(self.values, marks).ljust(SPARKS), style="green", no_wrap=True)


@dataclass(frozen=True)
class Picture:
    """What a live view shows.

    Attributes:
        status: the study at its last look.
        now: the moment by the database's clock; later than `status.at` while the database is away.
        away: why the database cannot be used; empty while it can.
        whole: show everything, however high the terminal is.
    """

    status: Status
    now: float
    away: str = ""
    whole: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The head whole, then as much of the lists as there is room for."""
        status = self.status
        head = Group(*self._head())
        room = 10**6
        if not self.whole:
            # one line for each list's last words, one below which the cursor waits
            room = max(2, console.size.height - len(console.render_lines(head, options, pad=False)) - 3)
        team = [worker for worker in status.workers if self._counts(worker)]
        for_trials = min(len(status.running), max(room // 2, room - len(team)))
        yield head
        yield from _cut([self._worker(worker) for worker in team], max(1, room - for_trials), "workers")
        rows = [self._trial(trial, options.max_width) for trial in status.running]
        yield from _cut(rows, max(1, for_trials), "running trials")

    def _head(self) -> Iterator[RenderableType]:
        status = self.status
        counts = ", ".join(f"{n} {name}" for name, n in status.counts.items() if n)
        yield Text.assemble(
            (f"study {status.study}", "bold"), f"  {state(status)}  ", (counts or "no trials yet", "dim")
        )
        if self.away:
            since = duration(max(0.0, self.now - status.at))
            yield Text(f"the database cannot be used: {self.away}; what follows is {since} old", style="red")
        bars = Table.grid(padding=(0, 1))
        for name, use in status.budget.items():
            if use.limit is not None:
                words = f"{use.used:.4g} of {use.limit:g}{UNITS[name]}"
                bar = ProgressBar(total=use.limit, completed=min(use.used, use.limit), width=30)
                bars.add_row(Text(name, style="dim"), bar, words)
        yield bars
        if words := forecast_words(status):
            yield Text(words, no_wrap=True, overflow="ellipsis")
        if status.failures or status.repeated:
            ends = [f"{n} {cause}" for cause, n in status.failures.items()]
            ends += [f"{status.repeated} answered from the record"] if status.repeated else []
            yield Text(f"among them {', '.join(ends)}", style="yellow", no_wrap=True, overflow="ellipsis")
        for best in shown(status):
            yield Text.assemble(("best ", "bold"), best_words(best), "  ", (settings(best.params), "dim"))

    def _counts(self, worker: WorkerRecord) -> bool:
        return worker.alive or (worker.left_at is None and self.status.at - worker.seen_at < SILENT_SECONDS)

    def _worker(self, worker: WorkerRecord) -> Sequence[RenderableType]:
        seen = duration(max(0.0, self.now - worker.seen_at))
        life = Text(f"seen {seen} ago", style="dim") if worker.alive else Text(f"silent for {seen}", style="red")
        own = [str(trial.number) for trial in self.status.running if trial.worker == worker.worker]
        busy = f"trial{'s' if len(own) > 1 else ''} {', '.join(own)}" if own else "idle"
        return (Text("worker", style="dim"), f"{worker.host}, pid {worker.pid}", places(worker), life, _tail(busy))

    def _trial(self, trial: TrialRecord, width: int) -> Sequence[RenderableType]:
        done = 0 if trial.last_step is None else trial.last_step + 1
        most = self.status.max_steps
        worth = "" if trial.last_value is None else f"{self.status.metric} {score(trial.last_value)}"
        age = "" if trial.leased_at is None else duration(max(0.0, self.now - trial.leased_at))
        again = f"attempt {trial.attempt}" if trial.attempt > 1 else ""
        tail = [again] if width < NARROW else [*filter(None, [again]), settings(trial.params)]
        return (
            Text(f"trial {trial.number}", style=MARKS["running"]),
            ProgressBar(total=most, completed=done, width=20 if width >= NARROW else 8),
            f"epoch {done}/{most}",
            *([Sparkline([value for _, value in trial.curve])] if width >= NARROWEST else []),
            worth,
            age,
            _tail(", ".join(tail)),
        )


def _tail(text: str) -> Text:
    """The end of a row: as much of it as there is room for."""
    return Text(text, style="dim", no_wrap=True, overflow="ellipsis")


def _cut(rows: Sequence[Sequence[RenderableType]], room: int, what: str) -> Iterator[RenderableType | Segment]:
    if not rows:
        return
    table = Table.grid(padding=(0, 1))
    for _ in range(len(rows[0]) - 1):
        table.add_column(no_wrap=True)
    table.add_column(overflow="ellipsis")  # the only one that gives way
    for row in rows[:room]:
        table.add_row(*row)
    yield table
    if len(rows) > room:
        yield Text(f"and {len(rows) - room} more {what}", style="dim")
