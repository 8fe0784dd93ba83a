"""`hpo predict` and `hpo verify`: what they print, and that they need onnxruntime and NumPy alone."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo.bundle import TOLERANCE, open_bundle
from hpo.predicting import Prediction
from hpo.serving import synthetic, verify
from tests.bundle.made import CLASSES, GOLDEN, SHAPE, sealed
from tests.cli.run import call, read_notes, start

# Everything that trains, converts or reads training data.
ABSENT = ("aeon", "h5py", "keras", "onnx", "pandas", "scipy", "sklearn", "tensorflow", "tf2onnx")


@pytest.fixture
def windows(tmp_path: Path) -> Path:
    """The bundle's synthetic windows, with the labels that Keras predicted."""
    ((x, p),) = synthetic(open_bundle(GOLDEN))
    np.savez(tmp_path / "w.npz", X=x, y=np.array(CLASSES)[p.argmax(axis=1)])
    return tmp_path / "w.npz"


def keras() -> np.ndarray:
    """What Keras gave for these windows."""
    ((_, p),) = synthetic(open_bundle(GOLDEN))
    return p


def test_without_tensorflow(windows: Path) -> None:
    """In a process that cannot find TensorFlow or any other library of the training, both commands do their work."""
    for command, *files in (("predict", GOLDEN, windows), ("verify", GOLDEN)):
        notes = windows.with_name(f"{command}.notes")
        run = start(windows.parent, command, *files, hide=ABSENT, notes=notes)
        assert run.code == 0, run.err
        (note,) = read_notes(notes)
        assert "onnxruntime" in note["modules"]
        assert not {*ABSENT, "optuna", "sqlalchemy"} & set(note["modules"])


def test_it_leaves_nothing_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever serves a bundle finds their home folder as it was: no id, and no messages to onnxruntime's maker."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    run = start(tmp_path, "verify", GOLDEN)
    assert run.code == 0, run.err
    assert list(home.rglob("*")) == []


def test_csv(windows: Path) -> None:
    """One line a window: its number, its class, its label, and probabilities that are Keras's."""
    run = call("predict", GOLDEN, windows, "--batch", "5")
    lines = list(csv.DictReader(run.out.splitlines()))
    assert list(lines[0]) == ["id", "class", "label", *(f"p_{name}" for name in CLASSES)]
    assert [line["id"] for line in lines] == [str(number) for number in range(32)]
    assert all(line["class"] == line["label"] for line in lines)
    p = np.array([[float(line[f"p_{name}"]) for name in CLASSES] for line in lines])
    assert np.abs(p - keras()).max() <= TOLERANCE
    assert run.err == "32 windows predicted; accuracy 1.0000\n"
    assert call("predict", GOLDEN, windows, "--no-labels").err == "32 windows predicted\n"


def test_json_and_files(windows: Path) -> None:
    """All forms say the same; a file is written, or nothing."""
    document = call("predict", GOLDEN, windows, "--json").json()
    assert (document["study"], document["classes"], document["accuracy"]) == ("golden", list(CLASSES), 1.0)
    p = np.array([window["probabilities"] for window in document["windows"]])
    assert np.abs(p - keras()).max() <= TOLERANCE
    out = {suffix: windows.with_name(f"out{suffix}") for suffix in (".csv", ".json", ".npz")}
    for path in out.values():
        run = call("predict", GOLDEN, windows, "-o", path)
        assert (run.code, run.out) == (0, "")
        assert f"wrote {path}" in run.err
    assert out[".csv"].read_text() == call("predict", GOLDEN, windows).out
    assert json.loads(out[".json"].read_text()) == document
    with np.load(out[".npz"], allow_pickle=False) as arrays:
        assert arrays["classes"].tolist() == list(CLASSES)
        np.testing.assert_allclose(arrays["probabilities"], p, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(arrays["predicted"], arrays["labels"])
        assert arrays["id"].tolist() == [window["id"] for window in document["windows"]]


def test_no_name_is_a_formula(tmp_path: Path) -> None:
    """What a spreadsheet would run, out of a stranger's bundle or file, gets an apostrophe; numbers get none."""
    names = ["=1+1", "-1", "@SUM(A1)"]
    path = sealed(tmp_path / "b.zip", about=lambda manifest: manifest.update(classes=names))
    rows = [f"{name},{step},0,0,{label}" for name, label in (("-3", "-1"), ("+cmd", "=1+1")) for step in range(16)]
    (tmp_path / "w.csv").write_text("\n".join(["id,step,channel_0,channel_1,label", *rows]))
    run = call("predict", path, tmp_path / "w.csv")
    assert run.code == 0, run.err
    lines = list(csv.DictReader(run.out.splitlines()))
    assert [line["id"] for line in lines] == ["-3", "'+cmd"]
    assert [line["label"] for line in lines] == ["-1", "'=1+1"]
    assert {line["class"] for line in lines} <= {"'=1+1", "-1", "'@SUM(A1)"}
    assert list(lines[0])[3:] == [f"p_{name}" for name in names]


def test_long_windows_come_in_smaller_batches(monkeypatch: pytest.MonkeyPatch, windows: Path) -> None:
    """However many windows the user asks for at a time, their values are limited."""
    monkeypatch.setattr("hpo.serving._VALUES", 5 * 16 * 2)
    prediction = Prediction(open_bundle(GOLDEN), windows, batch=1000)
    assert [len(some.y) for some in prediction] == [5, 5, 5, 5, 5, 5, 2]
    assert [len(x) for x, _ in synthetic(open_bundle(GOLDEN))] == [5, 5, 5, 5, 5, 5, 2]
    assert verify(open_bundle(GOLDEN)).windows == 32


@pytest.mark.parametrize(
    ("classes", "labels", "right"),
    [
        (["left", "none", "right"], [0, 1, 2], [0, 1, 2]),  # positions
        (["left", "none", "right"], ["right", " left", "none"], [2, 0, 1]),
        (["1", "2", "10"], [1.0, 10.0, 2.0], [0, 2, 1]),  # names that are numbers
        (["1", "2", "10"], ["1.0", "2", "1e1"], [0, 1, 2]),
        (["1_1", "11", "a"], ["1_1", "11", "11.0"], [0, 1, 1]),  # text that Python would read as a number
        (["01", "1", "a"], ["01", "1", "a"], [0, 1, 2]),  # an exact name comes first
        ([str(2**53), str(2**53 + 1), "3"], [2**53 + 1, 2**53, 3], [1, 0, 2]),
        (["left", "none", "läuft"], np.strings.encode(np.array(["läuft", "none", "left"]), "utf-8"), [2, 1, 0]),
    ],
)
def test_labels(tmp_path: Path, classes: list[str], labels: list[Any], right: list[int]) -> None:
    """A label is a class's name, also as another spelling of the same number if it is of one class; else a position."""
    path = sealed(tmp_path / "b.zip", about=lambda manifest: manifest.update(classes=classes))
    np.savez(tmp_path / "w.npz", X=np.zeros((3, *SHAPE)), y=np.array(labels))
    document = call("predict", path, tmp_path / "w.npz", "--json").json()
    assert [window["label"] for window in document["windows"]] == [classes[k] for k in right]


def test_labels_that_are_none(tmp_path: Path) -> None:
    """A label that the bundle does not know is named, with where it stands, and what to do."""
    np.savez(tmp_path / "w.npz", X=np.zeros((300, *SHAPE)), y=np.array(["left"] * 299 + ["up"]))
    run = call("predict", GOLDEN, tmp_path / "w.npz", "-o", tmp_path / "out.csv")
    assert run.code == 3
    assert "window '299': the label 'up' is no class of the bundle (left, none, right); --no-labels" in run.err
    assert not (tmp_path / "out.csv").exists()
    assert call("predict", GOLDEN, tmp_path / "w.npz", "--no-labels").code == 0


def test_mistakes_in_the_command(windows: Path) -> None:
    """Exit code 2 and what is accepted; 3 for files that are not there or not right."""
    for args, code, message in (
        ([GOLDEN, windows, "-o", "out.xlsx"], 2, "accepted endings: .csv, .json, .npz"),
        ([GOLDEN, windows, "-o", windows / "out.csv", "--json"], 2, "--json does not go with"),
        ([GOLDEN, windows, "--layout", "long"], 2, "does not go with .npz; accepted: channels-last, channels-first"),
        ([GOLDEN, windows.with_name("w.parquet")], 2, "'.parquet' is not known; accepted: .npz, .csv, .txt, .tsv"),
        ([GOLDEN, windows, "-o", windows / "out.csv"], 2, "cannot write"),
        ([GOLDEN, windows.with_name("other.npz")], 3, "there is no such file"),
        ([windows.with_name("other.zip"), windows], 3, "there is no such file"),
        ([windows, windows], 3, "refused: 'X.npy' is a link, a folder or anything else"),
    ):
        run = call("predict", *args)
        assert run.code == code, run.err
        assert message in run.err
        assert run.out == ""


def test_json_for_all_commands(monkeypatch: pytest.MonkeyPatch, windows: Path) -> None:
    """`HPO_JSON` says how results are printed, and takes no file its form."""
    monkeypatch.setenv("HPO_JSON", "1")
    run = call("predict", GOLDEN, windows, "-o", windows.with_name("out.csv"))
    assert (run.code, run.out) == (0, "")
    assert windows.with_name("out.csv").read_text().startswith("id,class")


def test_verify(tmp_path: Path) -> None:
    """Says which bundle it is and how close it comes, for people and for machines."""
    run = call("verify", GOLDEN)
    assert run.code == 0
    assert f"trial 1 of study golden, lstm, digest {open_bundle(GOLDEN).digest}" in run.out
    assert "(accepted: 1e-05)" in run.out
    found = call("verify", GOLDEN, "--json").json()
    assert (found["digest"], found["windows"], found["tolerance"]) == (open_bundle(GOLDEN).digest, 32, 1e-5)
    assert found["largest_difference"] <= 1e-5


def test_a_missing_library(tmp_path: Path) -> None:
    """Without onnxruntime, the message says what to install."""
    run = start(tmp_path, "verify", GOLDEN, hide=["onnxruntime"])
    assert run.code == 2
    assert (
        "Serving a bundle needs onnxruntime, which is not installed. In a checkout of hpo: pip install '.[runtime]'"
        in run.err
    )
