"""Every family on every kind of data: one, or several channels; one length, or several; two classes, or nine."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hpo import models, space
from hpo.callbacks import predict
from hpo.fitting import compile_model, scaled
from hpo.space import Params
from hpo.training import TRAINING

# Keras 3.15 converts TensorFlow's variables in a way that NumPy 2 calls old
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

WINDOWS, STEPS = 24, 12
# hyperparameters that only make a model large
SMALL = {"filters": 4, "units": 4, "dense_units": 4, "bottleneck": 3, "depth": 3}
# channels, classes, windows of different length, and a scaling: each of them at least once with each of the others
KINDS = {
    "univariate, 2 classes": (1, 2, False, "sample"),
    "univariate, variable length, 9 classes": (1, 9, True, "channel"),
    "multivariate, 9 classes": (3, 9, False, "channel"),
    "multivariate, variable length, 2 classes": (3, 2, True, "sample"),
}


def data(channels: int, classes: int, padded: bool) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Windows of noise about their class, the last of which are full, and one-hot labels."""
    rng = np.random.default_rng(0)
    labels = np.arange(WINDOWS) % classes
    x = rng.normal(size=(WINDOWS, STEPS, channels)).astype(np.float32) + labels[:, None, None].astype(np.float32)
    if padded:
        for window, length in zip(x, range(1, STEPS), strict=False):
            window[length:] = np.nan
    return x, np.eye(classes, dtype=np.float32)[labels]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", models.family_names())
def test_every_family_takes_every_kind_of_data(family: str, kind: str, tmp_path: Path) -> None:
    """An epoch trains, changes the weights to other numbers, and the model comes back from its file as it was."""
    import keras

    channels, classes, padded, scaling = KINDS[kind]
    x, targets = data(channels, classes, padded)
    shape = (STEPS, channels)
    keras.utils.set_random_seed(0)
    setting: Params = space.defaults(models.default_space(family, shape, classes))
    setting = {name: SMALL.get(name, value) for name, value in setting.items()}
    model = scaled(models.get(family).build(shape, classes, padded, **setting), x, scaling, padded=padded)
    compile_model(model, "adamw", {**space.defaults(TRAINING), "batch_size": 12}, 2, 1)
    model.run_eagerly = True  # two steps cost less than tracing one
    before = model.get_weights()
    history = model.fit(x, targets, batch_size=12, epochs=1, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    after = model.get_weights()
    assert all(np.isfinite(weights).all() for weights in after)
    assert any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))

    probabilities = predict(model, x, WINDOWS)
    assert probabilities.shape == (WINDOWS, classes)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=0, atol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    loaded.run_eagerly = True
    np.testing.assert_array_equal(np.asarray(loaded(x, training=False)), np.asarray(model(x, training=False)))
