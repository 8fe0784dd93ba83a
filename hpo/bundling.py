"""What `hpo export --format bundle` does: has a trial trained again, converted, compared and packed.

TensorFlow works in children alone, and they hear nothing of the database.
"""

import json
import logging
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console

from hpo import data, once
from hpo.bundle import About, Bundle, Conversion, Data, Manifest, Weights, describe, manifest, write_bundle
from hpo.bundle.card import card
from hpo.child import ChildStartError
from hpo.conversion import ConversionError, Converted, Request, convert
from hpo.curves import REPORT
from hpo.errors import HpoError, MissingExtra, UsageError
from hpo.evaluation.words import sentences
from hpo.export import choose, document
from hpo.formats import to_json
from hpo.live import training
from hpo.revision import revision
from hpo.specify import recorded, specify
from hpo.store import Evaluations, Store, StudyRecord, TrialRecord
from hpo.trial import MODEL, Cause, Result
from hpo.versions import installed

log = logging.getLogger(__name__)

_NEEDED = (("tensorflow", "train"), ("onnx", "onnx"), ("tf2onnx", "onnx"), ("onnxruntime", "runtime"))


class TrainingError(HpoError):
    """A trial that was trained again did not come to its end."""


@dataclass(frozen=True)
class _Trained:
    """Weights that are there, and what is known of their training.

    Attributes:
        model: the .keras file. report: as `hpo.curves` writes it.
        part: folder of real windows that the model can be tried on.
        origin: where they come from, in words.
        recorded_sha256: the hash that the study has of them; None where it has none.
    """

    model: Path
    report: dict[str, Any]
    part: str
    origin: str
    recorded_sha256: str | None


def make(store: Store, name: str, number: int | None, output: Path, *, cache: Path, console: Console) -> Bundle:
    """Writes the bundle of a trial.

    Args:
        store: the database; only read.
        name: of the study.
        number: of the trial; None means the winner of the study's evaluation, or where there is none, the best.
        output: the file.
        cache: with the study's arrays, which are verified.
        console: shows how the training goes on.

    Raises:
        UsageError: there is no such study or trial, it did not complete, or the file cannot be written.
        MissingExtra: a library is missing. DataError: the arrays are missing or damaged.
        ChildStartError, TrainingError, ConversionError: the weights could not be had again, or not be converted.
    """
    _check_machine(output)
    record = store.study(name)
    evaluation = Evaluations(store, record).latest()
    found = evaluation.report if evaluation else None
    winner = found["configurations"][0]["trial"] if found else None
    trial, outcome = choose(store, record, winner if number is None else number)
    if outcome.cause is not Cause.COMPLETED:
        raise UsageError(
            f"trial {trial.number} of study {name!r} ended as {outcome.cause.value!r}, so there are no weights of it; "
            "choose one that completed"
        )
    with tempfile.TemporaryDirectory(prefix="hpo-") as own:
        folder = Path(own)
        trained = _train_again(record, trial, outcome, cache, folder, console)
        log.info("converting the model, and comparing ONNX with Keras ...")
        converted = convert(Request(model=trained.model, part=trained.part, folder=folder))
        channels = data.channels(record.data.split_sha256, cache)
        return _pack(record, trial, outcome, trained, converted, channels, found, output)


def _check_machine(output: Path) -> None:
    """Refuses at once what would fail after the training."""
    for library, extra in _NEEDED:
        if find_spec(library) is None:
            raise MissingExtra(library, extra, "Writing a bundle")
    try:
        with tempfile.TemporaryFile(dir=output.parent):
            pass
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror or error}") from error


def _train_again(
    record: StudyRecord, trial: TrialRecord, then: Result, cache: Path, folder: Path, console: Console
) -> _Trained:
    parts = data.parts(record.data.split_sha256, cache.resolve())
    claim = recorded(record, trial).model_copy(update={"artifacts": "."})
    spec = specify(record, claim, parts, folder).model_copy(update={"keep_model": True})
    printed = folder / "log.txt"
    which = f"trial {trial.number} of study {record.name!r}"
    try:
        with training(console, which, spec.settings.max_epochs * len(parts)) as heard:
            now = once.run(spec, printed, heard)
    except ChildStartError as error:  # the file that it speaks of goes with the folder
        said = printed.read_text(errors="replace").strip().splitlines() if printed.exists() else []
        raise TrainingError(f"{which} could not be trained again: {error}; it said: {' | '.join(said[-3:])}") from error
    if now.cause is not Cause.COMPLETED:
        raise TrainingError(f"{which}, trained again, ended as {now.cause.value!r}: {now.detail or 'it says no more'}")
    if now.weights_sha256 != then.weights_sha256:
        log.warning(
            "%s, trained again, has other weights than the study recorded, and the score %.4f (recorded: %.4f). The "
            "bundle says so; `hpo rerun` tells what differs",
            which, now.value, then.value,
        )  # fmt: skip
    folds = f", the last of {len(parts)} folds" if len(parts) > 1 else ""
    return _Trained(
        model=folder / MODEL,
        report=json.loads((folder / REPORT).read_text(encoding="utf-8")),
        part=parts[-1].validation,
        origin=f"trial {trial.number} of study {record.name}, trained again from its record{folds}",
        recorded_sha256=then.weights_sha256,
    )


def _pack(
    record: StudyRecord,
    trial: TrialRecord,
    outcome: Result,
    trained: _Trained,
    converted: Converted,
    channels: tuple[str, ...],
    evaluation: dict[str, Any] | None,
    output: Path,
) -> Bundle:
    parameters = document(record, trial, outcome)
    about = About(
        format=manifest.FORMAT,
        study=record.name,
        trial=trial.number,
        family=parameters["model"],
        seed=trained.report["seed"],
        metric=parameters["metric"],
        value=parameters["value"],
        timesteps=record.data.shape[0],
        padded=record.data.padded,
        channels=channels,
        classes=record.data.classes,
        weights=Weights(
            origin=trained.origin,
            sha256=converted.weights_sha256,
            recorded_sha256=trained.recorded_sha256,
            same=None if trained.recorded_sha256 is None else trained.recorded_sha256 == converted.weights_sha256,
        ),
        conversion=Conversion(
            opset=converted.opset, windows=converted.windows, largest_difference=converted.largest_difference
        ),
        data=Data(name=record.data.name, sha256=record.data.sha256, split_sha256=record.data.split_sha256),
        versions={**installed([]), **trained.report["versions"], **converted.versions},
        code=revision(),
    )
    won = evaluation is not None and evaluation["configurations"][0]["trial"] == trial.number
    findings = sentences(evaluation) if evaluation is not None and won else []
    definition = record.definition.plain()
    definition.pop("notify", None)  # addresses there may hold passwords
    folder = trained.model.parent
    members = {
        manifest.CARD: card(about, parameters, trained.report, findings).encode(),
        manifest.KERAS: trained.model.read_bytes(),
        manifest.PARAMETERS: to_json(parameters).encode(),
        manifest.REPORT: to_json(trained.report).encode(),
        manifest.STUDY: to_json(definition).encode(),
        **{name: (folder / name).read_bytes() for name in (manifest.ONNX, manifest.SYNTHETIC)},
        **_saved_model(folder),
        **({} if evaluation is None else {manifest.EVALUATION: to_json(evaluation).encode()}),
    }
    contents = {name: describe(content) for name, content in sorted(members.items())}
    return write_bundle(output, Manifest(**dict(about), members=contents), members)


def _saved_model(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in (folder / "saved_model").rglob("*") if path.is_file())
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    if found.keys() != set(manifest.SAVED_MODEL):
        raise ConversionError(f"the SavedModel has other files than a bundle knows: {', '.join(found)}")
    return found
