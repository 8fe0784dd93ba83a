"""The live picture: what is in it, what gives way where there is little room, and when a study is thought to end."""

import io
import re

import pytest
from rich.console import Console

from hpo.picture import BLOCKS, LETTERS, Picture, forecast, sparks
from hpo.store import Status, TrialRecord
from hpo.store.records import Use
from tests.test_render import STATUS, TRIAL

RUNNING = TRIAL.model_copy(
    update={"state": "running", "worker": "w", "leased_at": 40.0, "curve": ((0, 0.1), (1, 0.5), (2, 0.9)), "live": True}
)
BUSY = STATUS.model_copy(update={"at": 100.0, "running": (RUNNING,)})


def drawn(status: Status, width: int = 140, height: int = 24, *, encoding: str = "utf-8", away: str = "") -> str:
    """What a terminal of that size shows."""
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    console = Console(file=out, width=width, height=height, force_terminal=True, color_system=None)
    console.print(Picture(status, now=status.at + 5, away=away))
    text = out.buffer.getvalue().decode(encoding)
    out.close()
    return str(text)


def many(**changes: object) -> Status:
    """A busy study of forty running trials and as many workers."""
    running = [RUNNING.model_copy(update={"number": n, "worker": f"w{n}"}) for n in range(40)]
    team = [STATUS.workers[0].model_copy(update={"worker": f"w{n}", "pid": n, "seen_at": 99.0}) for n in range(40)]
    return BUSY.model_copy(update={"running": tuple(running), "workers": tuple(team), **changes})


def test_it_holds_what_matters() -> None:
    """State, budget, forecast, ends by cause, the best with its parameters, workers, and running trials' courses."""
    text = drawn(BUSY)
    for pattern in (
        r"^study s  running  2 complete, 1 pruned, 1 fail, 1 running$",
        r"^trials .* 3 of 6$",
        r"^about 30 min 00 s left, until \d\d:\d\d \(trials\)$",
        r"^among them 1 bug, 2 diverged$",
        r"^best accuracy 0\.9123, trial 3  lstm: units=8, learning_rate=0\.0001235$",
        r"^worker node, pid 7 2 slots seen 1 min 44 s ago trial 3 *$",
        r"^trial 3 .* epoch 5/40 ▁▅█ +accuracy 0\.9000 1 min 05 s attempt 2, lstm: units=8, learning",
    ):
        assert re.search(pattern, text, re.MULTILINE), (pattern, text)


@pytest.mark.parametrize("size", [(140, 24), (80, 24), (60, 12), (40, 8), (20, 6)])
def test_it_fits(size: tuple[int, int]) -> None:
    """However small the terminal is: one running trial at least, no line is longer; what is left out is counted."""
    width, height = size
    lines = drawn(many(), width, height).rstrip("\n").splitlines()
    assert max(map(len, lines)) <= width
    if width >= 60:
        assert len(lines) < height
        shown = [line for line in lines if line.startswith("trial ")]
        assert f"and {40 - len(shown)} more running trials" in "\n".join(lines)
        assert re.match(r"trial 0 .*epoch 5/40 .*accuracy 0\.9000", shown[0])


def test_a_plain_terminal_has_no_blocks() -> None:
    """Where the terminal's encoding has no blocks, curves are drawn with letters."""
    text = drawn(BUSY, encoding="ascii")
    assert f"epoch 5/40 {LETTERS[0]}{LETTERS[4]}{LETTERS[7]} " in text


def test_sparks() -> None:
    """From the lowest to the highest value; of many the latest; a flat line lies in the middle."""
    assert sparks([0.0, 0.5, 1.0]) == BLOCKS[0] + BLOCKS[4] + BLOCKS[7]
    assert sparks([3.0, 3.0]) == BLOCKS[3] * 2
    assert sparks([]) == ""
    assert sparks([float(n) for n in range(1000)]) == sparks([float(n) for n in range(984, 1000)])


def test_a_database_that_is_away() -> None:
    """The picture says so, why, and how old it is."""
    assert "the database cannot be used: connection refused; what follows is 5.0 s old" in drawn(
        BUSY, away="connection refused"
    )


def test_workers_that_fell_silent() -> None:
    """They are shown for an hour, and named silent; those that left are not."""
    silent = STATUS.workers[0].model_copy(update={"alive": False, "seen_at": 10.0, "devices": ("GPU-12345678-9", None)})
    text = drawn(BUSY.model_copy(update={"workers": (silent,)}))
    assert re.search(r"pid 7 2 slots, GPU GPU-12345678 silent for 1 min 35 s trial 3", text)
    for gone in ({"left_at": 20.0}, {"seen_at": -4000.0}):
        assert "pid 7" not in drawn(BUSY.model_copy(update={"workers": (silent.model_copy(update=gone),)}))


@pytest.mark.parametrize(
    ("uses", "seconds", "limit"),
    [
        ({}, 1800, "trials"),
        ({"hours": Use(used=0.5, limit=0.6)}, 360, "hours"),
        ({"hours": Use(used=0.7, limit=0.6)}, 0, "hours"),
        ({"gpu_hours": Use(used=0.9, limit=1.0)}, 360, "gpu_hours"),
    ],
)
def test_the_forecast_is_the_limit_that_comes_first(uses: dict[str, Use], seconds: float, limit: str) -> None:
    """Three of six trials took half an hour: another half hour; with a limit of hours, what is left of it."""
    found = forecast(BUSY.model_copy(update={"budget": {**BUSY.budget, **uses}}))
    assert found is not None
    assert (round(found.seconds), found.limit) == (seconds, limit)


@pytest.mark.parametrize(
    ("hours", "words"), [(24.0 * 365, "about 8759 h 30 min left, until "), (1e9, "more than a year left (hours)")]
)
def test_a_budget_that_nobody_can_use_up(hours: float, words: str) -> None:
    """A limit beyond all calendars is no reason to show nothing."""
    budget = {**BUSY.budget, "trials": Use(used=3, limit=None), "hours": Use(used=0.5, limit=hours)}
    assert f"\n{words}" in drawn(BUSY.model_copy(update={"budget": budget}))


def test_no_forecast_where_nobody_works() -> None:
    """Nor before a trial ended, where only their number is limited."""
    assert forecast(BUSY.model_copy(update={"workers": ()})) is None
    fresh = {**BUSY.budget, "trials": Use(used=0, limit=6), "hours": Use(used=0, limit=None)}
    assert forecast(BUSY.model_copy(update={"budget": fresh})) is None


def test_a_front() -> None:
    """With several metrics, the first ten of the front."""
    best = STATUS.best
    assert best is not None
    front = tuple(best.model_copy(update={"trial": n}) for n in range(12))
    assert drawn(BUSY.model_copy(update={"front": front}), height=60).count("\nbest ") == 10


def test_names_are_no_markup() -> None:
    """A parameter or a host may be called [/b]."""
    odd = TrialRecord.model_validate({**RUNNING.model_dump(), "params": {"[/b]": "[red]:dog:"}})
    assert "[/b]=[red]:dog:" in drawn(BUSY.model_copy(update={"running": (odd,)}))
