"""Predicts with a bundle, by onnxruntime: TensorFlow, Keras and the study's database are not needed.

The bundle may be a stranger's: `open_bundle` has looked at all of it before onnxruntime sees its ONNX file, and nothing
else of it is ever loaded.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.bundle import NUMBERS, TOLERANCE, Bundle, Npz, manifest
from hpo.errors import DataError, MissingExtra
from hpo.settings import no_telemetry

# All that the library raises, which has no common ancestor but Exception.
_ERRORS = ("EPFail", "EngineError", "Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NotImplemented",
           "RuntimeException")  # fmt: skip
_VALUES = 1 << 24  # of the windows that are predicted at a time; as many as the largest window has
_MOST_SYNTHETIC, _BATCH = 4096, 256  # windows in a bundle, ours has 32, and at a time


class Server:
    """A model, loaded.

    Args:
        content: of an ONNX file that `hpo.bundle.open_bundle` accepted, or that we made.
        shown: what error messages call it.
        window: the shape that a window must have, (timesteps, channels).
        classes: how many probabilities must come out.
        threads: of onnxruntime; 0 leaves it the choice.

    Raises:
        DataError: onnxruntime does not load it, or it takes or gives something else.
        MissingExtra: onnxruntime is not installed.
    """

    def __init__(self, content: bytes, shown: str, window: tuple[int, ...], classes: int, *, threads: int = 0) -> None:
        no_telemetry()
        try:
            import onnxruntime
            from onnxruntime.capi import onnxruntime_pybind11_state as state
        except ModuleNotFoundError as error:
            raise MissingExtra("onnxruntime", "runtime", "Serving a bundle") from error
        self._shown, self._classes = shown, classes
        # a name or a message of it that is no UTF-8 cannot become a text of ours
        self._errors = (*(vars(state)[name] for name in _ERRORS), UnicodeDecodeError)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what goes wrong is an exception as well
        options.intra_op_num_threads = threads
        # else the bytes choose: onnxruntime has a format of its own, into which `hpo.bundle.graph` does not look
        options.add_session_config_entry("session.load_model_format", "ONNX")
        try:
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"],
                enable_fallback=0,  # else a failure is printed on stdout
                read_config_from_model=0,  # else the model may set options, if a variable says so
            )  # fmt: skip
            self._check("input", self._session.get_inputs(), list(window))
            self._check("output", self._session.get_outputs(), [classes])
            self._input = self._session.get_inputs()[0].name
        except self._errors as error:
            raise DataError(f"{shown} cannot be loaded: {_said(error)}") from error

    def _check(self, what: str, found: list[Any], shape: list[int]) -> None:
        if len(found) != 1 or found[0].type != "tensor(float)" or found[0].shape[1:] != shape:
            shown = ", ".join(f"{value.name} {value.type} {value.shape}" for value in found)
            raise DataError(
                f"{self._shown}: its {what} is {shown!a}; its manifest says float [windows, "
                f"{', '.join(map(str, shape))}]"
            )

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities (n, K) for windows (n, timesteps, channels).

        Raises:
            DataError: the model fails on them.
        """
        try:
            (p,) = self._session.run(None, {self._input: x})
        except self._errors as error:
            raise DataError(f"{self._shown} fails: {_said(error)}") from error
        if p.shape != (len(x), self._classes) or not np.isfinite(p).all():
            raise DataError(f"{self._shown} gives values that are no probabilities")
        done: NDArray[np.float32] = p
        return done


def serve(bundle: Bundle, *, threads: int = 0) -> Server:
    """The model of a bundle. Raises as `Server`."""
    window = (bundle.manifest.timesteps, len(bundle.manifest.channels))
    shown = f"{bundle.path}: {manifest.ONNX}"
    return Server(bundle.read(manifest.ONNX), shown, window, len(bundle.manifest.classes), threads=threads)


def at_once(bundle: Bundle) -> int:
    """How many of its windows may be predicted at a time, so that memory is left, however long they are."""
    return max(1, _VALUES // (bundle.manifest.timesteps * len(bundle.manifest.channels)))


def _said(error: Exception) -> str:
    """What onnxruntime says, which may quote a stranger's file: as one line that a terminal shows as it is."""
    return ascii(str(error).strip().partition("\n")[0] or type(error).__name__)


@dataclass(frozen=True)
class Verified:
    """What a check of a bundle found.

    Attributes:
        windows: synthetic ones that were predicted.
        largest_difference: of their probabilities from those in the bundle, which Keras computed.
    """

    windows: int
    largest_difference: float


def verify(bundle: Bundle) -> Verified:
    """Predicts the bundle's synthetic windows and compares with what its maker's Keras gave.

    Raises:
        DataError: the probabilities differ by more than `TOLERANCE`, or a member is not what it should be.
        MissingExtra: onnxruntime is not installed.
    """
    pieces = synthetic(bundle)
    server, windows, largest = serve(bundle), 0, 0.0
    for x, expected in pieces:
        difference = float(np.abs(server.predict(x) - expected).max())
        if not difference <= TOLERANCE:
            raise DataError(
                f"{bundle.path}: the model gives other probabilities than the bundle says: they differ by up to "
                f"{difference:.2g}; accepted: {TOLERANCE:g}"
            )
        windows, largest = windows + len(x), max(largest, difference)
    return Verified(windows, largest)


def synthetic(bundle: Bundle) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """The bundle's synthetic windows (n, timesteps, channels) and their probabilities (n, K), some at a time.

    Raises:
        DataError: they are not there in these shapes.
    """
    shown = f"{bundle.path}: {manifest.SYNTHETIC}"
    file = Npz(io.BytesIO(bundle.read(manifest.SYNTHETIC)), shown, stored=True)
    numbers = set()
    for name, row in (
        ("windows", (bundle.manifest.timesteps, len(bundle.manifest.channels))),
        ("probabilities", (len(bundle.manifest.classes),)),
    ):
        shape = file.shape(name, NUMBERS)
        expected = f"(n, {', '.join(map(str, row))})"
        if shape[1:] != row or not shape or not 1 <= shape[0] <= _MOST_SYNTHETIC:
            raise DataError(
                f"{shown}: {name} has shape {shape}; expected {expected}, with n from 1 to {_MOST_SYNTHETIC}"
            )
        numbers.add(shape[0])
    if len(numbers) > 1:
        raise DataError(f"{shown}: windows and probabilities differ in number")
    rows = min(_BATCH, at_once(bundle))
    both = (file.pieces(name, NUMBERS, rows) for name in ("windows", "probabilities"))
    return ((_single(x), _single(p)) for x, p in zip(*both, strict=True))


def _single(x: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what becomes infinite is not what any model gives
        return np.ascontiguousarray(x, dtype=np.float32)
