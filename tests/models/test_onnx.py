"""Every family can be exported: its ONNX model gives Keras's probabilities."""

import gc
from collections.abc import Iterator

import numpy as np
import pytest

from hpo import models, space
from hpo.bundle import graph
from hpo.serving import Server

# TensorFlow and tf2onnx use what NumPy 2 calls old
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SHAPE, CLASSES = (24, 3), 4
# Without recurrent layers, whose loops are converted in two ways, what holds for padded windows holds for others.
CONVOLUTIONS = {"fcn", "inception_time", "multi_head_cnn"}
CASES = [
    (name, padded) for name in models.family_names() for padded in (True, False) if padded or name not in CONVOLUTIONS
]


@pytest.fixture(autouse=True)
def _no_collection() -> Iterator[None]:
    """Converting makes garbage by the million, and collecting it takes half of the time."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize(("family", "padded"), CASES)
def test_onnx_is_keras(family: str, padded: bool) -> None:
    """Raw windows in, the same probabilities out, for one window and for many, from operators of the standard alone."""
    from hpo.conversion import to_onnx
    from hpo.fitting import scaled

    setting = space.defaults(models.default_space(family, SHAPE, CLASSES))
    setting |= {"depth": 3} if "depth" in setting else {}
    if "bidirectional" in setting and not setting.get("dimension_shuffle"):
        setting["bidirectional"] = True
    x = np.random.default_rng(3).normal(5, 20, size=(9, *SHAPE)).astype(np.float32)
    if padded:
        x[3:, 15:], x[5:, 4:] = np.nan, np.nan
    model = scaled(models.get(family).build(SHAPE, CLASSES, padded, **setting), x, "channel", padded=padded)
    content = to_onnx(model)
    graph.check(content)
    server = Server(content, "model.onnx", SHAPE, CLASSES)
    expected = np.asarray(model(x, training=False))
    assert expected.std() > 1e-4  # an untrained model tells windows apart all the same
    assert np.abs(server.predict(x) - expected).max() < 1e-6
    assert np.abs(server.predict(x[:1]) - expected[:1]).max() < 1e-6


@pytest.mark.parametrize(
    ("scaling", "channels", "unit"),
    [("sample", 3, 1.0), ("none", 3, 1.0), ("channel", 150, 1.0), ("channel", 3, 1e-13)],
)
def test_every_scaling(scaling: str, channels: int, unit: float) -> None:
    """What stands before the family comes along, however many channels there are, and in whatever unit."""
    from hpo.conversion import to_onnx
    from hpo.fitting import scaled

    x = np.random.default_rng(3).normal(5 * unit, 20 * unit, size=(4, 12, channels)).astype(np.float32)
    model = scaled(models.get("fcn").build((12, channels), 2, filters=4), x, scaling)
    server = Server(to_onnx(model), "model.onnx", (12, channels), 2)
    assert np.abs(server.predict(x) - np.asarray(model(x, training=False))).max() < 1e-6
