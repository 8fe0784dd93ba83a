"""Data sets of a few windows and a model of a few weights, and one trial on them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hpo import augment, objective
from hpo.space import Params
from hpo.trial import Cause, Epoch, FoldParts, Result, TrainSettings, TrialSpec, decode, encode

TRAINING: Params = {
    "learning_rate": 0.02,
    "batch_size": 8,
    "weight_decay": 1e-4,
    "schedule": "plateau",
    "label_smoothing": 0.0,
    "class_weight_power": 0.0,
    "clipnorm": 0.0,
    "warm_up": 0.0,
    "ema": 0.0,
    **dict.fromkeys(augment.names(), 0.0),
}
PARAMETERS = 2 * 4 + 4 + 4 * 4 + 4 * 2 + 2  # dense, batch normalisation, dense


def windows(n: int, seed: int = 0, noise: float = 0.3) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Two classes told apart by the mean of channel 0, float32 (n, 8, 2); channel 1 is far from 0."""
    rng = np.random.default_rng(seed)
    y = np.arange(n, dtype=np.int64) % 2
    x = rng.normal(scale=noise, size=(n, 8, 2))
    x[:, :, 0] += np.where(y == 1, 1.0, -1.0)[:, None]
    x[:, :, 1] += 500
    return x.astype(np.float32), y


def save(folder: Path, x: NDArray[np.float32], y: NDArray[np.int64], groups: NDArray[np.int64] | None = None) -> str:
    """Writes a split part. Returns its folder."""
    folder.mkdir(parents=True)
    for name, array in (("x", x), ("y", y), ("groups", groups)):
        if array is not None:
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
    return str(folder)


def make(tmp_path: Path, folds: list[FoldParts] | None = None, **changes: Any) -> TrialSpec:
    """A spec of the tiny family. Names of settings and of training hyperparameters change these."""
    if folds is None:
        train, validation = save(tmp_path / "train", *windows(32)), save(tmp_path / "validation", *windows(12, seed=1))
        folds = [FoldParts(train=train, stopping=None, validation=validation)]
    settings = {
        "metric": "balanced_accuracy",
        "max_epochs": 3,
        "patience": 10,
        "optimizer": "adamw",
        "scaling": "channel",
        "threads": 1,
        "max_parameters": None,
    }
    return TrialSpec(
        study="toy",
        number=4,
        attempt=1,
        seed=changes.pop("seed", 7),
        family=changes.pop("family", "tiny"),
        model=changes.pop("model", {"units": 4}),
        training={**TRAINING, **{k: changes.pop(k) for k in list(changes) if k in TRAINING}},
        settings=TrainSettings(**{**settings, **changes}),
        folds=tuple(folds),
        classes=("rest", "move"),
        artifacts=str(tmp_path / "artifacts" / "4"),
    )


def run(spec: TrialSpec, stop: Callable[[], Cause | None] = lambda: None) -> tuple[Result, list[Epoch]]:
    """Trains `spec`; also checks that whatever a trial sends survives the way to its supervisor."""
    epochs: list[Epoch] = []
    result = objective.train(spec, epochs.append, stop)
    assert decode(encode(result)).cause is result.cause
    assert [decode(encode(epoch)).step for epoch in epochs] == [epoch.step for epoch in epochs]
    return result, epochs


def read(spec: TrialSpec, name: str) -> Any:
    """An artifact, by a parser that takes no NaN."""
    text = (Path(spec.artifacts) / name).read_text()
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} in {name}"))
