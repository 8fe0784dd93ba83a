"""`hpo export --format bundle` on a study that was really trained: one zip that serves what Keras would have said."""

import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hpo.bundle import open_bundle
from hpo.bundling import worth
from hpo.conversion import ConversionError, Converted, judged
from hpo.export import export
from hpo.revision import revision
from tests.cli.run import Launched, Run, call, read_notes, start

TRAINING = {"keras", "tensorflow"}


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        ((), 2, "a bundle is one trial in a file: --format bundle -o best.hpo.zip, perhaps --trial N"),
        (("-o", "b.zip", "--top", "2"), 2, "a bundle is one trial in a file"),
        (("-o", "nowhere/b.zip"), 2, "cannot write nowhere/b.zip: No such file or directory"),
        (("-o", "b.zip", "--trial", "7"), 2, "study 'tiny' has no trial 7; it has 0 to 1"),
        (("-o", "b.zip", "--cache", "empty"), 3, "the arrays of the split .* cannot be used"),
    ],
)
def test_what_cannot_be_exported(
    again: Launched, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], code: int, message: str
) -> None:
    """Is refused before anything is trained, and leaves no file behind."""
    monkeypatch.chdir(again.folder)
    before = set(again.folder.iterdir())
    run = again.call("export", "tiny", "--format", "bundle", *args)
    assert run.code == code
    assert re.search(message, run.err), run.err
    assert set(again.folder.iterdir()) == before


def test_a_missing_extra(again: Launched) -> None:
    """Is named before anything is trained."""
    run = start(again.folder, "export", "tiny", "--format", "bundle", "-o", "b.zip", hide=["tf2onnx"])
    assert run.code == 2
    assert (
        "Writing a bundle needs tf2onnx, which is not installed. In a checkout of hpo: pip install '.[onnx]'" in run.err
    )


@pytest.fixture(scope="module")
def exported(again: Launched) -> Run:
    """The best trial of the tiny study as best.hpo.zip in its folder."""
    return start(
        again.folder, "export", "tiny", "--format", "bundle", "-o", "best.hpo.zip", notes=again.folder / "bundle.notes"
    )


def test_the_weights_are_those_of_the_trial(again: Launched, exported: Run) -> None:
    """The trial is trained again, to the last bit, and ONNX gives Keras's probabilities on the validation windows."""
    assert exported.code == 0, exported.err
    assert exported.out == ""
    bundle = open_bundle(again.folder / "best.hpo.zip")
    assert f"wrote best.hpo.zip, digest {bundle.digest}" in exported.err
    about = bundle.manifest
    with again.store() as store:
        recorded = export(store, "tiny")
        trial = store.trial("tiny", recorded["trial"])
    assert json.loads(bundle.read("parameters.json")) == json.loads(json.dumps(recorded))
    assert (about.weights.sha256, about.weights.same) == (recorded["weights_sha256"], True)
    assert (about.trial, about.seed, about.value) == (trial.number, trial.seed, trial.value)
    assert about.data.model_dump() == {key: recorded["data"][key] for key in ("name", "sha256", "split_sha256")}
    assert about.conversion.windows == 8
    assert about.conversion.largest_difference <= 1e-6
    assert (about.timesteps, about.channels) == (100, tuple(f"channel_{c}" for c in range(6)))
    assert about.classes == ("Badminton", "Running", "Standing", "Walking")
    assert {"keras", "onnxruntime", "tensorflow", "tf2onnx"} <= about.versions.keys()
    assert json.loads(bundle.read("study.json"))["name"] == "tiny"
    assert json.loads(bundle.read("report.json"))["value"] == trial.value


def test_only_children_hold_tensorflow(again: Launched, exported: Run) -> None:
    """One that trains and one that converts; the command itself does not."""
    assert exported.code == 0
    held = {n["program"]: TRAINING & set(n["modules"]) for n in read_notes(again.folder / "bundle.notes")}
    assert held == {"cli.py": set(), "forkserver.py": TRAINING, "conversion.py": TRAINING}


def test_it_serves(again: Launched, exported: Run, tmp_path: Path) -> None:
    """It passes its own check, and its accuracy on the validation windows is the one that the trial had."""
    assert exported.code == 0
    path = again.folder / "best.hpo.zip"
    assert call("verify", path).code == 0
    with again.store() as store:
        record, found = store.study("tiny"), export(store, "tiny")
    part = again.folder / ".hpo" / "cache" / "splits" / record.data.split_sha256 / "fold-0" / "validation"
    np.savez(tmp_path / "w.npz", X=np.load(part / "x.npy"), y=np.load(part / "y.npy"))
    assert call("predict", path, tmp_path / "w.npz", "--json").json()["accuracy"] == pytest.approx(found["value"])


def test_it_names_no_machine(again: Launched, exported: Run) -> None:
    """No folder of this machine is in it, and no window of the data set: a bundle is meant to be given away."""
    assert exported.code == 0
    bundle = open_bundle(again.folder / "best.hpo.zip")
    whole = bundle.path.read_bytes()
    for place in (again.folder, Path.home(), Path(__file__).resolve().parents[2]):
        assert str(place).encode() not in whole
    (data,) = (again.folder / ".hpo" / "cache" / "data").glob("*/x.npy")
    for window in np.load(data):
        assert window[:4].tobytes() not in whole


def test_the_card(again: Launched, exported: Run) -> None:
    """For people: classes, channels, scores, how it was trained, what it does not know, how to use it."""
    assert exported.code == 0
    with zipfile.ZipFile(again.folder / "best.hpo.zip") as archive:
        card = archive.read("MODEL_CARD.md").decode()
    for expected in (
        "# tiny: lstm",
        "Tells 4 classes apart in windows of 100 time steps and 6 channels.",
        "| Walking | 2 | ",
        "trained again from its record",
        "equal to those that the study recorded",
        "These weights were not tried on any data that the search has never seen",
        "## Limits",
        "## Licence",
        "onnxruntime.InferenceSession",
    ):
        assert expected in card


def test_what_a_refitted_model_is_worth() -> None:
    """Its own score; one that is no number (a loss that overflowed, say) cannot be said."""
    row = {"seed": 7, "test": 0.90625}
    assert worth("accuracy", row) == "The model here is that of seed 7: its accuracy on the test part is 0.9062."
    assert worth("loss", row | {"test": None}).endswith("its loss on the test part cannot be said.")


def test_another_model_is_refused() -> None:
    """Where ONNX does not give what Keras gives, or gives no number, there is no bundle."""
    good = Converted(weights_sha256="0" * 64, versions={}, opset=18, windows=9, largest_difference=1e-5)
    assert judged(good) == good
    for difference in (1.1e-5, float("nan")):
        with pytest.raises(ConversionError, match="on 9 windows their probabilities differ by up to"):
            judged(good.model_copy(update={"largest_difference": difference}))


def test_the_commit_is_known_in_a_checkout_alone(tmp_path: Path) -> None:
    """Files that are in no repository's history have no commit."""
    (tmp_path / "__init__.py").write_text("")
    assert revision(tmp_path) is None
