"""What `hpo export --format bundle` does: takes a trained model, has it converted, and packs it with all that is known.

TensorFlow works in children alone, and they hear nothing of the database.
"""

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console

from hpo import data
from hpo.artifacts.copies import Copies
from hpo.bundle import About, Bundle, Conversion, Data, Manifest, Weights, describe, manifest, write_bundle
from hpo.bundle.card import Scores, card
from hpo.conversion import ConversionError, Converted, Request, convert
from hpo.errors import MissingExtra, UsageError
from hpo.evaluated import without_names
from hpo.evaluation.flow import with_openings
from hpo.evaluation.words import sentences
from hpo.export import best, document
from hpo.formats import to_json
from hpo.render import score
from hpo.revision import revision
from hpo.store import Evaluations, Store, StudyRecord, TrialRecord
from hpo.versions import installed
from hpo.weights import Place, Trained, ended, refitted, train_again

log = logging.getLogger(__name__)

_NEEDED = (("tensorflow", "train"), ("onnx", "onnx"), ("tf2onnx", "onnx"), ("onnxruntime", "runtime"))


@dataclass(frozen=True)
class _Chosen:
    """What goes into a bundle.

    Attributes:
        study: that was searched.
        trial: whose parameters the model has; None where the study has nothing to search, and no trial of its own.
        trained: the model.
        report: of the study's evaluation; None where there is none.
        findings: the sentences of the report that hold for this model.
    """

    study: StudyRecord
    trial: TrialRecord | None
    trained: Trained
    report: dict[str, Any] | None
    findings: list[str]

    @property
    def source(self) -> tuple[StudyRecord, TrialRecord]:
        """The record that has the parameters."""
        return (self.trained.study, self.trained.trial) if self.trial is None else (self.study, self.trial)

    @property
    def tested(self) -> bool:
        """Whether the report's test scores are those of this model and its siblings."""
        return bool(self.findings) and self.trained.study.name != self.study.name


def make(
    store: Store, name: str, number: int | None, output: Path, *, copies: Copies, cache: Path, console: Console
) -> Bundle:
    """Writes a bundle.

    Args:
        store: the database; only read.
        name: of the study.
        number: of the trial; None means the winner of the study's evaluation, refitted where it was refitted, or where
            there is no evaluation, the best trial.
        output: the file.
        copies: of the trials' files, where refitted models lie.
        cache: with the study's arrays, which are verified.
        console: shows how a training goes on.

    Raises:
        UsageError: there is no such study or trial, it is a refit, it did not complete, or the file cannot be written.
        MissingExtra: a library is missing. DataError: the arrays are missing or damaged.
        TrainingError, ConversionError: the weights could not be had again, or not be converted.
    """
    _check_machine(output)
    with tempfile.TemporaryDirectory(prefix="hpo-") as own:
        place = Place(copies, cache, Path(own), console)
        chosen = _choose(store, store.study(name), number, place)
        log.info("converting the model, and comparing ONNX with Keras ...")
        converted = convert(Request(model=chosen.trained.model, part=chosen.trained.part, folder=place.folder))
        about = _about(chosen, converted, data.channels(chosen.study.data.split_sha256, cache))
        if about.weights.same is False:
            log.warning(
                "the weights are not those that the study recorded (%s). The bundle says so; `hpo rerun %s %d` tells "
                "what differs", about.weights.origin, chosen.trained.study.name, chosen.trained.trial.number,
            )  # fmt: skip
        members = _members(chosen, about, place.folder)
        contents = {member: describe(content) for member, content in sorted(members.items())}
        return write_bundle(output, Manifest(**dict(about), members=contents), members)


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


def _choose(store: Store, study: StudyRecord, number: int | None, place: Place) -> _Chosen:
    if study.refits:
        parent = study.definition.parent
        raise UsageError(
            f"study {study.name!r} refits the winner of an evaluation, and no data were held out to say what a single "
            f"refit is worth; `hpo export {parent} --format bundle` packs the first one with the evaluation's scores"
        )
    evaluation = Evaluations(store, study).latest()
    report = None
    if evaluation is not None and evaluation.report is not None:
        report = without_names(with_openings(store, evaluation.report))
    if number is None and report is not None:
        return _winner(store, study, report, place)
    trial = best(store, study, 1)[0] if number is None else store.trial(study.name, number)
    ended(study, trial)
    return _Chosen(study, trial, train_again(study, trial, place), report, [])


def _winner(store: Store, study: StudyRecord, report: dict[str, Any], place: Place) -> _Chosen:
    """The winner of an evaluation, refitted if it was."""
    number = report["configurations"][0]["trial"]
    trial = None if number is None else store.trial(study.name, number)
    trained, findings = refitted(store, study, report, place), sentences(report)
    if trained is not None:
        row = next(row for row in report["per_seed"] if row["refit"] == trained.trial.number)
        findings.append(worth(report["metric"], row))
    elif trial is not None:
        trained = train_again(study, trial, place)
    else:
        raise UsageError(f"study {study.name!r} has no trial of its own, and its evaluation has refitted nothing")
    return _Chosen(study, trial, trained, report, findings)


def worth(metric: str, row: Mapping[str, Any]) -> str:
    """What a report's row on a seed says of the model that was refitted with it."""
    said = "cannot be said" if row["test"] is None else f"is {score(row['test'])}"
    return f"The model here is that of seed {row['seed']}: its {metric} on the test part {said}."


def _about(chosen: _Chosen, converted: Converted, channels: tuple[str, ...]) -> About:
    """What the manifest says."""
    study, trained = chosen.study, chosen.trained
    record, trial = chosen.source
    value = (
        chosen.report["configurations"][0]["validation"]["mean"] if chosen.report and chosen.findings else trial.value
    )
    family = document(record, trial, ended(record, trial))["model"]
    recorded = trained.trial.outcome.weights_sha256 if trained.trial.outcome else None
    return About(
        format=manifest.FORMAT,
        study=study.name,
        trial=trial.number,
        family=family,
        seed=trained.trial.seed or 0,
        metric=study.definition.train.metric,
        value=value,
        timesteps=study.data.shape[0],
        padded=study.data.padded,
        channels=channels,
        classes=study.data.classes,
        weights=Weights(
            origin=trained.origin,
            sha256=converted.weights_sha256,
            recorded_sha256=recorded,
            same=None if recorded is None else recorded == converted.weights_sha256,
        ),
        conversion=Conversion(
            opset=converted.opset, windows=converted.windows, largest_difference=converted.largest_difference
        ),
        data=Data(name=study.data.name, sha256=study.data.sha256, split_sha256=trained.study.data.split_sha256),
        versions={**installed([family]), **trained.outcome.versions, **converted.versions},
        code=revision(),
    )


def _members(chosen: _Chosen, about: About, folder: Path) -> dict[str, bytes]:
    """All files of the bundle but the manifest."""
    record, trial = chosen.source
    parameters = document(record, trial, ended(record, trial))
    definition = chosen.study.definition.plain()
    definition.pop("notify", None)  # addresses there may hold passwords
    if chosen.tested and chosen.report:
        scores = Scores("the test part, means over the refitted models", chosen.report["test"]["per_class"])
    elif chosen.trained.report:
        scores = Scores("the validation part", chosen.trained.report["per_class"])
    else:
        scores = Scores("", {})
    text = card(about, parameters, chosen.trained.outcome.model_dump(), scores, chosen.findings)
    documents = {manifest.EVALUATION: chosen.report, manifest.REPORT: chosen.trained.report}
    return {
        manifest.CARD: text.encode(),
        manifest.KERAS: chosen.trained.model.read_bytes(),
        manifest.PARAMETERS: to_json(parameters).encode(),
        manifest.STUDY: to_json(definition).encode(),
        **{name: (folder / name).read_bytes() for name in (manifest.ONNX, manifest.SYNTHETIC)},
        **{name: to_json(found).encode() for name, found in documents.items() if found is not None},
        **_saved_model(folder),
    }


def _saved_model(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in (folder / "saved_model").rglob("*") if path.is_file())
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    if found.keys() != set(manifest.SAVED_MODEL):
        raise ConversionError(f"the SavedModel has other files than a bundle knows: {', '.join(found)}")
    return found
