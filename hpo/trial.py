"""The values that cross the process boundary: what a trial is told, what it reports, how it ended.

Everything here turns into JSON and back. It knows neither the database nor Keras.
"""

import math
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from hpo.space import Params

# A trained model among a trial's files: takes raw windows, scaling included, and is loaded with safe_mode=True.
MODEL = "model.keras"


class Cause(StrEnum):
    """Why a trial ended."""

    COMPLETED = "completed"
    PRUNED = "pruned"
    BUDGET = "budget"
    DIVERGED = "diverged"
    TOO_LARGE = "too large"
    OUT_OF_MEMORY = "out of memory"
    TIMED_OUT = "timed out"
    STALLED = "stalled"
    POISON = "poison"
    BUG = "bug"


class Interruption(StrEnum):
    """Why an attempt at a trial ended before the trial did, in order. The trial goes on elsewhere.

    PREEMPTED: a scheduler ended its worker (SIGTERM), and the grace was not enough. CANCELLED: a person did (Ctrl-C).
    """

    PREEMPTED = "preempted"
    CANCELLED = "cancelled"


# Ends that say something about the parameters: the sampler is told that they violate a constraint.
INFEASIBLE = frozenset(
    {Cause.DIVERGED, Cause.TOO_LARGE, Cause.OUT_OF_MEMORY, Cause.TIMED_OUT, Cause.STALLED, Cause.POISON}
)


class _Value(BaseModel):
    # A loss may be infinite: JSON has no word for it, so it travels as a string.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class TrainSettings(_Value):
    """What the study fixes for all of its trials (`[train]` of the study file).

    Attributes:
        metric: what stops the epochs, chooses the weights, and is a trial's value.
        further_metrics: what else must be a number for a trial to have a score.
    """

    metric: str
    further_metrics: tuple[str, ...] = ()
    max_epochs: int
    patience: int
    optimizer: Literal["adam", "adamw"]
    scaling: Literal["channel", "sample", "none"]
    threads: int
    max_parameters: int | None


class FoldParts(_Value):
    """Folders of one fold's split parts, each with x.npy, y.npy and perhaps groups.npy.

    `stopping` is None where the part that ranks the trials also stops their epochs. Where nothing is held out,
    `validation` is `train` once more: the score then says nothing of new data.
    """

    train: str
    stopping: str | None
    validation: str


class TrialSpec(_Value):
    """Everything that a trial's process needs; it needs nothing else, and no database.

    Attributes:
        study, number, attempt: which trial this is, and for which time it is tried (from 1).
        seed: all randomness of the trial derives from it.
        family: a module of hpo/models.
        model: keyword arguments of the family's `build`.
        training: the hyperparameters of training (learning_rate, batch_size, ...).
        settings: what the study fixes.
        folds: where the arrays lie.
        classes: class names in label order.
        padded: windows may end in steps of NaN, which are not there.
        artifacts: folder that the trial may write its files into.
        keep_model: write the trained model of the last fold into `artifacts`, as `MODEL`.
        resumable: keep checkpoints in `artifacts`, and go on from the last one of an earlier attempt.
        device: what CUDA_VISIBLE_DEVICES is set to before TensorFlow looks at a GPU; None leaves it as it is.
        rates: the learning rate of each epoch of a course that is repeated, because nothing is held out that could
            judge one: so many epochs are trained, and the last weights are kept. A schedule that needs nobody's
            judgement takes the number of epochs only. None: validation judges.
    """

    study: str
    number: int
    attempt: int
    seed: int
    family: str
    model: Params
    training: Params
    settings: TrainSettings
    folds: tuple[FoldParts, ...]
    classes: tuple[str, ...]
    padded: bool = False
    artifacts: str
    keep_model: bool = False
    resumable: bool = False
    device: str | None = None
    rates: tuple[float, ...] | None = None


class Epoch(_Value):
    """One finished epoch, sent up by the trial.

    Attributes:
        step: epochs since the trial's start over all folds, from 0: fold * max_epochs + epoch.
        value: what the pruner sees: the metric of this epoch, averaged with the scores of the finished folds.
        logs: every metric of the epoch by name, validation ones with the prefix ``val_``.
        fold_values: the scores of the finished folds.
        checkpoint: the file among the trial's artifacts that holds the state after this epoch; None if there is none.
    """

    kind: Literal["epoch"] = "epoch"
    fold: int
    epoch: int
    step: int
    value: float
    seconds: float
    logs: dict[str, float]
    fold_values: tuple[float, ...] = ()
    checkpoint: str | None = None


class Started(_Value):
    """The trial's process executed its first TensorFlow operation."""

    kind: Literal["started"] = "started"
    seconds: float
    """From the fork to the end of that operation."""


class Result(_Value):
    """How a trial ended, sent once as its last message.

    Attributes:
        cause: COMPLETED, or why there is no score.
        value: the score that ranks trials (mean over folds); None unless completed.
        detail: a sentence or a traceback for humans.
        metrics: every validation metric, mean over folds.
        parameters: weights of the model, scaling layer excluded; None if it was never built.
        epochs: trained over all folds. best_epochs: the epoch kept in each fold, from 1.
        seconds: by phase (``data``, ``build``, ``fit``, ``score``) and ``total``.
        peak_memory: the process's largest resident size, bytes.
        weights_sha256, curve_sha256: of the last fold's final weights and of all loss curves.
        versions: of the libraries; what `hpo.provenance` knows of code and processor; the `device` that computed.
    """

    kind: Literal["result"] = "result"
    cause: Cause
    value: float | None = None
    detail: str = ""
    metrics: dict[str, float] = Field(default_factory=dict)
    fold_values: tuple[float, ...] = ()
    parameters: int | None = None
    epochs: int = 0
    best_epochs: tuple[int, ...] = ()
    seconds: dict[str, float] = Field(default_factory=dict)
    peak_memory: int | None = None
    weights_sha256: str | None = None
    curve_sha256: str | None = None
    versions: dict[str, str] = Field(default_factory=dict)

    def objective(self, name: str) -> float | None:
        """A metric, or the number of ``parameters``; None where it is not known."""
        if name == "parameters":
            return None if self.parameters is None else float(self.parameters)
        return self.metrics.get(name)

    @model_validator(mode="after")
    def _completed_has_a_score(self) -> Self:
        """A score that is none could never be told to the study, and would block everybody's claims."""
        if self.cause is Cause.COMPLETED and (self.value is None or not math.isfinite(self.value)):
            raise ValueError(f"a completed trial needs a finite value, not {self.value}")
        return self


class Stop(_Value):
    """Sent down to a trial: end in order, for this reason."""

    kind: Literal["stop"] = "stop"
    cause: Cause


Message = Annotated[Epoch | Started | Result | Stop, Field(discriminator="kind")]
_MESSAGE: TypeAdapter[Message] = TypeAdapter(Message)


def encode(message: Epoch | Started | Result | Stop) -> bytes:
    """The message as one line."""
    return message.model_dump_json().encode() + b"\n"


def decode(line: bytes) -> Any:
    """The message in one line.

    Raises:
        pydantic.ValidationError: the line is none.
    """
    return _MESSAGE.validate_json(line)
