"""Whether a training is the one that stands in the record: the judgement, and how it is told."""

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hpo.trial import Cause, Result

Verdict = Literal["exact", "equal score", "within the spread", "different"]
# Whoever ended these was not the training: it is trained again as far as it got then, and judged by its curves.
CUT_SHORT = frozenset({Cause.PRUNED, Cause.BUDGET, Cause.TIMED_OUT})
SPREAD = 2.0  # standard deviations over seeds within which a score counts as the same
FEWEST_SEEDS = 3  # that give a standard deviation


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Difference(_Value):
    """Something that is no longer as it was; None stands for what was not recorded, or is not there."""

    what: str
    then: str | None
    now: str | None


class Spread(_Value):
    """Scores of the same configuration over seeds, the trial's own among them."""

    seeds: int
    mean: float
    std: float


class Rerun(_Value):
    """What `hpo rerun --json` prints.

    Attributes:
        verdict: "exact": weights and curves are equal to the last bit (curves only, up to the epoch at which it was
            ended, for a trial that was cut short). "equal score": other weights. "within the spread": at most
            `SPREAD` standard deviations off. Else "different".
        then, now: how it ended.
        spread: None where fewer than `FEWEST_SEEDS` seeds of the configuration completed.
        differences: what may explain a difference, and data files that changed since.
        notes: sentences on what could not be compared.
    """

    study: str
    trial: int
    metric: str
    verdict: Verdict
    came_back: bool
    then: Result
    now: Result
    spread: Spread | None
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]


def judge(then: Result, now: Result, spread: Spread | None) -> Verdict:
    """Whether a training that ended as `now` is the one that ended as `then`."""
    if then.cause is not now.cause:
        return "different"
    if then.cause is Cause.BUG and _last_line(then.detail) != _last_line(now.detail):
        return "different"
    weights = then.weights_sha256 == now.weights_sha256 or then.cause in CUT_SHORT
    if weights and (then.curve_sha256, then.epochs) == (now.curve_sha256, now.epochs):
        return "exact"
    if then.value is None or now.value is None:
        return "different"
    if then.value == now.value:
        return "equal score"
    close = spread is not None and abs(now.value - then.value) <= SPREAD * spread.std
    return "within the spread" if close else "different"


def _last_line(text: str) -> str:
    """Of a traceback: what was raised."""
    return text.strip().rpartition("\n")[2]


def table(found: Rerun) -> RenderableType:
    """What `hpo rerun` prints."""
    then, now = found.then, found.now
    rows = Table.grid(padding=(0, 2))
    rows.add_row("", "then", "now")
    rows.add_row("ended", then.cause.value, now.cause.value)
    if then.value is not None or now.value is not None:
        rows.add_row(found.metric, *("-" if value is None else repr(value) for value in (then.value, now.value)))
    rows.add_row("epochs", str(then.epochs), str(now.epochs))
    for what, before, after in (
        ("curves", then.curve_sha256, now.curve_sha256),
        ("weights", then.weights_sha256, now.weights_sha256),
    ):
        if (before or after) and (what == "curves" or then.cause not in CUT_SHORT):
            rows.add_row(what, _short(before), _short(after))
    for difference in found.differences:
        rows.add_row(Text(difference.what), Text(_short(difference.then)), Text(_short(difference.now)))
    lines: list[RenderableType] = [Text(f"trial {found.trial} of study {found.study}, trained again"), rows]
    lines += [Text(note) for note in found.notes]
    return Group(*lines, Text(_verdict(found), style="bold"))


def _short(text: str | None) -> str:
    if text is None:
        return "not recorded"
    return f"SHA-256 {text[:12]}" if re.fullmatch("[0-9a-f]{64}", text) else text


def _verdict(found: Rerun) -> str:
    """One sentence, or two."""
    spread = found.spread
    seeds = "" if spread is None else f"{spread.seeds} seeds of this configuration have a standard deviation of "
    off = abs((found.now.value or 0.0) - (found.then.value or 0.0))
    match found.verdict:
        case "exact":
            return "it came back, to the last bit"
        case "equal score":
            text = "the score came back, the weights did not"
        case "within the spread" if spread is not None:
            text = f"the score is {off:.4g} off, within what another seed does: {seeds}{spread.std:.4g}"
        case _ if found.then.cause is not found.now.cause:
            text = f"it did not come back: it ended as {found.then.cause.value!r} then, {found.now.cause.value!r} now"
        case _ if found.then.value is None:
            text = "it did not come back"
        case _:
            text = f"it did not come back: the score is {off:.4g} off"
            text += f"; {seeds}{spread.std:.4g}" if spread else "; no other seed of this configuration to judge it by"
    if not found.differences:
        text += (
            ". All that was recorded is equal, processor, code and libraries too: the training itself does not repeat "
            f"(it was computed on {found.now.versions.get('device', 'an unknown device')})"
        )
    return text
