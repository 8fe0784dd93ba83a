"""Rows as frozen values: what the store hands out."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, TypeAdapter, model_serializer

from hpo.space import Domain, Params, Space
from hpo.study import StudyDef
from hpo.study_file import REFIT
from hpo.trial import Cause, Result

SPACES: TypeAdapter[dict[str, dict[str, Domain]]] = TypeAdapter(dict[str, dict[str, Domain]])


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, ser_json_inf_nan="strings")


class DataRecord(_Record):
    """What a study's data are, by content.

    Attributes:
        shape: (timesteps, channels) of one window.
        padded: windows differ in length; the shorter ones end in steps of NaN.
        n_train: windows outside the test part.
        sha256: of the data set. split_sha256: of the split of its training part.
        folds: of the split, repeats included; None if not recorded.
        base: folder from which relative paths of the study file counted when it was launched; None if not recorded.
    """

    name: str
    sha256: str
    split_sha256: str
    shape: tuple[int, int]
    padded: bool = False
    n_train: int
    classes: tuple[str, ...]
    folds: int | None = None
    base: str | None = None


class StudyRecord(_Record):
    """A study as it was created."""

    study_id: int
    name: str
    definition: StudyDef
    digest: str
    spaces: dict[str, Space]
    data: DataRecord
    versions: dict[str, str]
    created_at: float
    stop_requested: bool

    @property
    def folds(self) -> int:
        """How many folds each of its trials trains."""
        return 1 if self.refits else self.data.folds or self.definition.split.folds

    @property
    def split(self) -> str:
        """How its data were divided, for people."""
        asked = self.definition.split
        if not self.refits:
            return ", ".join(asked.words(self.folds))
        return "none: trained on all but the test part" + (" and the part that stops" if asked.stopping else "")

    @property
    def refits(self) -> bool:
        """Its trials are an evaluation's, of the winner, and no data were held out to score them."""
        return self.name.endswith(f"/{REFIT}")

    @property
    def scored_on(self) -> str:
        """What its trials' scores come from, for people."""
        return "data that the model has seen" if self.refits else "the validation part"


class Given(_Record):
    """What hpo, and no sampler, decided of a trial in a study beside another one.

    Attributes:
        configuration: key of the setting, the same for all of its trials.
        index: which of the seeds, from 0. seed: what the trial's randomness derives from.
        keep_model: its model is wanted.
        rates: see `TrialSpec.rates`.
    """

    configuration: str
    index: int
    seed: int
    keep_model: bool = False
    rates: tuple[float, ...] | None = None

    @property
    def key(self) -> tuple[str, int]:
        """What tells it from all others of its study."""
        return self.configuration, self.index


class Claim(_Record):
    """A trial that a worker owns until its lease runs out.

    Attributes:
        model, training: complete settings, fixed ones included.
        artifacts: folder for the trial's files, relative to the artifact root.
        taken_over: it was somebody's before.
        given: None for a trial of a search.
    """

    number: int
    attempt: int
    seed: int
    family: str
    model: Params
    training: Params
    artifacts: str
    taken_over: bool
    given: Given | None = None

    @property
    def key(self) -> tuple[int, int]:
        """What tells this claim from all others of the study: number and attempt."""
        return self.number, self.attempt


class Idle(_Record):
    """Nothing to claim now, but the budget has not ended: a running trial may be lost."""


class Over(_Record):
    """Nothing to claim any more.

    Attributes:
        reason: "trials", "hours", "gpu_hours", "space" (every setting of a finite space was tried), "stop" or "failed".
        detail: for "failed", what the last failed trial said.
    """

    reason: str
    detail: str = ""


class Orders(_Record):
    """What a worker learns when it renews its leases.

    Attributes:
        lost: (number, attempt) of claims that no longer stand.
        stop: somebody asked the study's workers to drain.
        seconds_left: until the time budget ends, if nothing changes; None means no limit.
    """

    lost: tuple[tuple[int, int], ...]
    stop: bool
    seconds_left: float | None


class TrialRecord(_Record):
    """One trial, as Optuna and our own row know it.

    Attributes:
        state: Optuna's, in lower case: complete, pruned, fail, running, waiting.
        value: by the first metric. values: by every one; None before it completed.
        params: what the sampler chose.
        last_step: the last reported step; None before the first.
        curve: while it runs, the steps that it reported, each with its value; none where its pruner hears of no epochs.
        worker: who owns it or finished it.
        same_as: the trial whose parameters came up again, so that this one was not trained; None for all others.
        given: None for a trial of a search.
    """

    number: int
    state: str
    value: float | None
    params: Params
    values: tuple[float, ...] | None = None
    last_step: int | None = None
    last_value: float | None = None
    curve: tuple[tuple[int, float], ...] = ()
    seed: int | None = None
    attempt: int = 0
    losses: int = 0
    preempted: int = 0
    cancelled: int = 0
    worker: str | None = None
    cause: Cause | None = None
    outcome: Result | None = None
    artifacts: str | None = None
    leased_at: float | None = None
    finished_at: float | None = None
    same_as: int | None = None
    live: bool = False
    given: Given | None = None


class Configuration(_Record):
    """One setting of a search.

    Attributes:
        key: a short name, the same wherever the setting comes up.
        trial: the best completed trial that had it, and its value; None where the search completed none.
        params: the hyperparameters that count, as Optuna knows them.
    """

    key: str
    trial: int | None
    value: float | None
    params: Params


class Plan(_Record):
    """What an evaluation trains.

    Attributes:
        top: how many configurations were asked for.
        seeds: the same for all configurations; no trial of the search had one of them.
        configurations: best first, by the value that the search gave them.
    """

    top: int
    seeds: tuple[int, ...]
    configurations: tuple[Configuration, ...]


class Evaluation(_Record):
    """One evaluation of a study.

    Attributes:
        winner: key of the configuration that won on validation; None while they are ranked.
        report: what was found out; None until it has ended.
    """

    number: int
    plan: Plan
    winner: str | None = None
    report: dict[str, Any] | None = None
    created_at: float
    finished_at: float | None = None

    @property
    def tested(self) -> bool:
        """Whether its report has test scores."""
        return (self.report or {}).get("test") is not None


class Opening(_Record):
    """One look at a test part.

    Attributes:
        number: from 0, over all studies that ever opened it.
        study: on whose behalf. purpose: hash of what was scored. who: user and host.
    """

    number: int
    study: str
    purpose: str
    who: str
    opened_at: float


class Start(_Record):
    """A setting that somebody wants to be tried first.

    Attributes:
        params: Optuna's, of the study's own space.
        origin: where it comes from, in words.
    """

    params: Params
    origin: str


class Prior(_Record):
    """What a study knows of another study's trial. It is none of its own trials, and counts nowhere.

    Attributes:
        source, trial: name of the other study, and number there.
        params: Optuna's, of this study's space.
        state: complete or pruned. infeasible: the setting itself was at fault.
        values: by each metric; None for a pruned one.
        last_step, last_value: the last report.
    """

    source: str
    trial: int
    params: Params
    state: Literal["complete", "pruned"]
    infeasible: bool = False
    values: tuple[float, ...] | None = None
    last_step: int | None = None
    last_value: float | None = None


class WorkerRecord(_Record):
    """A supervisor that works or worked on a study.

    Attributes:
        alive: it was heard of within one lease.
        devices: of each slot: the GPU that it uses, None for none; () where that was not recorded.
    """

    worker: str
    host: str
    pid: int
    slots: int
    lease: float
    started_at: float
    seen_at: float
    left_at: float | None
    alive: bool
    devices: tuple[str | None, ...] = ()


class Best(_Record):
    """A completed trial that is the best, or that no other beats in all metrics.

    Attributes:
        value: by the first metric.
        values: by every metric of the study.
    """

    trial: int
    value: float
    params: Params
    values: dict[str, float]


class Use(_Record):
    """How much of one budget is used; `limit` None means none was set."""

    used: float
    limit: float | None


class Doomed(_Record):
    """What deleting a study removes from the database.

    Attributes:
        names: the study and the siblings that go with it.
        begun: those of them whose deletion began already.
        rows: table, without its prefix -> how many rows.
    """

    names: tuple[str, ...]
    begun: tuple[str, ...]
    rows: dict[str, int]


class Status(_Record):
    """A study at one moment: what `hpo status --json` prints.

    Attributes:
        at: the moment, by the database's clock.
        state: waiting (no worker yet), running, stopping, stopped, interrupted (work left, no worker), ended, failed.
        ending: why it ended: "trials", "hours", "gpu_hours" or "space exhausted"; empty while it has not.
        metric: the first one. metrics: all of them.
        best: None before a trial completed. With several metrics the best by the first one, and in JSON the `front`.
        front: with several metrics, every trial that no other beats in all of them, the best by the first one first.
        prior: other studies of whose trials it knows -> of how many; none of them is among `counts`.
        failures: cause -> number of trials, for every end but completed and pruned.
        interrupted: lost, preempted, cancelled -> number of attempts that ended so, while their trials went on.
        repeated: trials that were answered from the record of another one, and not trained.
        seconds: training (in fit) and overhead (the rest of the finished trials' time).
    """

    study: str
    at: float = 0.0
    state: str
    metric: str
    metrics: tuple[str, ...] = ()
    counts: dict[str, int]
    budget: dict[str, Use]
    best: Best | None
    front: tuple[Best, ...] = ()
    failures: dict[str, int]
    interrupted: dict[str, int] = {}
    workers: tuple[WorkerRecord, ...]
    seconds: dict[str, float]
    running: tuple[TrialRecord, ...]
    max_steps: int
    ending: str = ""
    repeated: int = 0
    prior: dict[str, int] = {}
    last_failure: str = ""

    @model_serializer(mode="wrap")
    def _plain(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        plain: dict[str, Any] = dump(self)
        front = plain.pop("front")
        return {**plain, "best": front} if len(self.metrics) > 1 else plain
