"""What a study file may hold: one frozen model per table of the TOML.

How a file is read and how mistakes are worded is `hpo.study`'s business.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, SerializeAsAny, field_serializer, field_validator, model_validator

from hpo import data, pruners
from hpo.data import SourceOptions
from hpo.data.split import DRAWN, By
from hpo.folders import names
from hpo.pruners import Pruner
from hpo.scores import METRICS, OBJECTIVES
from hpo.study_notify import Notify
from hpo.study_space import Item, entries
from hpo.study_table import Positive, Table, check_known, shown

# What hpo itself puts beside a study, under the name NAME/SIBLING; no file may be called so.
SIBLINGS = EVALUATE, REFIT = "evaluate", "refit"


def data_table(raw: object) -> object:
    """A table `[data]` as its source has it; without a known source, only the key `source`.

    Raises:
        ValidationError: it says something wrong.
    """
    if not isinstance(raw, Mapping):
        return raw
    if raw.get("source") not in names("data"):
        return {key: value for key, value in raw.items() if key == "source"}
    return data.get(raw["source"]).Options.model_validate(raw)


class Split(Table):
    """How the training part of the data is cut. The test part is never touched."""

    by: By = Field(
        description="'group' (no subject lies in two parts), 'stratified' (class shares are kept), "
        "'leave-one-group-out' or 'predefined'"
    )
    folds: int = Field(1, ge=1, description="a whole number from 1; 1 is one held-out part, more is k-fold")
    repeats: int = Field(1, ge=1, description="a whole number from 1")
    validation: float = Field(0.2, gt=0, le=0.5, description="a number above 0, up to 0.5")
    stopping: float = Field(0.0, ge=0, lt=0.5, description="a number from 0 to less than 0.5")
    seed: int = Field(0, ge=0, lt=2**32, description="a whole number from 0 to 4294967295")

    def count(self) -> int | None:
        """How many folds a trial trains; None where only the data know."""
        return self.folds * self.repeats if self.by in DRAWN else None

    def words(self, folds: int) -> Iterator[str]:
        """For people: only what has an effect. Where the data say who is held out, no share and no seed do.

        Args:
            folds: how many there were.
        """
        yield f"by {self.by}"
        if self.by in DRAWN and self.folds == 1:
            yield f"{self.validation:.0%} held out{f' {self.repeats} times' if self.repeats > 1 else ''}"
        else:
            yield "1 fold" if folds == 1 else f"{folds} folds"
        if self.by in DRAWN or self.stopping:
            yield f"seed {self.seed}"
        if self.stopping:
            yield f"stopping part {self.stopping:.0%}"


class Model(Table):
    """Which families are searched."""

    family: tuple[str, ...] = Field(min_length=1, description="a family's name, or a list of different ones")
    max_parameters: int | None = Field(None, ge=1, description="a whole number from 1; leave it out for no limit")

    @field_validator("family", mode="before")
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("family")
    @classmethod
    def _families(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        check_known("family", value, names("models"))
        if len(set(value)) < len(value):
            raise ValueError(f"got {shown(value)}; every family counts once")
        return value


class Search(Table):
    """How the next trial's hyperparameters are found, and what ends hopeless trials early."""

    sampler: str = Field("tpe", description="the name of a module in hpo/samplers")
    pruner: SerializeAsAny[Pruner] = Field(
        default_factory=lambda: pruners.get("hyperband")(name="hyperband"),
        description="a pruner's name, or a table { name, min_epochs, ... }",
    )
    duplicates: Literal["skip", "reseed"] = Field("skip", description="'skip' or 'reseed'")

    @field_validator("sampler")
    @classmethod
    def _sampler(cls, value: str) -> str:
        check_known("sampler", [value], names("samplers"), later={"gp"})
        return value

    @field_validator("pruner", mode="before")
    @classmethod
    def _by_name(cls, value: object) -> object:
        raw = {"name": value} if isinstance(value, str) else value
        if not isinstance(raw, Mapping) or not isinstance(raw.get("name"), str):
            return raw
        check_known("pruner", [raw["name"]], pruners.names())
        return pruners.get(raw["name"]).model_validate(raw)


class Train(Table):
    """What the study fixes for the training of every trial."""

    metrics: tuple[str, ...] = Field(
        ("accuracy",),
        alias="metric",
        min_length=1,
        description=f"one of {', '.join(METRICS)}, or a list of different ones, behind which may be 'parameters'",
    )
    max_epochs: int = Field(60, ge=1, description="a whole number from 1")
    patience: int = Field(10, ge=1, description="a whole number from 1")
    optimizer: Literal["adam", "adamw"] = Field("adamw", description="'adam' or 'adamw'")
    scaling: Literal["channel", "sample", "none"] = Field("channel", description="'channel', 'sample' or 'none'")
    triples: bool = Field(False, description="true or false")
    threads: int = Field(1, ge=1, description="a whole number from 1")
    stall_minutes: Positive = Field(10.0, description="a finite number above 0")

    @property
    def metric(self) -> str:
        """The first metric, or the only one: it stops the epochs, and chooses which weights are kept."""
        return self.metrics[0]

    @field_validator("metrics", mode="before")
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("metrics")
    @classmethod
    def _metrics(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        check_known("metric", value, OBJECTIVES)
        if value[0] not in METRICS:
            raise ValueError(f"got {value[0]!r} first; the first one stops the epochs, so it has to be a score")
        if len(set(value)) < len(value):
            raise ValueError(f"got {shown(value)}; every metric counts once")
        return value

    @field_serializer("metrics")
    def _as_written(self, value: tuple[str, ...]) -> str | tuple[str, ...]:
        return value[0] if len(value) == 1 else value


class Budget(Table):
    """When the study has ended; None means no limit, whichever limit comes first counts."""

    trials: int | None = Field(None, ge=1, description="a whole number from 1")
    hours: Positive | None = Field(None, description="a finite number above 0")
    trial_minutes: Positive | None = Field(None, description="a finite number above 0")
    gpu_hours: Positive | None = Field(None, description="a finite number above 0")
    retries: int = Field(3, ge=0, description="a whole number from 0")
    max_consecutive_failures: int = Field(5, ge=1, description="a whole number from 1")


class StudyDef(Table):
    """A whole study file; `space` holds the user's entries only, before they meet the family's default space."""

    name: str = Field(
        pattern=rf"^[a-z0-9][a-z0-9._-]{{0,63}}(/({'|'.join(SIBLINGS)}))?$",
        description="1 to 64 of a-z, 0-9, '.', '_', '-', of which the first is a letter or a digit",
    )
    data: SerializeAsAny[SourceOptions] = Field(description="a table [data]")
    split: Split = Field(description="a table [split]")
    model: Model = Field(description="a table [model]")
    space: dict[str, Item] = Field(default_factory=dict, description="a table [space]")
    search: Search = Field(Search(), description="a table [search]")
    train: Train = Field(Train(), description="a table [train]")
    budget: Budget = Field(description="a table [budget]")
    notify: Notify = Field(Notify(), description="a table [notify]")

    @field_validator("data", mode="before")
    @classmethod
    def _of_its_source(cls, value: object) -> object:
        return data_table(value)

    @model_validator(mode="before")
    @classmethod
    def _no_pruning(cls, raw: object) -> object:
        """With several metrics there is no pruner, unless the file names one: that is refused elsewhere."""
        if not isinstance(raw, Mapping):
            return raw
        train, search = raw.get("train"), raw.get("search", {})
        metrics = train.get("metric") if isinstance(train, Mapping) else None
        several = isinstance(metrics, tuple) and len(metrics) > 1
        if several and isinstance(search, Mapping) and "pruner" not in search:
            return {**raw, "search": {**search, "pruner": "none"}}
        return raw

    @field_validator("space", mode="before")
    @classmethod
    def _families(cls, value: object) -> object:
        return entries(value)

    @property
    def sibling(self) -> bool:
        """Whether hpo made the study beside another one: all of its trials are given, and nothing is searched."""
        return "/" in self.name

    @property
    def parent(self) -> str:
        """Name of the study that hpo made this one beside; its own where it did not."""
        return self.name.partition("/")[0]

    def plain(self) -> dict[str, Any]:
        """The definition as JSON-ready values, defaults included."""
        return self.model_dump(mode="json", by_alias=True)
