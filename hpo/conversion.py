"""A process that turns a trained .keras model into what a bundle holds: SavedModel, ONNX, synthetic windows.

It has TensorFlow, and ends with its work. CUDA is hidden from it: traced on a GPU, recurrent layers become cuDNN's,
which ONNX does not know. The request comes on stdin as JSON; the last line of stdout is the answer.
"""

import gc
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from hpo.bundle import manifest
from hpo.data import open_part
from hpo.errors import HpoError
from hpo.serving import Server
from hpo.settings import child_environment

if TYPE_CHECKING:
    import keras

OPSET = 18
SEED, SYNTHETIC_WINDOWS = 0, 32
COMPARED, BATCH = 2048, 256  # real windows at most, and at a time
INPUT, OUTPUT = "window", "probabilities"


class ConversionError(HpoError):
    """A model could not be written in another format."""


class Request(BaseModel):
    """What the process is asked.

    Attributes:
        model: the .keras file.
        part: folder of real windows, as `hpo.data.open_part` reads it: on them ONNX is compared with Keras, and the
            synthetic windows get their channels' mean and standard deviation.
        folder: existing, for the files.
    """

    model_config = ConfigDict(frozen=True)
    model: Path
    part: str
    folder: Path


class Converted(BaseModel):
    """What the process answers.

    Attributes:
        weights_sha256: of the model. versions: of what converted it.
        opset, windows, largest_difference: as `hpo.bundle.Conversion` has them.
    """

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")
    weights_sha256: str
    versions: dict[str, str]
    opset: int
    windows: int
    largest_difference: float


def convert(request: Request) -> Converted:
    """Has the files written by a child.

    Raises:
        ConversionError: it fails, or ONNX and Keras differ by more than a bundle may.
    """
    done = subprocess.run(
        [sys.executable, "-m", "hpo.conversion"],
        input=request.model_dump_json(),
        capture_output=True,
        text=True,
        env={**child_environment(), "CUDA_VISIBLE_DEVICES": "-1"},
        check=False,
    )
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ConversionError(f"the model could not be converted (exit status {done.returncode}): {said}")
    return judged(Converted.model_validate_json(done.stdout.splitlines()[-1]))


def judged(converted: Converted) -> Converted:
    """The same, if ONNX gives what Keras gives.

    Raises:
        ConversionError: it does not.
    """
    if not converted.largest_difference <= manifest.TOLERANCE:
        raise ConversionError(
            f"the ONNX model is not the Keras model: on {converted.windows} windows their probabilities differ by up "
            f"to {converted.largest_difference:.2g}; accepted: {manifest.TOLERANCE:g}. No bundle is written"
        )
    return converted


def main() -> None:
    """The child."""
    gc.disable()  # tracing and converting make garbage by the million, and this process ends soon
    converted = _convert(Request.model_validate_json(sys.stdin.read()))
    sys.stdout.write(f"\n{converted.model_dump_json()}\n")


def _convert(request: Request) -> Converted:
    import keras

    from hpo import models
    from hpo.curves import weights_sha256

    models.import_layers()
    model = keras.saving.load_model(request.model, compile=False, safe_mode=True)
    part = open_part(request.part)
    windows = np.ascontiguousarray(part.x[:: max(1, len(part.x) // COMPARED)][:COMPARED])
    model.export(request.folder / "saved_model", format="tf_saved_model", verbose=False)
    content = to_onnx(model)
    (request.folder / manifest.ONNX).write_bytes(content)
    server = Server(content, manifest.ONNX, model.input_shape[1:], model.output_shape[1])
    difference = max(
        float(np.abs(server.predict(some) - _keras(model, some)).max())
        for some in np.array_split(windows, -(-len(windows) // BATCH))
    )
    synthetic = _synthetic(part.x)
    with (request.folder / manifest.SYNTHETIC).open("wb") as file:
        np.savez(file, windows=synthetic, probabilities=_keras(model, synthetic))
    return Converted(
        weights_sha256=weights_sha256(model.get_weights()),
        versions={library: version(library) for library in ("onnx", "onnxruntime", "tf2onnx")},
        opset=OPSET,
        windows=len(windows),
        largest_difference=difference,
    )


def _keras(model: "keras.Model", x: NDArray[np.float32]) -> NDArray[np.float32]:
    p: NDArray[np.float32] = np.asarray(model(x, training=False))
    return p


def to_onnx(model: "keras.Model") -> bytes:
    """The model as an ONNX file that takes any number of windows."""
    import tensorflow as tf
    import tf2onnx

    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)]
    function = tf.function(lambda window: model(window, training=False), signature, jit_compile=False)
    concrete = function.get_concrete_function()
    window, probabilities = concrete.inputs[0].name, concrete.outputs[0].name
    # Frozen by ourselves: tf2onnx would take constants, such as what a scaling layer has learnt, for further inputs.
    frozen = tf2onnx.tf_loader.from_function(concrete, [window], [probabilities])
    found, _ = tf2onnx.convert.from_graph_def(
        frozen,
        input_names=[window],
        output_names=[probabilities],
        tensors_to_rename={window: INPUT, probabilities: OUTPUT},
        opset=OPSET,
    )
    for value in (*found.graph.input, *found.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "windows"
    content: bytes = found.SerializeToString(deterministic=True)
    return content


def _synthetic(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Windows that are nobody's: noise about each channel's mean, from none at all to twice its standard deviation."""
    from hpo.fitting import channel_statistics

    mean, variance = channel_statistics(x)
    noise = np.random.default_rng(SEED).normal(size=(SYNTHETIC_WINDOWS, *x.shape[1:]))
    strength = np.linspace(0, 2, SYNTHETIC_WINDOWS)[:, None, None]
    windows: NDArray[np.float32] = (mean + noise * strength * np.sqrt(variance)).astype(np.float32)
    if np.isnan(x).any():  # windows differ in length
        windows[1::2, x.shape[1] // 2 :] = np.nan
    return windows


if __name__ == "__main__":
    main()
