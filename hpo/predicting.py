"""What `hpo predict` does: windows out of a file, through a bundle's model, into lines, a document or arrays."""

import csv
import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.bundle import Bundle
from hpo.errors import DataError
from hpo.formats import cell
from hpo.inputs import Batch, Expected, read
from hpo.labels import Names
from hpo.serving import at_once, serve

SAY_SECONDS = 2.0  # between two words on how far it is
DIGITS = 7  # of a probability: float32 has no more


@dataclass(frozen=True, eq=False)
class Predicted:
    """Predictions for some windows.

    Attributes:
        names: of the windows.
        p: probabilities, float32 (n, K). y: the likeliest class of each window, int64 (n,).
        labels: the true classes, int64 (n,); None where the file has none.
    """

    names: list[str]
    p: NDArray[np.float32]
    y: NDArray[np.int64]
    labels: NDArray[np.int64] | None


class Prediction:
    """A file that is being predicted. Iterating does the work, once.

    Args:
        bundle: whose model predicts.
        path, layout, labels, batch: see `hpo.inputs.read`. Long windows come in smaller batches.
        say: told how many windows are done, every now and then.

    Raises:
        DataError, UsageError: see `hpo.inputs.read` and `hpo.serving.Server`; also while iterating.
    """

    def __init__(
        self,
        bundle: Bundle,
        path: Path,
        *,
        layout: str | None = None,
        labels: bool = True,
        batch: int = 256,
        say: Callable[[int], object] = lambda done: None,
    ) -> None:
        self.manifest = bundle.manifest
        self.windows = 0
        self.right: int | None = None
        """Windows whose label is the likeliest class; None where the file has no labels."""
        self._names = Names(self.manifest.classes)
        expected = Expected(self.manifest.timesteps, self.manifest.channels, self.manifest.padded, self._names)
        self._batches = read(path, expected, layout=layout, batch=min(batch, at_once(bundle)), labels=labels)
        self._path, self._say = path, say
        self._server = serve(bundle)

    @property
    def accuracy(self) -> float | None:
        """The share of windows that are right; None where the file has no labels."""
        return None if self.right is None else self.right / self.windows

    def __iter__(self) -> Iterator[Predicted]:
        """The predictions, a batch at a time."""
        said = time.monotonic()
        for batch in self._batches:
            labels = self._encode(batch)
            p = self._server.predict(batch.x)
            y = p.argmax(axis=1).astype(np.int64)
            self.windows += len(y)
            if labels is not None:
                self.right = (self.right or 0) + int((y == labels).sum())
            yield Predicted(batch.names, p, y, labels)
            if time.monotonic() - said >= SAY_SECONDS:
                said = time.monotonic()
                self._say(self.windows)

    def _encode(self, batch: Batch) -> NDArray[np.int64] | None:
        if batch.labels is None:
            return None
        known = {label: self._names.find(label) for label in set(batch.labels)}
        unknown = {label for label, k in known.items() if k is None}
        if unknown:
            first = next(n for n, label in zip(batch.names, batch.labels, strict=True) if label in unknown)
            raise DataError(
                f"{self._path}: window {first!r}: the label {min(unknown)!r} is no class of the bundle "
                f"({', '.join(self.manifest.classes)}); --no-labels leaves labels out of account"
            )
        return np.array([known[label] for label in batch.labels], dtype=np.int64)

    def csv(self) -> Iterator[str]:
        """The predictions as text: a header, then a line for each window, with a batch in each piece.

        Names and ids that a spreadsheet would take for formulas have an apostrophe in front, as in `hpo.formats`.
        """
        classes = [cell(name) for name in self.manifest.classes]
        columns = [cell(f"p_{name}") for name in self.manifest.classes]
        for number, some in enumerate(self):
            text = io.StringIO()
            lines = csv.writer(text, lineterminator="\n")
            true = [] if some.labels is None else [[classes[label]] for label in some.labels]
            if number == 0:
                lines.writerow(["id", "class", *(["label"] if true else []), *columns])
            for at, (name, k, row) in enumerate(zip(some.names, some.y, some.p, strict=True)):
                lines.writerow([cell(name), classes[k], *(true[at] if true else []), *(f"{p:.{DIGITS}f}" for p in row)])
            yield text.getvalue()

    def document(self) -> dict[str, Any]:
        """The predictions as one JSON-ready document."""
        classes = self.manifest.classes
        windows = [
            {
                "id": name,
                "class": classes[some.y[at]],
                **({} if some.labels is None else {"label": classes[some.labels[at]]}),
                "probabilities": [round(float(p), DIGITS) for p in some.p[at]],
            }
            for some in self
            for at, name in enumerate(some.names)
        ]
        return {
            "study": self.manifest.study,
            "classes": list(classes),
            "accuracy": self.accuracy,
            "windows": windows,
        }

    def npz(self) -> bytes:
        """The predictions as an .npz: probabilities, predicted, id and classes, and labels where the file has any."""
        done = list(self)
        arrays: dict[str, Any] = {
            "probabilities": np.concatenate([some.p for some in done]),
            "predicted": np.concatenate([some.y for some in done]),
            "id": np.array([name for some in done for name in some.names], dtype=np.str_),
            "classes": np.array(self.manifest.classes, dtype=np.str_),
        }
        labels = [some.labels for some in done if some.labels is not None]
        if labels:
            arrays["labels"] = np.concatenate(labels)
        file = io.BytesIO()
        np.savez(file, **arrays)
        return file.getvalue()
