"""Predicts with a bundle, by onnxruntime: TensorFlow, Keras and the study's database are not needed.

The bundle may be a stranger's: `open_bundle` has looked at all of it before onnxruntime sees its ONNX file, and nothing
else of it is ever loaded.
"""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.bundle import NUMBERS, TOLERANCE, Bundle, Npz, manifest
from hpo.errors import DataError, MissingExtra

# All that the library raises, which has no common ancestor but Exception.
_ERRORS = ("EPFail", "EngineError", "Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NotImplemented",
           "RuntimeException")  # fmt: skip


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
        try:
            import onnxruntime
            from onnxruntime.capi import onnxruntime_pybind11_state as state
        except ModuleNotFoundError as error:
            raise MissingExtra("onnxruntime", "runtime", "Serving a bundle") from error
        self._shown, self._classes = shown, classes
        self._errors = tuple(vars(state)[name] for name in _ERRORS)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what goes wrong is an exception as well
        options.intra_op_num_threads = threads
        # else the bytes choose: onnxruntime has a format of its own, into which `hpo.bundle.graph` does not look
        options.add_session_config_entry("session.load_model_format", "ONNX")
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except self._errors as error:
            raise DataError(f"{shown} cannot be loaded: {_said(error)}") from error
        self._check("input", self._session.get_inputs(), list(window))
        self._check("output", self._session.get_outputs(), [classes])
        self._input = self._session.get_inputs()[0].name

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


def _said(error: Exception) -> str:
    """What onnxruntime says, which may quote a stranger's file: as one line that a terminal shows as it is."""
    return ascii(str(error).partition("\n")[0])


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
    windows, expected = synthetic(bundle)
    p = serve(bundle).predict(windows)
    difference = float(np.abs(p - expected).max())
    if not difference <= TOLERANCE:
        raise DataError(
            f"{bundle.path}: the model gives other probabilities than the bundle says: they differ by up to "
            f"{difference:.2g}; accepted: {TOLERANCE:g}"
        )
    return Verified(len(windows), difference)


def synthetic(bundle: Bundle) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The bundle's synthetic windows (n, timesteps, channels) and their probabilities (n, K).

    Raises:
        DataError: they are not there in these shapes.
    """
    file = Npz(io.BytesIO(bundle.read(manifest.SYNTHETIC)), f"{bundle.path}: {manifest.SYNTHETIC}")
    found = {}
    for name, row in (
        ("windows", (bundle.manifest.timesteps, len(bundle.manifest.channels))),
        ("probabilities", (len(bundle.manifest.classes),)),
    ):
        shape = file.shape(name, NUMBERS)
        if len(shape) != 1 + len(row) or shape[1:] != row or not shape[0]:
            raise DataError(f"{bundle.path}: {manifest.SYNTHETIC}: {name} has shape {shape}; expected (n, {row})")
        (found[name],) = file.pieces(name, NUMBERS, shape[0])
    if len(found["windows"]) != len(found["probabilities"]):
        raise DataError(f"{bundle.path}: {manifest.SYNTHETIC}: windows and probabilities differ in number")
    return found["windows"].astype(np.float32), found["probabilities"].astype(np.float32)
