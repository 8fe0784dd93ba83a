"""Layers that a study file may ask for beside the published ones: attention, and a stem that strides."""

import numpy as np
import pytest

from hpo import models

# Keras 3.15 converts TensorFlow's variables in a way that NumPy 2 calls old
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FEW = {"filters": 4}


def test_attention_is_the_published_one() -> None:
    """The last output equals the published recurrence, written out in NumPy: energies over all steps from the last
    output, their softmax, the weighted sum of the steps as a second input of all gates.
    """
    import keras

    from hpo.models import _blocks

    steps, features, units = 5, 7, 3
    window = keras.Input((steps, features))
    model = keras.Model(window, _blocks.attention_lstm(window, units))
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape).astype(np.float32) for w in model.get_weights()])
    weights = {w.path.split("/", 1)[1] if "lstm_cell" in w.path else w.path: w.numpy() for w in model.weights}
    x = rng.normal(size=(4, steps, features)).astype(np.float32)

    keys = x @ weights["attention_keys/kernel"] + weights["attention_keys/bias"]
    h = c = np.zeros((4, units))
    for t in range(steps):
        tanh = np.tanh(keys + (h @ weights["attention_query/kernel"])[:, None])
        energy = tanh @ weights["attention_energy/kernel"]
        alpha = np.exp(energy) / np.exp(energy).sum(axis=1, keepdims=True)
        seen = np.concatenate([x[:, t], (alpha * x).sum(axis=1)], axis=1)
        gates = seen @ weights["kernel"] + h @ weights["recurrent_kernel"] + weights["bias"]
        i, f, candidate, o = np.split(gates, 4, axis=1)
        i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
        c = f * c + i * np.tanh(candidate)
        h = o * np.tanh(c)
    np.testing.assert_allclose(np.asarray(model(x)), h, rtol=1e-4, atol=1e-5)


def test_attention_takes_few_channels() -> None:
    """Its steps are unrolled, one for each channel: more than 32 are refused, with the number."""
    models.get("lstm_fcn").check((16, 32), 2, cell="alstm")
    with pytest.raises(ValueError, match='cell = "alstm" takes up to 32 channels; these windows have 33'):
        models.get("lstm_fcn").check((16, 33), 2, cell="alstm")


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(
    ("family", "setting"),
    [
        ("fcn", {}),
        ("inception_time", {"depth": 3}),
        ("lstm_fcn", {"dimension_shuffle": False}),
        ("lstm_fcn", {"cell": "alstm"}),
        ("deep_conv_lstm", {"conv_layers": 2, "units": 4}),
    ],
)
def test_stem_stride_shortens_what_follows(family: str, setting: dict[str, int | bool | str], padded: bool) -> None:
    """With a stride of 4 as many weights read a quarter of the steps, or what of it the paddingless convolutions leave;
    and where windows differ in length, what is not there is still not read.
    """
    from keras import layers

    from hpo.models import _blocks

    module = models.get(family)
    plain = module.build((48, 2), 3, padded, **FEW, **setting)
    strided = module.build((48, 2), 3, padded, **FEW, **setting, stem_stride=4)
    assert strided.count_params() == plain.count_params()
    reader = layers.LSTM if family == "deep_conv_lstm" else layers.GlobalAveragePooling1D
    read = [next(layer.input for layer in m.layers if isinstance(layer, reader)) for m in (plain, strided)]
    lengths = [(x[0] if isinstance(x, list) else x).shape[1] for x in read]
    assert lengths == ([40, 7] if family == "deep_conv_lstm" else [48, 12])
    if not padded:
        return
    x = np.random.default_rng(0).normal(size=(4, 48, 2)).astype(np.float32)
    for window, length in zip(x, (48, 30, 13, 1), strict=True):
        window[length:] = np.nan
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_blocks, "FILL", np.random.default_rng(1).normal(scale=9, size=(48, 2)).astype(np.float32))
        noisy = module.build((48, 2), 3, True, **FEW, **setting, stem_stride=4)
    noisy.set_weights(strided.get_weights())
    found = np.asarray(strided(x, training=False))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(np.asarray(noisy(x, training=False)), found, rtol=1e-6, atol=1e-7)
