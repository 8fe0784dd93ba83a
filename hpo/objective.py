"""One trial in one process: data, build, fit, score, for every fold. Never sees the database.

Importing this module creates no variable, layer or tensor: the fork server imports it before it forks. The caller sets
the number of threads. The same spec gives the same weights and curves, to the bit, on the same machine and versions.
"""

import gc
import math
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

import hpo
from hpo import curves, feed, models, provenance
from hpo.callbacks import CHUNK, Averaged, EpochEnd, Guard, Halt, Validation, WarmUp, predict
from hpo.data import Part, open_part
from hpo.errors import DataError
from hpo.fitting import augmented, class_weights, compile_model, plateau, scaled
from hpo.scores import METRICS, score
from hpo.space import Params, defaults
from hpo.training import TRAINING
from hpo.trial import MODEL, Cause, Epoch, Result, TrialSpec

Report = Callable[[Epoch], None]
Ask = Callable[[], Cause | None]


@dataclass
class _Trial:
    """What is known of a running trial, and becomes its result whichever way it ends."""

    spec: TrialSpec
    report: Report
    ask: Ask
    halt: Halt = field(default_factory=Halt)
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("data", "build", "fit", "score"), 0.0))
    logs: list[list[dict[str, float]]] = field(default_factory=list)
    scores: list[dict[str, float]] = field(default_factory=list)
    predictions: list[tuple[Part, NDArray[np.float32]]] = field(default_factory=list)
    best_epochs: list[int] = field(default_factory=list)
    parameters: int | None = None
    weights_sha256: str | None = None

    @property
    def fold_values(self) -> list[float]:
        return [scores[self.spec.settings.metric] for scores in self.scores]

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - began


def train(spec: TrialSpec, report: Report, stop: Ask) -> Result:
    """Trains and scores one trial, fold after fold.

    Args:
        spec: all that the trial needs.
        report: called after every epoch.
        stop: asked after every batch: why to end the trial, or None to go on. Must be cheap.

    Returns:
        COMPLETED with the score, or why there is none: what `stop` said; TOO_LARGE before any training; DIVERGED when a
        loss, a probability or the score is not finite; OUT_OF_MEMORY. ``curves.json`` and, for a completed trial,
        ``report.json`` lie in ``spec.artifacts`` then. `weights_sha256` covers the family's weights: the scaling layer
        in front of them holds constants, which Keras does not count among the weights.

    Raises:
        DataError: a part cannot be scored by the metric, or its files are damaged.
        Exception: whatever else the family's `build` or Keras raises; the caller records it as a bug.
    """
    began = time.perf_counter()
    trial = _Trial(spec, report, stop)
    try:
        for fold in range(len(spec.folds)):
            trial.logs.append([])
            if (cause := stop()) is not None:
                trial.halt.set(cause, f"asked to stop before fold {fold + 1}")
            else:
                _fold(trial, fold)
            if trial.halt.cause is not None:
                break
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        trial.halt.set(Cause.OUT_OF_MEMORY, str(error) or type(error).__name__)
    finally:
        gc.enable()
    result = _result(trial, time.perf_counter() - began)
    try:
        curves.write(spec, result, trial.logs, trial.scores, trial.predictions)
    except OSError as error:  # a full disk must not cost a finished training
        lost = f"curves and report could not be written: {error.strerror}"
        return result.model_copy(update={"detail": "; ".join(filter(None, (result.detail, lost)))})
    return result


def _fold(trial: _Trial, fold: int) -> None:
    """Trains one fold, and adds its curve and scores to `trial`, or sets the reason why there are none."""
    spec, settings, halt = trial.spec, trial.spec.settings, trial.halt
    chosen = {**defaults(TRAINING), **spec.training}
    monitor, mode = f"val_{settings.metric}", METRICS[settings.metric].removesuffix("imize")
    with trial.phase("data"):
        parts = spec.folds[fold]
        training, validation = open_part(parts.train), open_part(parts.validation)
        stopping = validation if parts.stopping is None else open_part(parts.stopping)
        _check_rankable(spec, {parts.validation: validation, parts.stopping or parts.validation: stopping})
        targets = np.eye(len(spec.classes), dtype=np.float32)[training.y]
    with trial.phase("build"):
        if fold:
            keras.utils.clear_session()  # gives back the graphs of the fold before
        keras.config.disable_traceback_filtering()  # its wrappers cost a tenth of a second in a trace, and hide causes
        seed = fold_seed(spec.seed, fold)
        keras.utils.set_random_seed(seed)
        family = models.get(spec.family).build(training.x.shape[1:], len(spec.classes), spec.padded, **spec.model)
        trial.parameters = family.count_params()
        limit = settings.max_parameters
        if limit is not None and trial.parameters > limit:
            halt.set(Cause.TOO_LARGE, f"the model has {trial.parameters:,} parameters, max_parameters is {limit:,}")
            return
        model = scaled(family, training.x, settings.scaling, padded=spec.padded)
        learner = augmented(model, training.x, chosen, seed)
        batch_size = int(chosen["batch_size"])
        steps = feed.steps(len(targets), batch_size)
        compile_model(learner, settings.optimizer, chosen, steps, settings.max_epochs)

    def finished(epoch: int, seconds: float, logs: dict[str, float]) -> None:
        gc.enable()
        trial.logs[fold].append({**logs, "seconds": seconds})
        judged = logs.get(monitor, logs["accuracy"])  # of a course that is repeated nothing else is known yet
        value = (sum(trial.fold_values) + judged) / (fold + 1)
        step = fold * settings.max_epochs + epoch
        scores = tuple(trial.fold_values)
        trial.report(
            Epoch(fold=fold, epoch=epoch, step=step, value=value, seconds=seconds, logs=logs, fold_values=scores)
        )

    with trial.phase("fit"):
        chunk = min(CHUNK, max(len(validation.y), len(stopping.y)))
        early = keras.callbacks.EarlyStopping(monitor, mode=mode, patience=settings.patience, restore_best_weights=True)
        gc.disable()  # tracing makes garbage by the million, and collecting it takes a third of a second
        averaged = [Averaged()] if chosen["ema"] else []
        learner.fit(
            feed.batches(training.x, targets, batch_size, seed),
            steps_per_epoch=steps,
            shuffle=False,  # they are in an order of their own already
            epochs=len(spec.rates) if spec.rates else settings.max_epochs,
            class_weight=class_weights(training.y, len(spec.classes), float(chosen["class_weight_power"])),
            callbacks=[
                Guard(halt, trial.ask),
                *([] if spec.rates else [*averaged, Validation(stopping.x, stopping.y, halt, chunk), early, *averaged]),
                *_rate_callbacks(spec, chosen, monitor, mode),
                EpochEnd(halt, finished),
            ],
            verbose=0,
        )
        if halt.cause is not None:
            return
    with trial.phase("score"):
        p = predict(model, validation.x, chunk)
        scores = score(validation.y, p)
        trial.weights_sha256 = curves.weights_sha256(model.get_weights())
        if not math.isfinite(scores[settings.metric]):
            halt.set(Cause.DIVERGED, f"the score of fold {fold + 1} is {scores[settings.metric]}")
            return
        trial.scores.append(scores)
        trial.predictions.append((validation, p))
        trial.best_epochs.append(len(spec.rates) if spec.rates else early.best_epoch + 1)
    if spec.keep_model and fold == len(spec.folds) - 1:
        keep(model, Path(spec.artifacts) / MODEL)


def _rate_callbacks(spec: TrialSpec, training: Params, monitor: str, mode: str) -> list[keras.callbacks.Callback]:
    """What changes the learning rate from outside of the optimizer."""
    rate, warm_up = float(training["learning_rate"]), float(training["warm_up"])
    callbacks: list[keras.callbacks.Callback] = []
    if training["schedule"] == "cosine":  # a schedule of the optimizer's own
        return callbacks
    if warm_up:
        callbacks.append(WarmUp(rate, warm_up))
    if training["schedule"] == "plateau" and spec.rates is not None:
        callbacks.append(keras.callbacks.LearningRateScheduler(spec.rates.__getitem__))
    elif training["schedule"] == "plateau":
        callbacks.append(plateau(monitor, mode, spec.settings.patience, rate))
    return callbacks


def keep(model: keras.Model, path: Path) -> None:
    """Writes a trained model without its optimizer: whoever finds a file at `path` finds all of it.

    Raises:
        OSError: the folder cannot be written. What is asked to keep its model is worth nothing without.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{os.getpid()}.{path.name}")  # Keras chooses the format by the ending
    model.save(beside, include_optimizer=False)
    os.replace(beside, path)


def _check_rankable(spec: TrialSpec, parts: dict[str, Part]) -> None:
    alone = [folder for folder, part in parts.items() if len(np.unique(part.y)) < 2]
    if spec.settings.metric == "auroc" and alone:
        raise DataError(f"{', '.join(alone)}: one class only, which auroc cannot rank; choose another metric or split")


def fold_seed(seed: int, fold: int) -> int:
    """The seed of Keras, NumPy and Python in one fold, 32 bits."""
    return int(np.random.SeedSequence(seed, spawn_key=(fold,)).generate_state(1)[0])


def _device() -> str:
    """The first GPU that this process computes on; "cpu" where there is none."""
    for gpu in tf.config.list_physical_devices("GPU"):
        return str(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name))
    return "cpu"


def _result(trial: _Trial, total: float) -> Result:
    done = trial.halt.cause is None
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Result(
        cause=trial.halt.cause or Cause.COMPLETED,
        value=float(np.mean(trial.fold_values)) if done else None,
        detail=trial.halt.detail,
        metrics={name: float(np.mean([s[name] for s in trial.scores])) for name in METRICS} if done else {},
        fold_values=tuple(trial.fold_values),
        parameters=trial.parameters,
        epochs=sum(map(len, trial.logs)),
        best_epochs=tuple(trial.best_epochs),
        seconds={**trial.seconds, "total": total},
        peak_memory=resident if sys.platform == "darwin" else resident * 1024,  # bytes there, KiB on Linux
        weights_sha256=trial.weights_sha256,
        curve_sha256=curves.curve_sha256(trial.logs) if any(trial.logs) else None,
        versions={
            **{module.__name__: module.__version__ for module in (hpo, keras, np, tf)},
            **provenance.of(trial.spec.family),
            "device": _device(),
        },
    )
