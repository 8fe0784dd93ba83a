"""Bundles from strangers: each trap is refused, with what it is and exit code 3, before anything is loaded."""

import contextlib
import io
import json
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.bundle import graph
from hpo.errors import DataError
from tests.bundle.made import GOLDEN, contents, entries, entry, field, number, sealed, zipped
from tests.cli.run import call

Make = Callable[[Path], Path]


def with_entry(name: str, content: bytes = b"x", mode: int = 0o100644) -> Make:
    """The bundle with one more entry."""
    return lambda path: zipped(path, [*entries(contents()), entry(name, content, mode)])


def compressed(path: Path) -> Path:
    """A member of a few kB that unpacks to 64 MiB."""
    with zipfile.ZipFile(path, "w") as archive:
        for info, content in entries(contents()):
            if info.filename == "windows.npz":
                archive.writestr(info, bytes(64 << 20), zipfile.ZIP_DEFLATED)
            else:
                archive.writestr(info, content)
    return path


def raw(change: Callable[[bytes], bytes]) -> Make:
    """The bundle's bytes, changed."""

    def make(path: Path) -> Path:
        path.write_bytes(change(GOLDEN.read_bytes()))
        return path

    return make


def encrypted(path: Path) -> Path:
    """The flag that a member is encrypted, in its header and in the directory."""
    whole = bytearray(GOLDEN.read_bytes())
    with zipfile.ZipFile(GOLDEN) as archive:
        header = archive.getinfo("model.onnx").header_offset
    whole[header + 6] |= 1
    whole[whole.rindex(b"model.onnx") - 46 + 8] |= 1
    path.write_bytes(whole)
    return path


def overlapping(path: Path) -> Path:
    """Two entries of the directory that share one content."""
    whole = bytearray(GOLDEN.read_bytes())
    with zipfile.ZipFile(GOLDEN) as archive:
        target = archive.getinfo("report.json").header_offset
    struct.pack_into("<I", whole, whole.rindex(b"study.json") - 46 + 42, target)
    path.write_bytes(whole)
    return path


def large(path: Path) -> Path:
    """A manifest of two MiB."""
    return zipped(path, entries({**contents(), "manifest.json": b" " * (2 << 20)}))


def edited(change: Callable[[onnx.ModelProto], object]) -> Make:
    """A bundle with another ONNX model, all hashes right."""

    def make(path: Path) -> Path:
        model = onnx.load_from_string(contents()["model.onnx"])
        change(model)
        return sealed(path, {"model.onnx": model.SerializeToString()})

    return make


def external(model: onnx.ModelProto) -> None:
    """Weights that lie in a file of the machine that loads them."""
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/hostname")


def long_tags(path: Path) -> Path:
    """The same with tags of 33 bits, of which onnxruntime drops the first."""
    location = onnx.StringStringEntryProto(key="location", value="secret").SerializeToString()
    tensor = onnx.TensorProto(name="t", data_type=1, dims=[1]).SerializeToString()
    tensor += field(13, location, lambda key: number(key + (1 << 32))) + number((14 << 3) + (1 << 32)) + b"\x01"
    return sealed(path, {"model.onnx": contents()["model.onnx"] + field(7, field(5, tensor))})


def no_text(name: bytes) -> Make:
    """A model in which this name is no UTF-8."""
    content = contents()["model.onnx"]
    assert name in content
    return lambda path: sealed(path, {"model.onnx": content.replace(name, b"\xff\xfe" + name[2:])})


def hidden(model: onnx.ModelProto) -> None:
    """The same in a constant of a graph within an operator."""
    tensor = onnx.TensorProto(name="t", data_type=1, dims=[1], data_location=onnx.TensorProto.EXTERNAL)
    inner = onnx.helper.make_graph([onnx.helper.make_node("Constant", [], ["c"], value=tensor)], "g", [], [])
    model.graph.node.append(onnx.helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner))


def foreign(model: onnx.ModelProto) -> None:
    """An operator of another domain."""
    model.graph.node.append(onnx.helper.make_node("Run", ["window"], ["z"], domain="com.stranger\x1b[0m"))


def functions(model: onnx.ModelProto) -> None:
    """A function of its own."""
    model.functions.append(onnx.helper.make_function("", "Relu", ["x"], ["y"], [], []))


def training(model: onnx.ModelProto) -> None:
    """Steps of a training."""
    model.training_info.add()


def reshaped(model: onnx.ModelProto) -> None:
    """An input of another shape than the manifest says."""
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 17


def keras_file(change: Callable[[str], str]) -> Make:
    """A bundle whose .keras file has another architecture, all hashes right."""

    def make(path: Path) -> Path:
        file = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(contents()["model.keras"])) as old, zipfile.ZipFile(file, "w") as new:
            for info in old.infolist():
                content = old.read(info)
                new.writestr(info, change(content.decode()) if info.filename == "config.json" else content)
        return sealed(path, {"model.keras": file.getvalue()})

    return make


def keras_zip(content: bytes, method: int = zipfile.ZIP_STORED, change: Callable[[bytes], bytes] = bytes) -> Make:
    """A bundle whose .keras file holds this description; `change` changes its bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("config.json", content)
    return lambda path: sealed(path, {"model.keras": change(file.getvalue())})


def damaged(content: bytes) -> bytes:
    """Some bytes of a zip's first member changed."""
    return content[:45] + bytes(byte ^ 0xFF for byte in content[45:55]) + content[55:]


def far(content: bytes) -> bytes:
    """A zip whose first member lies further away than files are long."""
    at = content.rindex(b"PK\x01\x02")
    entry, name, end = content[at : at + 46], content[at + 46 : at + 57], content[at + 57 :]
    extra = struct.pack("<2HQ", 1, 8, (1 << 64) - 1)
    entry = entry[:30] + struct.pack("<H", len(extra)) + entry[32:42] + b"\xff" * 4
    return content[:at] + entry + name + extra + end[:12] + struct.pack("<L", 57 + len(extra)) + end[16:]


def many(count: int, *, zip64: bool = False) -> bytes:
    """A zip whose directory says that there are so many members."""
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", 20, 3, 20, 0, 0, 0, 0, 33, 0, 0, 0, 1, *[0] * 6) + b"a"
    size = len(entry) * count
    more = b""
    if zip64:
        more = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, 0)
        more += struct.pack("<4sLQL", b"PK\x06\x07", 0, size, 1)
    said = 0 if zip64 else size
    return entry * count + more + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0, 0, said, 0, 0)


def arrays(save: Callable[..., object] = np.savez, **values: object) -> Make:
    """A bundle with other synthetic windows."""
    file = io.BytesIO()
    save(file, **{"windows": np.zeros((2, 16, 2), np.float32), **values})
    return lambda path: sealed(path, {"windows.npz": file.getvalue()})


def about(**values: object) -> Make:
    """A bundle with another manifest."""
    return lambda path: sealed(path, about=lambda manifest: manifest.update(values))


def arrays_named(path: Path, name: str) -> Path:
    """A bundle with an array of this name, and no other."""
    file = io.BytesIO()
    np.savez(file, **{name: np.zeros(1)})  # type: ignore[arg-type]  # any array
    return sealed(path, {"windows.npz": file.getvalue()})


def claims(shape: str) -> Make:
    """Synthetic windows whose header claims another shape."""
    content = contents()["windows.npz"]
    old = next(line for line in content.split(b"\n") if b"(32, 16, 2)" in line)
    new = old.replace(b"(32, 16, 2)", shape.encode())
    new = new.rstrip(b" ") + b" " * (len(old) - len(new.rstrip(b" ")))
    fixed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(fixed, "w") as after:
        for name in before.namelist():
            after.writestr(name, before.read(name).replace(old.split(b"{")[-1], new.split(b"{")[-1]))
    return lambda path: sealed(path, {"windows.npz": fixed.getvalue()})


def ort_format(path: Path) -> Path:
    """Bytes that onnxruntime would take for its own format, into which nobody has looked."""
    content = b"\x12\x80\x01\x00ORTM"  # a field of 128 bytes, for whoever reads it as protobuf
    return sealed(path, {"model.onnx": content + bytes(3 + 128 - len(content))})


NO_TEXT = "(codec can't decode|UnicodeDecodeError|InvalidGraph)"  # by the version of Python
ROWS: dict[str, tuple[str, Make]] = {
    "path traversal": (r"'\.\./outside' has '\.\.' in it", with_entry("../outside")),
    "backslashes": (r"'a\\\\\.\.\\\\b' has '\.\.' in it", with_entry("a\\..\\b")),
    "absolute name": ("'/etc/passwd' is an absolute name", with_entry("/etc/passwd")),
    "drive": ("'C:x' is an absolute name", with_entry("C:x")),
    "link": ("'evaluation.json' is a link", with_entry("evaluation.json", b"/etc/passwd", 0o120777)),
    "device": ("'evaluation.json' is a link, a folder or", with_entry("evaluation.json", b"", 0o020666)),
    "unknown member": (r"'run\.py' is no member of a bundle", with_entry("run.py")),
    "name that steers a terminal": (r"'\\x1b\[2J' is no member", with_entry("\x1b[2J")),
    "member that nobody listed": ("do not agree on evaluation.json", with_entry("evaluation.json", b"{}")),
    "missing member": (
        "model.onnx is missing",
        lambda path: zipped(path, entries({k: v for k, v in contents().items() if k != "model.onnx"})),
    ),
    "one name twice": ("'model.onnx' is there 2 times", raw(lambda whole: whole.replace(b"study.json", b"model.onnx"))),
    "encrypted": ("'model.onnx' is encrypted", encrypted),
    "zip bomb": (r"'windows.npz' is compressed \(\d+ bytes that become 67108864\)", compressed),
    "overlapping members": ("members overlap", overlapping),
    "oversized manifest": ("'manifest.json' has 2097152 bytes; accepted: up to 1048576", large),
    "something behind it": (
        "it does not end as a zip does, or something lies behind its end",
        raw(lambda whole: whole[:-2] + b"\x05\x00#!sh\n"),
    ),
    "something before it": ("does not lie where it should", raw(lambda whole: b"#!/bin/sh\n" + whole)),
    "cut off": ("not a whole bundle", raw(lambda whole: whole[:-5000])),
    "no zip": ("not a whole bundle: File is not a zip file", raw(lambda whole: b"hello")),
    "empty": ("not a whole bundle: File is not a zip file", raw(lambda whole: b"")),
    "wrong hash": (
        "study.json was changed: its SHA-256 is",
        lambda path: zipped(path, entries({**contents(), "study.json": b"{" + contents()["study.json"][1:-1] + b" "})),
    ),
    "manifest that was changed": (
        "manifest.json was changed",
        lambda path: zipped(path, entries({**contents(), "manifest.json": contents()["manifest.json"] + b" "})),
    ),
    "external data": ("model.onnx keeps numbers in another file", edited(external)),
    "external data by long tags": ("model.onnx is not an ONNX model: its bytes make no sense", long_tags),
    "external data deep inside": ("model.onnx keeps numbers in another file", edited(hidden)),
    "operator of a stranger": (r"an operator of the domain 'com.stranger\\x1b\[0m'", edited(foreign)),
    "functions": ("model.onnx brings functions of its own", edited(functions)),
    "training": ("model.onnx holds steps of a training", edited(training)),
    "no ONNX": ("model.onnx is not an ONNX model", lambda path: sealed(path, {"model.onnx": b"\xff" * 99})),
    "input that is no text": (f"model.onnx cannot be loaded: .*{NO_TEXT}", no_text(b"window")),
    "operator that is no text": (f"model.onnx cannot be loaded: .*{NO_TEXT}", no_text(b"MatMul")),
    "onnxruntime's own format": ("model.onnx cannot be loaded", ort_format),
    "other shape": ("model.onnx: its input is .*17.* its manifest says", edited(reshaped)),
    "Lambda layer": (
        "model.keras has 'Lambda', which runs code",
        keras_file(lambda text: text.replace('"class_name": "Dense"', '"class_name": "Lambda"', 1)),
    ),
    "class of a stranger": (
        "model.keras has 'os.system', which is neither Keras's nor hpo's",
        keras_file(lambda text: json.dumps({**json.loads(text), "module": "os", "class_name": "system"})),
    ),
    "no .keras file": ("model.keras is not a .keras file", lambda path: sealed(path, {"model.keras": b"x"})),
    "class that is no text": (
        "model.keras has a class whose name is no text",
        keras_zip(b'{"layers": [{"class_name": ["Lambda"]}]}'),
    ),
    "deep description": (
        "model.keras is not a .keras file: maximum recursion depth",
        keras_zip(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    ),
    "damaged .keras file": (
        "model.keras is not a .keras file: Error -3 while decompressing",
        keras_zip(b"{}" * 999, zipfile.ZIP_DEFLATED, damaged),
    ),
    "LZMA": (
        r"'config.json' is compressed \(method 14\); accepted: stored or deflated",
        keras_zip(b"{}" * 999, zipfile.ZIP_LZMA, damaged),
    ),
    "member beyond the file": ("model.keras is not a .keras file: .*int", keras_zip(b"{}", change=far)),
    "many members": ("not a whole bundle: its directory has more than 65536 bytes", raw(lambda whole: many(2000))),
    "many members, large file": ("directory has more than 65536 bytes", raw(lambda whole: many(2000, zip64=True))),
    "many members inside": (
        "model.keras is not a .keras file: its directory has more than",
        lambda path: sealed(path, {"model.keras": many(2000)}),
    ),
    "many arrays": (
        "windows.npz: not a readable .npz: its directory has more than",
        lambda path: sealed(path, {"windows.npz": many(2000)}),
    ),
    "compressed arrays": (
        r"windows.npz: .*'windows.npy' is compressed \(method 8\); accepted: stored",
        arrays(np.savez_compressed, probabilities=np.zeros((2, 3))),
    ),
    "many windows": (
        r"windows has shape \(4097, 16, 2\); expected \(n, 16, 2\), with n from 1 to 4096",
        arrays(windows=np.zeros((4097, 16, 2), np.uint8), probabilities=np.zeros((4097, 3), np.uint8)),
    ),
    "long windows": (
        "manifest: .*a window has 20000000000000 values; accepted: up to 16777216",
        about(timesteps=10**13, padded=True),
    ),
    "key that steers a terminal": (r"manifest: \\x1b\[2J\\x07: Extra inputs", about(**{"\x1b[2J\x07": 1})),
    "array that steers a terminal": (
        r"no array 'windows'; it has: \\x1b\[2J",
        lambda path: arrays_named(path, "\x1b[2J"),
    ),
    "pickle": (
        "windows.npz: probabilities holds Python objects, which are never unpickled",
        arrays(probabilities=np.array([{}, {}], dtype=object)),
    ),
    "array that claims too much": (r"windows claims shape \(99999999, 16, 2\)", claims("(99999999, 16, 2)")),
    "no probabilities": ("windows.npz: probabilities has shape", arrays(probabilities=np.zeros((2, 7)))),
    "no number": ("gives other probabilities than the bundle says", arrays(probabilities=np.full((2, 3), np.nan))),
    "other probabilities": ("gives other probabilities", arrays(probabilities=np.full((2, 3), 1 / 3))),
}
# these lie in what a prediction does not read
ONLY_VERIFIED = {
    "many arrays", "compressed arrays", "many windows", "array that steers a terminal", "pickle",
    "array that claims too much", "no probabilities", "no number", "other probabilities",
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_hostile_bundles_are_refused(tmp_path: Path, name: str) -> None:
    """The message, exit code 3, no traceback, and nothing that steers a terminal."""
    message, make = ROWS[name]
    path = make(tmp_path / "bundle.zip")
    np.savez(tmp_path / "w.npz", X=np.zeros((1, 16, 2)))
    commands = [["verify", str(path)], ["predict", str(path), str(tmp_path / "w.npz")]]
    for command in commands[:1] if name in ONLY_VERIFIED else commands:
        run = call(*command)
        assert run.code == 3
        assert re.search(message, run.err), run.err
        assert "\x1b" not in run.err
        assert run.out == ""


@given(st.binary(max_size=200), st.integers(0, 4000))
def test_no_bytes_break_the_look_into_a_model(some: bytes, at: int) -> None:
    """Whatever stands in the file, it is accepted or refused, in time."""
    content = contents()["model.onnx"]
    for text in (some, content[:at] + some + content[at + len(some) :]):
        with contextlib.suppress(DataError):
            graph.check(text)
