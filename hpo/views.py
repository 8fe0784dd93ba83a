"""What shows a study that is looked at again and again: a picture on a terminal, lines of text or JSON elsewhere."""

import logging
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from hpo.formats import to_json
from hpo.looking import Look
from hpo.picture import Picture
from hpo.render import score, state, summary_line
from hpo.store import Status

log = logging.getLogger(__name__)

SAY_SECONDS = 60.0  # between two lines that say how it goes, where nothing is drawn
KEPT_LINES = 200  # that are printed again when a terminal gets another size
RUNNING_SAID = 4  # running trials that a line names


class View:
    """Shows looks."""

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def show(self, look: Look) -> None:
        """A new look."""

    def tick(self) -> None:
        """Some time went by."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves things in order."""


class Lines(View):
    """One line for each thing that changed, and now and then how it goes, unless that is as it was.

    Args:
        say: prints a line.
        alone: nobody else says how the study stands: these lines do, at the first look and at the end.
        clock: seconds; tests pass one of their own.
    """

    def __init__(self, say: Callable[[str], None], *, alone: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._alone = alone
        self._clock = clock
        self._due = clock() + (0.0 if alone else SAY_SECONDS)
        self._said = ""
        self._away = ""
        self._status: Status | None = None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Says how it stands, unless somebody had seen enough."""
        if self._alone and kind is None and self._status is not None:
            self._tell(self._status)

    def show(self, look: Look) -> None:
        """Says what is new."""
        self._status = look.status
        if bool(look.away) != bool(self._away):
            self._say(f"the database cannot be used: {look.away}" if look.away else "the database can be used again")
        self._away = look.away
        for line in look.news:
            self._say(line)
        if not look.away and self._clock() >= self._due:
            self._due = self._clock() + SAY_SECONDS
            self._tell(look.status)

    def _tell(self, status: Status) -> None:
        line = how_it_goes(status)
        if line != self._said:
            self._say(line)
        self._said = line


def how_it_goes(status: Status) -> str:
    """Counts, budget and best in one line, and how far the running trials are."""
    line = f"study {status.study}: {state(status)}. {summary_line(status)}"
    far = [
        f"trial {trial.number} at epoch {trial.last_step + 1} of {status.max_steps} ({score(trial.last_value)})"
        for trial in status.running[:RUNNING_SAID]
        if trial.last_step is not None
    ]
    return "; ".join([line, *far])


class JsonLines(View):
    """The status as one line of JSON whenever it changed, and now and then although it did not.

    Args:
        say: prints a line.
        clock: seconds; tests pass one of their own.
    """

    def __init__(self, say: Callable[[str], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        self._due = clock()
        self._said: object = None
        self._away = False

    def show(self, look: Look) -> None:
        """Prints it. Of a database that is away the log tells."""
        if look.away and not self._away:
            log.warning("the database cannot be used: %s", look.away)
        self._away = bool(look.away)
        if look.away:
            return
        plain = look.status.model_dump(mode="json")
        same = {
            **plain,
            "evaluation": look.evaluation,
            "at": 0,
            "workers": [{**worker, "seen_at": 0} for worker in plain["workers"]],
        }
        if same != self._said or self._clock() >= self._due:
            self._due = self._clock() + SAY_SECONDS
            self._said = same
            self._say(to_json({**plain, "evaluation": look.evaluation}, indent=None))


class Drawn(View):
    """A picture on a terminal.

    Args:
        console: where to.
        alone: nothing else is printed there: the picture has a screen of its own, and stays as it was at the end. Else
            it lies below the lines that are printed, and goes at the end.
    """

    def __init__(self, console: Console, *, alone: bool) -> None:
        self._console = console
        self._alone = alone
        self._live = Live(console=console, auto_refresh=False, transient=not alone, screen=alone)
        self._look: Look | None = None
        self._looked = 0.0
        self._size = console.size
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)

    def __enter__(self) -> Self:
        """Takes the terminal."""
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Gives the terminal back; a picture that was alone stays."""
        self._live.stop()
        if self._alone and self._look is not None:
            self._console.print(self._picture(self._look, whole=True))

    def show(self, look: Look) -> None:
        """Draws it, and prints what is new above it."""
        if self._look is None or not look.away:
            self._looked = time.monotonic()
        self._look = look
        if not self._alone:
            self._lines.extend(look.news)
            for line in look.news:
                self._console.print(line, soft_wrap=True)
        self.tick()

    def tick(self) -> None:
        """Draws it anew, for ages grow; on a cleared screen if that has another size."""
        if self._look is None:
            return
        if self._console.size != self._size:
            # A terminal that wraps its lines anew has moved what was drawn: nobody knows where to.
            self._size = self._console.size
            self._console.clear()
            if not self._alone:
                for line in list(self._lines)[-self._size.height :]:
                    self._console.print(line, soft_wrap=True)
        self._live.update(self._picture(self._look), refresh=True)

    def _picture(self, look: Look, *, whole: bool = False) -> RenderableType:
        now = look.status.at + (time.monotonic() - self._looked)
        picture = Picture(look.status, now, look.away, whole)
        # below the picture of many: there the cursor waits, and there a terminal echoes Ctrl-C
        return picture if self._alone else Group(picture, Text())


def view(console: Console, *, alone: bool) -> View:
    """What suits a console: a picture on a terminal that can draw, lines everywhere else."""
    if console.is_terminal and not console.is_dumb_terminal:
        return Drawn(console, alone=alone)
    return Lines(lambda line: console.print(line, soft_wrap=True), alone=alone)
