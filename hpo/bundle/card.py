"""A bundle's model card, for people: what its model is, what it is worth, how it was made. Values in, text out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpo.bundle.manifest import ONNX, TOLERANCE, About

Document = dict[str, Any]

_USE = """\
```python
import os

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before the import; else it leaves an id in your home folder
import onnxruntime

windows = np.load("my_windows.npz")["X"].astype("float32")  # (n, {timesteps}, {channels})
session = onnxruntime.InferenceSession("{onnx}", providers=["CPUExecutionProvider"])
(probabilities,) = session.run(None, {{"window": windows}})
```
"""


@dataclass(frozen=True)
class Scores:
    """Scores of each class.

    Attributes:
        on: which windows, in words.
        per_class: class -> name of a score -> value; empty where none are known.
    """

    on: str
    per_class: Mapping[str, Mapping[str, Any]]


def card(about: About, parameters: Document, outcome: Document, scores: Scores, findings: Sequence[str]) -> str:
    """The card in Markdown.

    Args:
        about: the model.
        parameters: what `hpo export` gives for the trial.
        outcome: of the training that gave these weights, as `hpo.trial.Result` has it.
        scores: of each class.
        findings: sentences of the study's evaluation that hold for this model; none where it was not evaluated.
    """
    parts = [
        f"# {about.study}: {about.family}",
        _what(about),
        "## How to use it",
        "`hpo predict BUNDLE FILE` prints classes and probabilities. Without hpo, from the unpacked bundle:",
        _USE.format(timesteps=about.timesteps, channels=len(about.channels), onnx=ONNX),
        "Give it raw values in the unit of the training data: the scaling lies inside the model.",
        "## What it is worth",
        _worth(about, scores, findings),
        "## How it was trained",
        _training(about, parameters, outcome),
        "## Limits",
        _limits(about),
        "## Licence",
        "To be filled in by whoever passes this bundle on: the terms of the data set "
        f"`{about.data.name}` may bind what was learnt from it.",
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _what(about: About) -> str:
    length = f"up to {about.timesteps}" if about.padded else str(about.timesteps)
    return (
        f"Tells {len(about.classes)} classes apart in windows of {length} time steps and {len(about.channels)} "
        "channels.\n\n"
        f"- classes: {_names(about.classes)}\n"
        f"- channels: {_names(about.channels)}\n"
        f"- data: `{about.data.name}`, SHA-256 `{about.data.sha256}`, split `{about.data.split_sha256}`"
    )


def _worth(about: About, scores: Scores, findings: Sequence[str]) -> str:
    lines = [f"- {sentence}" for sentence in findings] or [
        f"On the validation part of the search: {about.metric} {about.value:.4f} (trial {about.trial}). That part "
        "chose this trial among all of them, so the number is too good. These weights were not tried on any data that "
        "the search has never seen (`hpo evaluate`)."
    ]
    if scores.per_class:
        lines += [
            "",
            f"On {scores.on}:",
            "",
            "| class | windows | precision | recall | F1 | AUROC |",
            "| --- | --- | --- | --- | --- | --- |",
            *(_row(name, **row) for name, row in scores.per_class.items()),
        ]
    return "\n".join(lines)


def _training(about: About, parameters: Document, outcome: Document) -> str:
    settings = {**parameters["params"], **parameters["train"]}
    weights = about.weights
    same = {
        True: "equal to those that the study recorded",
        False: f"**not** those that the study recorded (`{weights.recorded_sha256}`)",
        None: "the study recorded none",
    }[weights.same]
    made = f" of revision `{about.code.revision}`" if about.code else ""
    made += ", with changes that are not committed" if about.code and about.code.changed else ""
    return "\n".join(
        [
            f"- {weights.origin}; weights SHA-256 `{weights.sha256}`, {same}",
            f"- {outcome['parameters']:,} weights, seed {about.seed}, epochs kept: {_names(outcome['best_epochs'])}",
            f"- hpo {about.versions.get('hpo', 'unknown')}{made}",
            "- " + ", ".join(f"{name} = {value}" for name, value in settings.items()),
        ]
    )


def _limits(about: About) -> str:
    return "\n".join(
        [
            "- It knows the classes above and no others: every window gets one of them, whatever it holds.",
            "- It expects the sensors, the sampling rate and the cutting into windows of its training data.",
            "- Probabilities are a softmax's; nothing has calibrated them.",
            f"- ONNX and Keras differ by up to {about.conversion.largest_difference:.1g} in a probability, on "
            f"{about.conversion.windows} real windows (accepted: {TOLERANCE:g}).",
        ]
    )


def _names(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _row(name: str, windows: float, **scores: float | None) -> str:
    return f"| {' | '.join([_cell(name), f'{windows:g}', *map(_cell, scores.values())])} |"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value).replace("|", "\\|")
