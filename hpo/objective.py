"""One trial in one process: data, build, fit, score, for every fold. Never sees the database.

Importing this module creates no variable, layer or tensor: the fork server imports it before it forks. The caller sets
the number of threads. The same spec gives the same weights and curves, to the bit, on the same machine and versions.
"""

import gc
import logging
import math
import os
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

import hpo
from hpo import curves, feed, models, provenance, snapshot
from hpo.callbacks import CHUNK, Averaged, BestEpoch, EpochEnd, Guard, Validation, WarmUp, predict
from hpo.checkpoints import Checkpoint, Keeper
from hpo.data import Part, open_part
from hpo.errors import DataError
from hpo.fitting import augmented, class_weights, compile_model, plateau, scaled
from hpo.progress import Progress
from hpo.scores import score
from hpo.space import Params, defaults
from hpo.training import TRAINING
from hpo.trial import MODEL, Cause, Epoch, Result, TrialSpec

log = logging.getLogger(__name__)

Report = Callable[[Epoch], None]
Ask = Callable[[], Cause | None]


def train(spec: TrialSpec, report: Report, stop: Ask) -> Result:
    """Trains and scores one trial, fold after fold.

    A resumable trial keeps a checkpoint in ``spec.artifacts``, and goes on from the one that an earlier attempt left.
    It then ends with the same weights as if it had never been interrupted, on equal threads and processors.

    Args:
        spec: all that the trial needs.
        report: called after every epoch; of epochs before a checkpoint, when the trial goes on from it.
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
    trial = Progress(spec)
    used = versions(spec.family)
    keeper = Keeper(spec, used) if spec.resumable else None
    saved = None if keeper is None else keeper.last()
    if saved is not None:
        trial.restore(*saved)
        # whoever heard of them may have died before they were recorded
        for fold, logs in enumerate(trial.logs):
            for epoch in range(len(logs)):
                report(trial.epoch(fold, epoch))
    try:
        for fold in range(max(0, len(trial.logs) - 1), len(spec.folds)):
            if fold == len(trial.logs):
                trial.logs.append([])
            if (cause := stop()) is not None:
                trial.halt.set(cause, f"asked to stop before fold {fold + 1}")
            else:
                _fold(trial, fold, report, stop, keeper, saved)
            saved = None
            if trial.halt.cause is not None:
                break
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        trial.halt.set(Cause.OUT_OF_MEMORY, str(error) or type(error).__name__)
    finally:
        gc.enable()
    result = trial.result(used)
    try:
        curves.write(spec, result, trial.logs, trial.scores, trial.predictions)
    except OSError as error:  # a full disk must not cost a finished training
        lost = f"curves and report could not be written: {error.strerror}"
        return result.model_copy(update={"detail": "; ".join(filter(None, (result.detail, lost)))})
    return result


def _fold(
    trial: Progress, fold: int, report: Report, ask: Ask, keeper: Keeper | None, saved: Checkpoint | None
) -> None:
    """Trains one fold, and adds its curve and scores to `trial`, or sets the reason why there are none.

    Args:
        keeper: of the trial's checkpoints. saved: the one from which the fold goes on.
    """
    spec, settings, halt = trial.spec, trial.spec.settings, trial.halt
    chosen = {**defaults(TRAINING), **spec.training}
    with trial.phase("data"):
        parts = spec.folds[fold]
        training, validation = open_part(parts.train), open_part(parts.validation)
        stopping = validation if parts.stopping is None else open_part(parts.stopping)
        _check_rankable(spec, {parts.validation: validation, parts.stopping or parts.validation: stopping})
        targets = np.eye(len(spec.classes), dtype=np.float32)[training.y]
    seed, batch_size = fold_seed(spec.seed, fold), int(chosen["batch_size"])
    steps = feed.steps(len(targets), batch_size)
    with trial.phase("build"):
        if fold:
            keras.utils.clear_session()  # gives back the graphs of the fold before
        built = _build(trial, training.x, chosen, seed, steps)
        if built is None:
            return
        model, learner = built
        if saved is not None and not snapshot.fits(learner, saved.arrays):
            log.warning("the checkpoint is of another model; fold %d starts anew", fold + 1)
            saved, trial.logs[fold] = None, []

    def state() -> Checkpoint:
        facts, arrays = trial.state()
        more_facts, more_arrays = snapshot.take(learner, callbacks)
        return Checkpoint(facts | more_facts, arrays | more_arrays)

    def finished(epoch: int, seconds: float, logs: dict[str, float]) -> None:
        gc.enable()
        trial.logs[fold].append({**logs, "seconds": seconds})
        name = None if keeper is None else keeper.keep(fold * settings.max_epochs + epoch, state)
        report(trial.epoch(fold, epoch, name))

    with trial.phase("fit"):
        chunk = min(CHUNK, max(len(validation.y), len(stopping.y)))
        early = BestEpoch(settings.metric, settings.patience)
        averaged = [Averaged()] if chosen["ema"] else []
        callbacks = [
            Guard(halt, ask),
            *([] if spec.rates else [*averaged, Validation(stopping.x, stopping.y, halt, chunk), early, *averaged]),
            *_rate_callbacks(spec, chosen, early.monitor, early.mode),
            EpochEnd(halt, finished),
        ]
        first, epochs = len(trial.logs[fold]), len(spec.rates) if spec.rates else settings.max_epochs
        if saved is not None:
            callbacks.append(snapshot.Resume(*saved, callbacks))
            first = epochs if saved.facts["ended"] else first
        gc.disable()  # tracing makes garbage by the million, and collecting it takes a third of a second
        learner.fit(
            feed.batches(training.x, targets, batch_size, seed, first),
            steps_per_epoch=steps,
            shuffle=False,  # they are in an order of their own already
            initial_epoch=first,
            epochs=epochs,
            class_weight=class_weights(training.y, len(spec.classes), float(chosen["class_weight_power"])),
            callbacks=callbacks,
            verbose=0,
        )
        if halt.cause is not None:
            return
    with trial.phase("score"):
        p = predict(model, validation.x, chunk)
        scores = score(validation.y, p)
        trial.weights_sha256 = curves.weights_sha256(model.get_weights())
        for metric in (settings.metric, *settings.further_metrics):
            if not math.isfinite(scores[metric]):
                halt.set(Cause.DIVERGED, f"the score of fold {fold + 1} is {scores[metric]} ({metric})")
                return
        trial.scores.append(scores)
        trial.predictions.append((validation, p))
        trial.best_epochs.append(len(spec.rates) if spec.rates else early.best_epoch + 1)
    if spec.keep_model and fold == len(spec.folds) - 1:
        keep(model, Path(spec.artifacts) / MODEL)


def _build(
    trial: Progress, x: NDArray[np.float32], chosen: Params, seed: int, steps: int
) -> tuple[keras.Model, keras.Model] | None:
    """The whole model, and the one of the same weights that is trained, compiled; None if it is too large.

    Args:
        x: the training part. chosen: the hyperparameters of training.
        seed: of the fold. steps: batches of an epoch.
    """
    spec, settings = trial.spec, trial.spec.settings
    keras.config.disable_traceback_filtering()  # its wrappers cost a tenth of a second in a trace, and hide causes
    keras.utils.set_random_seed(seed)
    family = models.get(spec.family).build(x.shape[1:], len(spec.classes), spec.padded, **spec.model)
    trial.parameters = size = int(family.count_params())
    limit = settings.max_parameters
    if limit is not None and size > limit:
        trial.halt.set(Cause.TOO_LARGE, f"the model has {size:,} parameters, max_parameters is {limit:,}")
        return None
    model = scaled(family, x, settings.scaling, padded=spec.padded)
    learner = augmented(model, x, chosen, seed)
    compile_model(learner, settings.optimizer, chosen, steps, settings.max_epochs)
    return model, learner


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
    if "auroc" in (spec.settings.metric, *spec.settings.further_metrics) and alone:
        raise DataError(f"{', '.join(alone)}: one class only, which auroc cannot rank; choose another metric or split")


def fold_seed(seed: int, fold: int) -> int:
    """The seed of Keras, NumPy and Python in one fold, 32 bits."""
    return int(np.random.SeedSequence(seed, spawn_key=(fold,)).generate_state(1)[0])


def versions(family: str) -> dict[str, str]:
    """What the last bits of a training hang on besides its spec; ``device`` is the first GPU, or "cpu"."""
    gpus = tf.config.list_physical_devices("GPU")
    device = tf.config.experimental.get_device_details(gpus[0]).get("device_name", gpus[0].name) if gpus else "cpu"
    libraries = {module.__name__: module.__version__ for module in (hpo, keras, np, tf)}
    return {**libraries, **provenance.of(family), "device": str(device)}
