"""What is known of a running trial: it becomes the messages that go up, its checkpoints, and at last its result.

Knows neither models nor the database.
"""

import resource
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo import curves
from hpo.callbacks import Halt
from hpo.data import Part, open_part
from hpo.scores import METRICS
from hpo.trial import Cause, Epoch, Result, TrialSpec

PHASES = ("data", "build", "fit", "score")


class Progress:
    """One trial, from its beginning in whichever process that was.

    Attributes:
        halt: why it ends before its time.
        logs: of each fold that began, of each epoch: all metrics and ``seconds``.
        scores: every metric of each finished fold.
        predictions: of each finished fold, its validation part and the probabilities (n, K).
        best_epochs: of each finished fold, from 1.
        parameters: weights of the model; None until it was built.
        weights_sha256: of the last fold that was scored.
    """

    def __init__(self, spec: TrialSpec) -> None:
        self.spec = spec
        self.halt = Halt()
        self.logs: list[list[dict[str, float]]] = []
        self.scores: list[dict[str, float]] = []
        self.predictions: list[tuple[Part, NDArray[np.float32]]] = []
        self.best_epochs: list[int] = []
        self.parameters: int | None = None
        self.weights_sha256: str | None = None
        self._began = time.perf_counter()
        self._seconds = dict.fromkeys((*PHASES, "total"), 0.0)
        self._phase: tuple[str, float] | None = None

    @property
    def fold_values(self) -> list[float]:
        """The score of each finished fold."""
        return [scores[self.spec.settings.metric] for scores in self.scores]

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Counts the time inside as that of one of `PHASES`; they do not lie in each other."""
        self._phase = (name, time.perf_counter())
        try:
            yield
        finally:
            self._seconds = self.seconds() | {"total": self._seconds["total"]}
            self._phase = None

    def seconds(self) -> dict[str, float]:
        """Until now: of each phase, and in ``total``."""
        now = time.perf_counter()
        seconds = self._seconds | {"total": self._seconds["total"] + now - self._began}
        if self._phase is not None:
            name, began = self._phase
            seconds[name] += now - began
        return seconds

    def epoch(self, fold: int, epoch: int, checkpoint: str | None = None) -> Epoch:
        """The message about an epoch of `logs`."""
        logs = dict(self.logs[fold][epoch])
        seconds = logs.pop("seconds")
        metric, most = self.spec.settings.metric, self.spec.settings.max_epochs
        scores = tuple(self.fold_values[:fold])
        judged = logs.get(f"val_{metric}", logs["accuracy"])  # of a course that is repeated nothing else is known yet
        return Epoch(
            fold=fold,
            epoch=epoch,
            step=fold * most + epoch,
            value=(sum(scores) + judged) / (fold + 1),
            seconds=seconds,
            logs=logs,
            fold_values=scores,
            checkpoint=checkpoint,
        )

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """All of it but what a model holds, for a checkpoint: facts for JSON, and arrays."""
        facts = {
            "logs": self.logs,
            "scores": self.scores,
            "best_epochs": self.best_epochs,
            "seconds": self.seconds(),
        }
        return facts, {f"predictions/{fold}": p for fold, (_, p) in enumerate(self.predictions)}

    def restore(self, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        """Takes up what `state` gave away.

        Raises:
            DataError: the validation part of a finished fold is damaged.
        """
        self.logs, self.scores, self.best_epochs = facts["logs"], facts["scores"], facts["best_epochs"]
        self.predictions = [
            (open_part(self.spec.folds[fold].validation), arrays[f"predictions/{fold}"])
            for fold in range(len(self.scores))
        ]
        self._seconds = facts["seconds"]

    def result(self, versions: dict[str, str]) -> Result:
        """How the trial ended: completed, or for the reason in `halt`."""
        done = self.halt.cause is None
        resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return Result(
            cause=self.halt.cause or Cause.COMPLETED,
            value=float(np.mean(self.fold_values)) if done else None,
            detail=self.halt.detail,
            metrics={name: float(np.mean([s[name] for s in self.scores])) for name in METRICS} if done else {},
            fold_values=tuple(self.fold_values),
            parameters=self.parameters,
            epochs=sum(map(len, self.logs)),
            best_epochs=tuple(self.best_epochs),
            seconds=self.seconds(),
            peak_memory=resident if sys.platform == "darwin" else resident * 1024,  # bytes there, KiB on Linux
            weights_sha256=self.weights_sha256,
            curve_sha256=curves.curve_sha256(self.logs) if any(self.logs) else None,
            versions=versions,
        )
