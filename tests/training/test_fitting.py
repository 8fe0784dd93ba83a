"""What stands between a bare model and a fit: scaling, class weights, decay, schedules."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from hpo.callbacks import predict
from hpo.fitting import channel_statistics, class_weights, compile_model, cosine, scaled
from tests.training.toy import TRAINING, windows

# Keras 3.15 hands TensorFlow's arrays to NumPy 2 in an old way, in its own ReduceLROnPlateau.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.mark.parametrize("scaling", ["channel", "sample", "none"])
def test_scaling_lies_inside_the_model(tmp_path: Path, scaling: str) -> None:
    """The model takes raw windows, scales them itself, also after a round trip through a file, and adds no weights."""
    x, _ = windows(20)
    other, _ = windows(6, seed=3)
    expected = {
        "channel": (other - x.mean((0, 1), np.float64)) / x.std((0, 1), dtype=np.float64),
        "sample": (other - other.mean(1, np.float64, keepdims=True)) / other.std(1, dtype=np.float64, keepdims=True),
        "none": other,
    }[scaling]
    window = keras.Input((8, 2))
    model = scaled(keras.Model(window, keras.layers.Flatten()(window)), x, scaling)  # hands on what it gets
    np.testing.assert_allclose(predict(model, other).reshape(6, 8, 2), expected, atol=1e-3)
    assert model.count_params() == 0
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(predict(again, other), predict(model, other))


@pytest.mark.parametrize("scaling", ["channel", "sample"])
def test_scaling_leaves_padding_out(tmp_path: Path, scaling: str) -> None:
    """Padded steps stay NaN, and the others are scaled as if these were not there: a shorter window by itself and, by
    channels, the training part without them. Also after a round trip through a file.
    """
    x, _ = windows(6)
    x[:3, 5:] = np.nan
    there = {"channel": [x[:3, :5].reshape(-1, 2), x[3:].reshape(-1, 2)], "sample": [x[0, :5]]}[scaling]
    steps = np.concatenate(there).astype(np.float64)
    window = keras.Input((8, 2))
    model = scaled(keras.Model(window, keras.layers.Flatten()(window)), x, scaling, padded=True)
    found = predict(model, x).reshape(6, 8, 2)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(x))
    np.testing.assert_allclose(found[0, :5], (x[0, :5] - steps.mean(0)) / steps.std(0), atol=1e-3)
    plain = scaled(keras.Model(window, keras.layers.Flatten()(window)), x, "sample")
    if scaling == "sample":
        np.testing.assert_allclose(found[3:], predict(plain, x[3:]).reshape(3, 8, 2), atol=1e-3)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(predict(again, x).reshape(6, 8, 2), found)


@pytest.mark.parametrize(("scaling", "padded"), [("channel", False), ("sample", False), ("sample", True)])
@pytest.mark.parametrize("unit", [1e-13, 1e-6, 1e25])
def test_the_unit_of_a_channel_means_nothing(tmp_path: Path, scaling: str, padded: bool, unit: float) -> None:
    """Volts or microvolts: the network behind the scaling sees the same, to the last bit where the factor is a power of
    two, also after a round trip through a file; beside a channel of usual values, which stays as it is.
    """
    x, _ = windows(20)
    if padded:
        x[:3, 5:] = np.nan
    window = keras.Input((8, 2))
    inner = keras.Model(window, keras.layers.Flatten()(window))
    usual = predict(scaled(inner, x, scaling, padded=padded), x)
    exact = x * np.array([np.exp2(np.round(np.log2(unit))), 1.0], np.float32)
    np.testing.assert_array_equal(predict(scaled(inner, exact, scaling, padded=padded), exact), usual)
    other = x * np.array([unit, 1.0], np.float32)
    model = scaled(inner, other, scaling, padded=padded)
    found = predict(model, other)
    np.testing.assert_allclose(found, usual, atol=1e-5)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(predict(again, other), found)


def test_channel_statistics() -> None:
    """They are exact for values far from 0 and for more windows than a piece, and a channel that stands still is left
    at variance 1, so that its first change is not divided by nothing.
    """
    rng = np.random.default_rng(0)
    x = rng.normal(1e4, 0.1, size=(2500, 4, 3)).astype(np.float32)
    x[:, :, 1] = 1000
    x[::2, :, 1] = np.nextafter(np.float32(1000), np.float32(2000))
    x[:, :, 2] = 0
    mean, variance = channel_statistics(x)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean((0, 1)), rtol=1e-12)
    assert variance[0] == pytest.approx(exact[:, :, 0].var(), rel=1e-9)
    assert variance[1:].tolist() == [1.0, 1.0]


def test_class_weights() -> None:
    """Power 1 makes classes count equally, power 0 windows; an absent class breaks nothing."""
    y = np.array([0, 0, 0, 1])
    assert class_weights(y, 2, 0.0) is None
    assert class_weights(y, 2, 1.0) == pytest.approx({0: 2 / 3, 1: 2.0})
    assert class_weights(y, 2, 0.5) == pytest.approx({0: (2 / 3) ** 0.5, 1: 2**0.5})
    assert class_weights(y, 3, 1.0) == pytest.approx({0: 4 / 9, 1: 4 / 3, 2: 1.0})


def test_decay_spares_biases_and_normalisations() -> None:
    """Weight decay shrinks kernels only."""
    window = keras.Input((8, 2))
    x = keras.layers.GRU(3, bias_initializer="ones", name="gru")(window)  # its bias has two dimensions
    x = keras.layers.BatchNormalization(beta_initializer="ones")(x)
    x = keras.layers.LayerNormalization(beta_initializer="ones")(keras.layers.Reshape((3, 1))(x))
    # over two axes, so that its scale and shift have two dimensions
    x = keras.layers.LayerNormalization(axis=[1, 2], beta_initializer="ones")(x)
    x = keras.layers.Flatten()(x)
    model = keras.Model(window, keras.layers.Dense(2, bias_initializer="ones")(x))
    compile_model(model, "adamw", {**TRAINING, "learning_rate": 0.1, "weight_decay": 0.5}, steps=10, epochs=1)
    before = model.get_weights()
    model.optimizer.apply([tf.zeros(v.shape) for v in model.trainable_variables])
    for variable, old, new in zip(model.weights, before, model.get_weights(), strict=True):
        factor = 0.95 if "kernel" in variable.name else 1.0
        np.testing.assert_allclose(new, old * factor, rtol=1e-5, err_msg=variable.path)


def test_cosine_schedule() -> None:
    """It rises over 5 % of the steps from more than 0, and falls to a hundredth."""
    schedule = cosine(0.1, 100)
    assert [float(schedule(step)) for step in (0, 5, 100)] == pytest.approx([0.02, 0.1, 0.001])
    assert float(cosine(0.1, 1)(0)) == pytest.approx(0.1)
    longer = cosine(0.1, 100, warmup=20)
    assert [float(longer(step)) for step in (0, 10, 20, 100)] == pytest.approx([0.005, 0.0525, 0.1, 0.001])
    assert float(cosine(0.1, 100, warmup=2)(5)) == pytest.approx(0.1)  # 5 % at least
