"""Looks into an ONNX file without loading it: does it hold anything but standard operators and its own numbers?

Reads the protobuf wire format (https://protobuf.dev/programming-guides/encoding) by the field numbers of onnx.proto,
because who only serves bundles has no library that would. Whoever loads the file afterwards reads it with another
reader, and must not find in it what this one did not see. So numbers are accepted only as every writer writes them, and
fields only where they are known.
"""

from collections.abc import Iterator
from typing import Final

from hpo.errors import DataError

DOMAINS = frozenset({b"", b"ai.onnx"})
"""Of the operators that may occur: those of the ONNX standard."""
_DEEPEST = 32  # graphs within operators within graphs; ours have two

# kind of message -> field number -> kind of the message in that field
_INSIDE: Final[dict[str, dict[int, str]]] = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse tensor",
        23: "sparse tensor",
    },
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
# kind of message -> numbers of further fields that may occur: they hold numbers, text, types and names
_PLAIN: Final[dict[str, frozenset[int]]] = {
    "model": frozenset({1, 2, 3, 4, 5, 6, 8, 14}),
    "graph": frozenset({2, 10, 11, 12, 13, 16}),
    "node": frozenset({1, 2, 3, 4, 6, 7, 8, 9}),
    "attribute": frozenset({1, 2, 3, 4, 7, 8, 9, 13, 14, 15, 20, 21}),
    "sparse tensor": frozenset({3}),
    "tensor": frozenset({1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16}),
}
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5  # wire types; 3 and 4 are not used by any file of ONNX


def check(content: bytes) -> None:
    """Refuses a model that would need anything outside of its own file.

    Raises:
        DataError: it holds operators of another domain than the standard's, functions of its own, steps of a training,
            numbers that lie in other files, or fields that hpo does not know; or it is no ONNX model.
    """
    try:
        problems = dict.fromkeys(_walk("model", memoryview(content), 0))
    except (IndexError, ValueError) as error:
        raise DataError("is not an ONNX model: its bytes make no sense") from error
    if problems:
        raise DataError("; ".join(list(problems)[:5]))


def _walk(kind: str, message: memoryview, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        yield f"its graphs lie more than {_DEEPEST} messages deep in each other"
        return
    for number, value in _fields(message):
        problem = _problem(kind, number, value)
        if problem is not None:
            yield problem
        inner = _INSIDE[kind].get(number)
        if inner is not None:
            if isinstance(value, int):
                raise ValueError(number)
            yield from _walk(inner, value, depth + 1)


def _problem(kind: str, number: int, value: int | memoryview) -> str | None:
    match kind, number:
        case "model", 20:  # training_info
            return "holds steps of a training"
        case "model", 25:  # functions
            return "brings functions of its own"
        case "node", 7:  # domain
            domain = b"?" if isinstance(value, int) else bytes(value)  # a number where text belongs
            if domain not in DOMAINS:
                return f"has an operator of the domain {domain[:80].decode(errors='replace')!a}"
        case "tensor", 13:  # external_data
            return "keeps numbers in another file"
        case "tensor", 14 if value != 0:  # data_location
            return "keeps numbers in another file"
    if number not in _INSIDE[kind] and number not in _PLAIN[kind]:
        return f"has a field {number} in a {kind}, which hpo does not know"
    return None


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and content of each field, a whole number or bytes.

    Raises:
        IndexError, ValueError: the message is cut off, or none.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if key >= 1 << 32 or number == 0:  # other readers cut tags to 32 bits, and take 0 for an end
            raise ValueError(key)
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(message, at)
        else:
            size = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}.get(wire, len(message))
        end = at + size
        if end > len(message):
            raise IndexError(end)
        yield number, message[at:end]
        at = end


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """The whole number at a place, of at most 64 bits and written in as few bytes as it takes; and the place behind it.

    Raises:
        IndexError, ValueError: there is none.
    """
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >= 1 << 64 or (byte == 0 and shift > 0):
                break
            return value, at
    raise ValueError(at)
