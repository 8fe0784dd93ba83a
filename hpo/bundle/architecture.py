"""Looks into a .keras file without Keras: does it hold code? Only its description of the architecture is read."""

import io
import json
from collections.abc import Iterator
from typing import Any

from hpo.bundle.zips import DAMAGED, member, opened
from hpo.errors import DataError

_LIMIT = 16 << 20  # bytes of a description; ours have some kB
# Layers that run what the file brings, or what lies elsewhere, and Keras's word for a pickled function.
_CODE = {"__lambda__", "FlaxLayer", "JaxLayer", "Lambda", "TFSMLayer", "TorchModuleWrapper"}
_MAKERS = ("keras", "hpo")


def check(content: bytes) -> None:
    """Refuses a model that is not made of Keras's layers and ours alone.

    Raises:
        DataError: there is a Lambda layer in it, or a class of somebody else's; or it is no .keras file.
    """
    try:
        with opened(io.BytesIO(content)) as archive, member(archive, "config.json", deflated=True) as file:
            description = file.read(_LIMIT + 1)
        if len(description) > _LIMIT:
            raise DataError(f"its architecture has more than {_LIMIT} bytes")
        problems = dict.fromkeys(_code(json.loads(description)))
    except DAMAGED as error:  # also what json raises, for text that is none and for text that is too deep
        raise DataError(f"is not a .keras file: {error}") from error
    if problems:
        raise DataError("; ".join(list(problems)[:5]))


def _code(value: Any) -> Iterator[str]:
    """Why a part of the description is more than numbers and known layers."""
    if isinstance(value, list):
        for inner in value:
            yield from _code(inner)
    if isinstance(value, dict):
        name, module, registered = names = [value.get(key) for key in ("class_name", "module", "registered_name")]
        if not all(one is None or isinstance(one, str) for one in names):
            yield "has a class whose name is no text"
        elif name in _CODE:
            yield f"has {name!a}, which runs code"
        elif module is not None and module.partition(".")[0] not in _MAKERS:
            yield f"has {f'{module}.{name}'!a}, which is neither Keras's nor hpo's"
        elif registered is not None and ">" in registered and registered.partition(">")[0] not in _MAKERS:
            yield f"has {registered!a}, which is neither Keras's nor hpo's"
        for inner in value.values():
            yield from _code(inner)
