"""How results are written for other programs: plain values in, text out. Knows neither studies nor trials."""

import json
import math
from typing import Any


def finite(value: Any) -> Any:
    """`value` with null for every number that JSON does not know: a score that could not be computed is NaN."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {name: finite(inner) for name, inner in value.items()}
        case list() | tuple():
            return [finite(inner) for inner in value]
        case _:
            return value


def to_json(value: Any, *, indent: int = 2) -> str:
    """Indented JSON; numbers that are none become null."""
    return json.dumps(finite(value), indent=indent, ensure_ascii=False, allow_nan=False)
