"""Windows of different length: in every family, steps that are not there count for nothing, and zeros are values."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hpo import models, space
from hpo.space import Params

# Keras 3.15 converts TensorFlow's variables in a way that NumPy 2 calls old
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SHAPE, CLASSES = (12, 3), 3
# Time steps of each window: full, odd, shorter than the kernels read at once, one
LENGTHS = (12, 8, 5, 1)
# Hyperparameters that only make a model large
SMALL = {"filters": 4, "units": 4, "dense_units": 4, "bottleneck": 3}
SAMPLES = 1
TRAINED = 1  # of them, for a step of training takes longest
# Families whose weights do not depend on the length, at settings that read each step by its own.
ALIKE: list[tuple[str, Params]] = [
    ("fcn", {}),
    ("gru", {"pooling": "max", "bidirectional": True}),
    ("lstm", {"pooling": "mean", "layers": 2}),
    ("lstm", {}),
    ("lstm_fcn", {"dimension_shuffle": False, "se_ratio": 8}),
    ("inception_time", {"kernels": "8-4-2", "depth": 3}),
    ("deep_conv_lstm", {"conv_layers": 2, "kernel_size": 3}),
    ("multi_head_cnn", {"head": "gap", "kernels": "2-3", "pool_size": 1}),
]

families = pytest.mark.parametrize("family", models.family_names())


def setting(family: str, index: int) -> Params:
    """The defaults, or a setting drawn with a fixed seed, of few weights."""
    domains = models.default_space(family, SHAPE, CLASSES)
    rng = np.random.default_rng(index)
    chosen = space.sample(domains, rng) if index else space.defaults(domains)
    return {**chosen, **{name: size for name, size in SMALL.items() if name in chosen}}


def built(family: str, params: Params, *, shape: tuple[int, int] = SHAPE, padded: bool = True) -> Any:
    """A model whose weights and dropout come from a fixed seed, and whose layers are named in the order of building."""
    import keras

    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(5)
    return models.get(family).build(shape, CLASSES, padded, **params)


def windows(*lengths: int, seed: int = 0) -> NDArray[np.float32]:
    """Windows of so many steps, padded."""
    x = np.random.default_rng(seed).normal(size=(len(lengths), *SHAPE)).astype(np.float32)
    for window, length in zip(x, lengths, strict=True):
        window[length:] = np.nan
    return x


def scores(model: Any, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities (n, classes), all of them numbers."""
    p = np.asarray(model(x, training=False))
    assert np.isfinite(p).all()
    return p


@pytest.mark.parametrize("index", range(1 + SAMPLES))
@families
def test_padded_steps_are_never_read(family: str, index: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stands in them inside the network, zeros or noise, the probabilities and the weights after a step of
    training are the same.
    """
    from hpo.models import _blocks

    x, y = windows(*LENGTHS), np.arange(len(LENGTHS)) % CLASSES
    found = []
    for fill in (0.0, np.random.default_rng(1).normal(scale=9, size=SHAPE).astype(np.float32)):
        monkeypatch.setattr(_blocks, "FILL", fill)
        model = built(family, setting(family, index))
        before = scores(model, x)
        if index < TRAINED:
            model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
            model.train_on_batch(x, y)
        found.append([before, scores(model, x), *model.get_weights()])
    for zeros, noise in zip(*found, strict=True):
        np.testing.assert_allclose(noise, zeros, rtol=1e-6, atol=1e-7)


@families
def test_padding_costs_no_weights(family: str) -> None:
    """A model for padded windows has the same weights as the plain one, and windows that are full score the same."""
    params = setting(family, 1)
    plain, padded = built(family, params, padded=False), built(family, params)
    assert {w.path: w.shape for w in plain.weights} == {w.path: w.shape for w in padded.weights}
    x = windows(*[SHAPE[0]] * 4)
    np.testing.assert_allclose(scores(padded, x), scores(plain, x), rtol=1e-5, atol=1e-6)


@families
def test_a_zero_is_a_value(family: str) -> None:
    """A window that ends in zeros and one that ends sooner score differently."""
    model = built(family, setting(family, 0))
    short = windows(SHAPE[0] // 2)  # at the end of a sub-window: what is left of one counts as zeros
    zeros = np.nan_to_num(short)
    assert not np.allclose(scores(model, short), scores(model, zeros), rtol=0, atol=1e-7)


@pytest.mark.parametrize(("family", "params"), ALIKE)
def test_padding_is_as_if_it_were_not_there(family: str, params: Params) -> None:
    """A padded window scores as the same window does, unpadded, in a network with the same weights for its length; and
    a step of training changes both networks alike, moving statistics included.
    """
    small: Params = {**SMALL, "dropout": 0.0}  # dropout draws a number for every step, there or not
    params = {**{name: value for name, value in small.items() if name in models.get(family).SPACE}, **params}
    padded = built(family, params)
    alone = built(family, params, shape=(8, SHAPE[1]), padded=False)
    weights = {w.path: w for w in alone.weights}  # the order differs, because the graph does
    for weight in padded.weights:
        weights[weight.path].assign(weight)
    x, y = windows(8, 8, 8), np.arange(3)
    np.testing.assert_allclose(scores(padded, x), scores(alone, x[:, :8]), rtol=1e-5, atol=1e-6)
    for model, seen in ((padded, x), (alone, x[:, :8])):
        model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
        model.train_on_batch(seen, y)
    for weight in padded.weights:
        np.testing.assert_allclose(weight, weights[weight.path], rtol=1e-4, atol=1e-6, err_msg=weight.path)


def test_padded_model_survives_saving(tmp_path: Path) -> None:
    """The operations that make the mask are saved with the model and load in safe mode."""
    import keras

    model = built("lstm_fcn", setting("lstm_fcn", 0))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    x = windows(*LENGTHS)
    np.testing.assert_array_equal(scores(loaded, x), scores(model, x))


@pytest.mark.parametrize(("family", "scaling"), [("fcn", "sample"), ("gru", "channel")])
def test_padded_model_can_be_served(family: str, scaling: str) -> None:
    """As ONNX, scaling included, it scores padded windows as Keras does: NaN does not get past the mask."""
    from hpo.conversion import to_onnx
    from hpo.fitting import scaled
    from hpo.serving import Server

    x = windows(*LENGTHS)
    model = scaled(built(family, setting(family, 0)), x, scaling, padded=True)
    server = Server(to_onnx(model), "model.onnx", SHAPE, CLASSES)
    np.testing.assert_allclose(server.predict(x), scores(model, x), rtol=0, atol=1e-5)
