"""The look into an ONNX model sees what other readers of the same bytes see, however they are written."""

import re
from collections.abc import Callable

import onnx
import pytest

from hpo.bundle import graph
from hpo.errors import DataError
from tests.bundle.made import contents, field, number


def inside(kind: str, content: bytes) -> bytes:
    """A model with a message of this kind, which ends in `content`."""
    model = onnx.ModelProto(ir_version=8).SerializeToString()
    node = onnx.helper.make_node("Relu", ["x"], ["y"]).SerializeToString()
    tensor = onnx.TensorProto(name="t", data_type=1, dims=[1]).SerializeToString()
    match kind:
        case "node":
            content = field(7, field(1, node + content))
        case "tensor":
            content = field(7, field(5, tensor + content))
        case "constant":
            content = field(7, field(1, node + field(5, field(5, tensor + content))))
    return bytes(model + content)


TRAPS = {
    "training": ("model", 20, b""),
    "functions": ("model", 25, b""),
    "domain": ("node", 7, b"com.stranger"),
    "file": ("tensor", 13, onnx.StringStringEntryProto(key="location", value="secret").SerializeToString()),
    "file of a constant": ("constant", 13, onnx.StringStringEntryProto(key="location", value="x").SerializeToString()),
}
TAGS: dict[str, Callable[[int], bytes]] = {
    "plain": number,
    "33 bits": lambda key: number(key + (1 << 32)),
    "35 bits": lambda key: number(key + (7 << 32)),
    "64 bits": lambda key: number(key + (1 << 63)),
    "70 bits": lambda key: number(key + (1 << 69)),
    "one byte more": lambda key: number(key, 1),
    "ten bytes": lambda key: number(key, 10 - len(number(key))),
}


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("trap", TRAPS)
def test_no_tag_hides_a_field(trap: str, tag: str) -> None:
    """Protobuf for C++ keeps 32 bits of a tag: what is written with more, or with more bytes, is refused."""
    kind, key, content = TRAPS[trap]
    with pytest.raises(DataError):
        graph.check(inside(kind, field(key, content, TAGS[tag])))
    with pytest.raises(DataError):
        graph.check(inside(kind, b"\x00" + field(key, content, TAGS[tag])))


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        (number(0), True),
        (number(1), False),
        (number(1 << 32), False),
        (number((1 << 32) + 1), False),
        (number(1 << 64), False),
        (number((1 << 64) + 1), False),
        (number(0, 1), False),
        (number(1, 8), False),
        (b"\x80" * 10 + b"\x01", False),
    ],
)
def test_where_numbers_lie(value: bytes, accepted: bool) -> None:
    """A tensor says that its numbers lie in the model, with one byte, or it is refused."""
    content = inside("tensor", number(14 << 3) + value)
    if accepted:
        graph.check(content)
        return
    with pytest.raises(DataError):
        graph.check(content)


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("node", number(7 << 3) + b"\x01", r"an operator of the domain '\?'"),  # a number for text
        ("node", number(7 << 3 | 5) + b"abcd", "an operator of the domain 'abcd'"),  # four bytes
        ("tensor", number(14 << 3 | 2) + b"\x01\x01", "another file"),  # a list of numbers for one
        ("model", number(7 << 3) + b"\x01", "bytes make no sense"),  # a number for a graph
        ("model", number(7 << 3 | 3) + number(7 << 3 | 4), "bytes make no sense"),  # groups
        ("model", number(9 << 3 | 4), "bytes make no sense"),
        ("model", number(9 << 3 | 6), "bytes make no sense"),  # no wire type
        ("model", field(9, b"x"), "has a field 9 in a model, which hpo does not know"),
        ("node", field(10, b"x"), "has a field 10 in a node"),
        ("tensor", field(3, b"x"), "has a field 3 in a tensor"),
        ("tensor", number(15 << 3) + b"\x01", "has a field 15 in a tensor"),
        ("tensor", field(9, b"x")[:-1], "bytes make no sense"),  # cut off
        ("tensor", number(9 << 3 | 2) + number(1, 4) + b"x", "bytes make no sense"),  # a length of five bytes
    ],
)
def test_other_kinds_of_fields(kind: str, content: bytes, message: str) -> None:
    """A known field of another kind, a field that nobody knows, and what is no field are refused."""
    with pytest.raises(DataError) as caught:
        graph.check(inside(kind, content))
    assert re.search(message, str(caught.value)), caught.value


def test_graphs_are_merged() -> None:
    """A graph given in two halves is one for protobuf: both are looked into."""
    clean = field(7, b"")
    trap = field(7, field(1, onnx.helper.make_node("Run", ["x"], ["y"], domain="d").SerializeToString()))
    graph.check(inside("model", clean))
    for content in (clean + trap, trap + clean):
        with pytest.raises(DataError, match="operator of the domain 'd'"):
            graph.check(inside("model", content))


def test_our_own_models_pass() -> None:
    """The one of an earlier bundle."""
    graph.check(contents()["model.onnx"])
