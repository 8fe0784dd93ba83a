"""Windows out of an .npz: ``X`` (or ``x``), and the labels ``y`` where it has them."""

from collections.abc import Iterator
from pathlib import Path

from hpo.bundle import LABELS, NUMBERS, Npz
from hpo.errors import DataError
from hpo.inputs._batch import Batch, Expected, finite
from hpo.labels import decoded


def batches(path: Path, expected: Expected, layout: str, batch: int, labels: bool) -> Iterator[Batch]:
    with path.open("rb") as file:
        npz = Npz(file, str(path))
        key = next((name for name in ("X", "x") if name in npz.names), "X")
        shape = npz.shape(key, NUMBERS)
        _check_shape(path, key, shape, expected, layout)
        known: list[str] | None = None
        if labels and "y" in npz.names:
            if npz.shape("y", LABELS) != shape[:1]:
                raise DataError(f"{path}: y has shape {npz.shape('y', LABELS)}, and {key} has {shape[0]} windows")
            known = [str(label) for piece in npz.pieces("y", LABELS, batch) for label in decoded(piece).tolist()]
        start = 0
        for piece in npz.pieces(key, NUMBERS, batch):
            x = piece.reshape(len(piece), *shape[1:], *([1] * (3 - len(shape))))
            if layout == "channels-first" and len(shape) == 3:
                x = x.swapaxes(1, 2)
            names = [str(number) for number in range(start, start + len(x))]
            windows = [f"{path}: window {name}" for name in names]
            yield Batch(names, finite(x, windows, expected), known and known[start : start + len(x)])
            start += len(x)


def _check_shape(path: Path, key: str, shape: tuple[int, ...], expected: Expected, layout: str) -> None:
    steps, channels = expected.timesteps, len(expected.channels)
    right = {"channels-last": (steps, channels), "channels-first": (channels, steps)}
    if shape[1:] == right[layout] or (channels == 1 and shape[1:] == (steps,)):
        return
    other = next((name for name, rest in right.items() if shape[1:] == rest), None)
    raise DataError(
        f"{path}: {key} has shape {shape}; expected (windows, {', '.join(map(str, right[layout]))}): {steps} time "
        f"steps and {channels} channels ({', '.join(expected.channels)})" + (f". Try --layout {other}" if other else "")
    )
