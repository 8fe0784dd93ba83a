"""What the tables of a study file have in common, and how error messages show a value."""

from collections.abc import Collection, Iterable, Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from hpo.errors import nearest

LATER = "known, but not built yet"

# Beyond 2**53 a whole number no longer survives the way through JSON and a database's floats.
Whole = Annotated[int, Field(ge=-(2**53), le=2**53)]
Positive = Annotated[float, Field(gt=0)]


class Table(BaseModel):
    """One table of the file. Strict: "60" is no number, 1 is no boolean, and no key is ignored.

    A field's `description` is the end of the sentence "accepted: ..." in an error message.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def keys(table: type[BaseModel]) -> dict[str, FieldInfo]:
    """The keys of a table as a file has them, with their fields."""
    return {field.alias or name: field for name, field in table.model_fields.items()}


def shown(value: object) -> str:
    """A value as an error message shows it: how TOML spells it, shortened, and what kind it is."""
    match value:
        case bool():
            return f"{str(value).lower()} (boolean)"
        case int():
            return f"{value if abs(value) < 1e30 else 'a huge number'} (whole number)"
        case float():
            return f"{value} (decimal number)"
        case str():
            return f"{value if len(value) <= 60 else value[:57] + '...'!r} (text)"
        case list() | tuple():
            inner = ", ".join(shown(v).rsplit(" (", 1)[0] for v in value[:4])
            return f"[{inner}{', ...' if len(value) > 4 else ''}] (list)"
        case Mapping():
            return f"{{ {', '.join(map(str, value))} }} (table)" if value else "{} (table)"
        case _:
            return f"{value} (date or time)"


def check_known(kind: str, found: Iterable[str], known: Collection[str], later: Collection[str] = ()) -> None:
    """Refuses names that do not exist.

    Args:
        kind: of thing, for the message.
        found: the names in the file.
        known: all that there are.
        later: names that a reader of other programs' pages may expect, and that are not built.

    Raises:
        ValueError: a name is not known; the message has the nearest ones, for each of them.
    """
    unknown = [
        f"{kind} {name!r} is {LATER}; {nearest(name, known)}"
        if name in later
        else f"unknown {kind} {name!r}; {nearest(name, known)}"
        for name in found
        if name not in known
    ]
    if unknown:
        raise ValueError("; ".join(unknown))
