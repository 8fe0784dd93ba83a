"""What people see, as text."""

import io

from rich.console import Console

from hpo.render import duration, ended_line, listing, settings, status_table, summary_line
from hpo.store import Best, Status, TrialRecord, WorkerRecord
from hpo.store.records import Use
from hpo.trial import Cause, Result

TRIAL = TrialRecord(
    number=3,
    state="complete",
    value=0.91234,
    params={"family": "lstm", "lstm.units": 8, "lstm.learning_rate": 0.000123456},
    last_step=4,
    last_value=0.9,
    cause=Cause.COMPLETED,
    outcome=Result(cause=Cause.COMPLETED, value=0.91234, epochs=12, seconds={"total": 75.0}),
    attempt=2,
)
STATUS = Status(
    study="s",
    state="running",
    metric="accuracy",
    counts={"complete": 2, "pruned": 1, "fail": 1, "running": 1, "waiting": 0},
    budget={
        "trials": Use(used=3, limit=6),
        "hours": Use(used=0.5, limit=None),
        "gpu_hours": Use(used=0.9, limit=None),
    },
    best=Best(trial=3, value=0.91234, params=TRIAL.params, values={"accuracy": 0.91234}),
    failures={"bug": 1, "diverged": 2},
    workers=(
        WorkerRecord(
            worker="w", host="node", pid=7, slots=2, lease=60.0, started_at=0.0, seen_at=1.0, left_at=None, alive=True
        ),
    ),
    seconds={"training": 60.0, "overhead": 3.0},
    running=(TRIAL,),
    max_steps=40,
)


def text(renderable: object) -> str:
    """What a plain console prints."""
    out = io.StringIO()
    Console(file=out, width=120).print(renderable)
    return out.getvalue()


def test_durations_have_their_two_largest_units() -> None:
    """From tenths of seconds to hours."""
    assert [duration(s) for s in (0.25, 42, 75, 3900)] == ["0.2 s", "42 s", "1 min 15 s", "1 h 05 min"]


def test_settings_drop_the_prefix_of_the_family() -> None:
    """The family is said once."""
    assert settings(TRIAL.params) == "lstm: units=8, learning_rate=0.0001235"
    assert settings({}) == "nothing searched"


def test_a_finished_trial_is_one_line() -> None:
    """Number, end, score, epochs, time, settings, and whether it is the best."""
    line = "trial 3: completed 0.9123, 12 epochs in 1 min 15 s  [lstm: units=8, learning_rate=0.0001235]"
    assert ended_line(TRIAL, best=False) == line
    assert ended_line(TRIAL, best=True) == f"{line}  * best so far"


def test_the_summary_names_counts_budget_and_best() -> None:
    """One line that says how a study stands."""
    assert summary_line(STATUS) == (
        "2 complete, 1 pruned, 1 failed; 1 running; budget 3 of 6 trials; best accuracy 0.9123 (trial 3)"
    )


def test_the_views_hold_what_matters() -> None:
    """The status and the list show trials, best, ends by cause and workers."""
    status = text(status_table(STATUS))
    assert "2 x diverged" in status
    assert "node, pid 7, 2 slots" in status
    assert text(listing([STATUS])).splitlines()[1].split() == ["s", "running", "2", "1", "1", "1", "accuracy", "0.9123"]


def test_a_front_is_shown_by_every_metric() -> None:
    """With several metrics each trial of the front has its values, counts without decimals; of a long one, ten."""
    front = tuple(
        Best(trial=n, value=0.9, params={"units": n}, values={"accuracy": 0.9 - n / 100, "parameters": 1234.0 * n})
        for n in range(12, 24)
    )
    status = STATUS.model_copy(update={"metrics": ("accuracy", "parameters"), "best": front[0], "front": front})
    shown = text(status_table(status))
    assert "accuracy 0.7800, parameters 14,808, trial 12" in shown
    assert shown.count("units=") == 10
    assert "and 2 more, which `hpo export s --pareto` has too" in shown
    assert "12 on the front; the first has accuracy 0.7800, parameters 14,808, trial 12" in summary_line(status)
    assert "accuracy 0.9000 (front of 12)" in text(listing([status]))
    line = ended_line(TRIAL.model_copy(update={"values": (0.91, 1234.0)}), True)
    assert line.startswith("trial 3: completed 0.9100, 1,234, 12 epochs in 1 min 15 s")
    assert status.model_dump(mode="json")["best"] == [best.model_dump(mode="json") for best in front]
