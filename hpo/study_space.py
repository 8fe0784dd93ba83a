"""What the table `[space]` of a study file may hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Discriminator, Field, Tag, field_validator, model_serializer, model_validator

from hpo.folders import names
from hpo.space import Scalar, same
from hpo.study_table import Table, Whole, shown

_Number = Whole | float
_Scalar = bool | Whole | float | str

_WHEN = "a table of parents, each with the value or the list of values for which this counts: { cell = 'lstm' }"
When = Annotated[dict[str, Annotated[tuple[_Scalar, ...], Field(min_length=1)]] | None, Field(description=_WHEN)]


class _Entry(Table):
    when: When = None

    @field_validator("when", mode="before")
    @classmethod
    def _lists(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        if not value:
            raise ValueError("is empty; leave it out to keep the family's own condition")
        return {name: v if isinstance(v, tuple) else (v,) for name, v in value.items()}


class Range(_Entry):
    """All numbers between two ends.

    Attributes:
        log: whether the logarithm is sampled evenly; None keeps the family's way.
        step: of whole numbers; None is 1.
    """

    low: _Number = Field(description="a finite number")
    high: _Number = Field(description="a finite number")
    log: bool | None = Field(None, description="true or false")
    step: int | None = Field(None, ge=1, description="a whole number from 1")

    @model_validator(mode="after")
    def _ends(self) -> "Range":
        wrong = []
        if self.low > self.high:
            wrong.append(f"low is {self.low}, which is greater than high, {self.high}")
        if self.log and self.low <= 0:
            wrong.append(f"low is {self.low}, but a log scale needs low above 0")
        if self.log and self.step not in (None, 1):
            wrong.append(f"step is {self.step}, but a log scale knows no step; leave out one of both")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


class Choices(_Entry):
    """One of a list of values."""

    choices: tuple[_Scalar, ...] = Field(description="a list of at least one number, text or boolean")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        return {"choices": value} if isinstance(value, tuple) else value

    @field_validator("choices")
    @classmethod
    def _distinct(cls, value: tuple[Scalar, ...]) -> tuple[Scalar, ...]:
        if not value:
            raise ValueError("the list of choices is empty; give it at least one value")
        twice = [v for i, v in enumerate(value) if any(same(v, earlier) for earlier in value[:i])]
        if twice:
            raise ValueError(f"got {shown(twice[0])} twice; every choice counts once")
        return value


class Value(_Entry):
    """One value that is not searched."""

    value: _Scalar = Field(description="a finite number, a text or a boolean")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        return value if isinstance(value, Mapping | Value) else {"value": value}


FORMS: dict[str, type[_Entry]] = {"range": Range, "choices": Choices, "value": Value}
ENTRY = "a value, a list of choices, { low, high, log, step, when }, { choices, when } or { value, when }"


def _form(raw: object) -> str | None:
    match raw:
        case Range() | Mapping() if isinstance(raw, Range) or {"low", "high"} & set(raw):
            return "range"
        case Choices() | tuple():
            return "choices"
        case Value() | bool() | int() | float() | str():
            return "value"
        case Mapping():
            return next((form for form in ("choices", "value") if form in raw), None)
        case _:
            return None


Entry = Annotated[
    Annotated[Range, Tag("range")] | Annotated[Choices, Tag("choices")] | Annotated[Value, Tag("value")],
    Discriminator(_form),
]


@dataclass(frozen=True)
class _OfFamily:
    """What stands under a family's name, until it is read."""

    raw: object


class FamilySpace(Table):
    """Entries for one family alone, which stand in the place of those for all families."""

    entries: dict[str, Entry] = Field(description="a table of entries for this family alone")

    @model_validator(mode="before")
    @classmethod
    def _unpacked(cls, value: object) -> object:
        return {"entries": value.raw} if isinstance(value, _OfFamily) else value

    @model_serializer
    def _plain(self) -> dict[str, Entry]:
        return self.entries


def entries(raw: object) -> object:
    """The table `[space]` with the tables of single families marked as such: they stand under a family's name."""
    if not isinstance(raw, Mapping):
        return raw
    families = names("models")
    return {
        name: _OfFamily(value) if name in families and not isinstance(value, FamilySpace) else value
        for name, value in raw.items()
    }


def _kind(raw: object) -> str:
    return "family" if isinstance(raw, FamilySpace | _OfFamily) else "entry"


Item = Annotated[Annotated[Entry, Tag("entry")] | Annotated[FamilySpace, Tag("family")], Discriminator(_kind)]
"""What stands under one name of `[space]`."""
