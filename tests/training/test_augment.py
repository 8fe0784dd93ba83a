"""Every augmentation, found by its file: what it changes, what it leaves alone, what its random numbers hang on."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from hpo import augment
from hpo.augment._batch import Batch, Draw
from hpo.callbacks import predict
from hpo.fitting import augmented, compile_model, scaled
from tests.training.toy import TRAINING

# Keras 3.15 hands TensorFlow's arrays to NumPy 2 in an old way, in its own savers.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

NAMES = augment.names()
LENGTHS = np.array([20, 20, 13, 7, 20, 1])
SPREAD = np.array([1, 2, 3, 0.5, 1, 0.1], np.float32)


def batch(weight: bool = True) -> Batch:
    """Six windows of 20 steps and 6 channels, padded to their lengths; labels of three classes."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 20, 6)).cumsum(axis=1).astype(np.float32)
    x[np.arange(20) >= LENGTHS[:, None]] = np.nan
    y = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2]]
    return Batch(tf.constant(x), tf.constant(y), tf.constant(np.arange(1, 7, dtype=np.float32)) if weight else None)


def apply(name: str, old: Batch, *, amount: float = 0.5, seed: int = 7, step: int = 0) -> Batch:
    """What an augmentation makes of a batch, in a graph, where it runs when it trains."""

    @tf.function
    def run(data: Any) -> Any:
        given = Batch(*data)
        windows = tf.ensure_shape(given.x, (None, 20, 6))
        draw = Draw(seed, name, tf.constant(step, tf.int64))
        return tuple(augment.get(name).augment(given._replace(x=windows), amount, draw, SPREAD))

    x, y, weight = run(tuple(old))
    return Batch(x.numpy(), y.numpy(), None if weight is None else weight.numpy())


@pytest.mark.parametrize("name", NAMES)
def test_contract(name: str) -> None:
    """Off by default; windows change and keep shape and type; labels stay shares; padding stays, and no valid step is
    lost to it; the numbers hang on seed and step alone; weights may be missing.
    """
    module = augment.get(name)
    assert (module.DOMAIN.default, module.DOMAIN.at_least) == (0.0, 0.0)
    assert (module.DOMAIN.at_most or 0) > 0
    assert module.unfit(6, triples=True, scaling="channel") is None
    old = batch()
    new = apply(name, old)
    assert (new.x.shape, new.x.dtype) == ((6, 20, 6), np.float32)
    assert not np.array_equal(new.x, old.x, equal_nan=True)
    np.testing.assert_array_equal(np.isnan(new.x), np.isnan(old.x))
    np.testing.assert_allclose(new.y.sum(axis=1), 1, rtol=1e-6)
    assert new.weight.shape == (6,)

    again, later, other = apply(name, old), apply(name, old, step=1), apply(name, old, seed=8)
    np.testing.assert_array_equal(again.x, new.x)
    for changed in (later, other):
        assert not np.array_equal(changed.x, new.x, equal_nan=True)
    bare = apply(name, batch(weight=False))
    np.testing.assert_array_equal(bare.x, new.x)
    assert bare.weight is None


@pytest.mark.parametrize("name", NAMES)
def test_a_small_amount_changes_little(name: str) -> None:
    """As the amount goes to 0, so does the change."""
    old = batch()
    np.testing.assert_allclose(apply(name, old, amount=1e-6).x, old.x, atol=1e-4)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"mixup"}))
def test_labels_are_mixups_business(name: str) -> None:
    """All others leave labels and weights alone."""
    old = batch()
    new = apply(name, old)
    np.testing.assert_array_equal(new.y, old.y)
    np.testing.assert_array_equal(new.weight, old.weight)


def big(timesteps: int = 50, channels: int = 3) -> Batch:
    """Many windows, for averages: each channel has its own level and spread."""
    x = np.random.default_rng(1).normal(size=(2000, timesteps, channels)).cumsum(axis=1)
    return Batch(tf.constant(x.astype(np.float32)), tf.constant(np.tile(np.eye(2, dtype=np.float32), (1000, 1))))


def direct(name: str, old: Batch, amount: float, spread: Any = 1.0) -> Any:
    """What an augmentation makes of a batch of any shape."""
    return augment.get(name).augment(old, amount, Draw(0, name, tf.constant(3)), spread)


def test_jitter_is_measured_in_the_channels_spread() -> None:
    """Noise has mean 0 and the standard deviation that was asked for, channel by channel."""
    old, spread = big(), np.array([1, 10, 0.1], np.float32)
    noise = (direct("jitter", old, 0.2, spread).x - old.x).numpy() / spread
    np.testing.assert_allclose(noise.std(axis=(0, 1)), 0.2, rtol=0.02)
    np.testing.assert_allclose(noise.mean(axis=(0, 1)), 0, atol=0.003)


def test_scaling_noise_is_one_factor_for_a_channel_of_a_window() -> None:
    """Factors have mean 1 and the spread asked for, and do not change in time."""
    old = big()
    factors = (direct("scaling_noise", old, 0.1).x / old.x).numpy()
    np.testing.assert_allclose(factors, np.broadcast_to(factors[:, :1], factors.shape), rtol=1e-4)
    np.testing.assert_allclose(factors[:, 0].std(axis=0), 0.1, rtol=0.1)
    np.testing.assert_allclose(factors[:, 0].mean(axis=0), 1, atol=0.01)


def test_rotation_turns_all_triples_together() -> None:
    """Lengths and angles within a window stay, whole windows turn by at most the angle asked for."""
    triple = big(channels=3)
    old = triple._replace(x=tf.concat([triple.x, 2 * triple.x], axis=2))
    new = direct("rotation", old, 30.0).x.numpy()
    first, second = new[:, :, :3], new[:, :, 3:]
    np.testing.assert_allclose(second, 2 * first, atol=1e-3)
    np.testing.assert_allclose(
        np.linalg.norm(first, axis=2), np.linalg.norm(triple.x.numpy(), axis=2), rtol=1e-3, atol=1e-4
    )
    before = triple.x.numpy()
    cosine = (first * before).sum(axis=2) / (np.linalg.norm(first, axis=2) * np.linalg.norm(before, axis=2))
    degrees = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    assert 25 < degrees.max() < 30.2


def test_time_mask_hides_one_stretch() -> None:
    """Hidden steps lie together, are at most the share asked for, and hold the window's own mean."""
    old = big()
    new = direct("time_mask", old, 0.4).x.numpy()
    hidden = (new != old.x.numpy()).any(axis=2)
    edges = np.diff(np.pad(hidden, ((0, 0), (1, 1))).astype(int), axis=1)
    assert set(np.abs(edges).sum(axis=1)) <= {0, 2}
    assert 0.35 * 50 < hidden.sum(axis=1).max() <= 0.4 * 50 + 1
    assert hidden.sum(axis=1).mean() == pytest.approx(10, rel=0.1)
    window, step = np.argwhere(hidden)[0]
    np.testing.assert_allclose(new[window, step], old.x.numpy()[window].mean(axis=0), rtol=1e-4, atol=1e-4)


def test_window_warp_keeps_the_ends() -> None:
    """The ends stay, order in time stays, and a straight line shows by how much a tenth was stretched."""
    line = np.tile(np.arange(101, dtype=np.float32)[None, :, None], (500, 1, 1))
    new = direct("window_warp", big()._replace(x=tf.constant(line)), 1.0).x.numpy()[:, :, 0]
    np.testing.assert_allclose(new[:, [0, -1]], np.tile([0, 100], (500, 1)), atol=1e-3)
    speed = np.diff(new, axis=1)
    assert (speed >= -1e-4).all()
    assert 0.45 < speed.min() < 0.6
    assert 1.7 < speed.max() < 2.1


def test_mixup_mixes_windows_and_labels_alike() -> None:
    """A window's share in the mixed window is its share in the label, and never the smaller one."""
    flags = np.arange(8, dtype=np.float32)
    old = Batch(
        tf.constant(np.tile(flags[:, None, None], (1, 5, 2))),
        tf.constant(np.eye(8, dtype=np.float32)),
    )
    new = direct("mixup", old, 1.0)
    np.testing.assert_allclose(new.x.numpy()[:, 0, 0], new.y.numpy() @ flags, rtol=1e-5)
    own = np.diag(new.y.numpy())
    assert own.min() >= 0.5
    assert len(set(own.round(5))) == 8
    assert (np.count_nonzero(new.y.numpy(), axis=1) == 2).all()
    tiny = direct("mixup", old, 1e-3)
    assert np.isfinite(tiny.x.numpy()).all()


def test_mixup_keeps_the_weights_of_classes() -> None:
    """In the loss each label counts by its share times its own window's weight: a rare class as much as was asked."""
    y = np.eye(2, dtype=np.float32)[(np.arange(4000) % 20 == 0).astype(int)]
    weight = (y @ [0.5, 10.0]).astype(np.float32)
    plain = Batch(tf.zeros((4000, 4, 1)), tf.constant(y))
    shares = direct("mixup", plain, 1.0).y.numpy()
    new = direct("mixup", plain._replace(weight=tf.constant(weight)), 1.0)
    counted = new.weight.numpy()[:, None] * new.y.numpy()
    np.testing.assert_allclose(counted, shares * [0.5, 10.0], rtol=1e-5)
    np.testing.assert_allclose(new.y.numpy().sum(axis=1), 1, rtol=1e-6)


def test_only_training_steps_are_augmented(tmp_path: Any) -> None:
    """The model that trains shares its weights with the plain one, and predicts to the bit what that predicts; the
    plain one, which is saved, has never heard of augmentation.
    """
    keras.utils.set_random_seed(0)
    x, y = np.random.default_rng(0).normal(size=(16, 8, 3)).astype(np.float32), np.eye(2, dtype=np.float32)[[0, 1] * 8]
    window = keras.Input((8, 3))
    family = keras.Model(window, keras.layers.Dense(2, "softmax")(keras.layers.Flatten()(window)))
    plain = scaled(family, x, "channel")
    assert augmented(plain, x, TRAINING, seed=1) is plain
    learner = augmented(plain, x, {**TRAINING, "rotation": 20.0, "jitter": 0.5, "mixup": 1.0}, seed=1)
    compile_model(learner, "adamw", TRAINING, steps=2, epochs=2)
    np.testing.assert_array_equal(predict(learner, x), predict(plain, x))
    before = plain.get_weights()
    learner.fit(x, y, batch_size=8, epochs=2, verbose=0, class_weight={0: 1.0, 1: 2.0})
    assert not np.array_equal(before[0], plain.get_weights()[0])
    np.testing.assert_array_equal(predict(learner, x), predict(plain, x))
    plain.save(tmp_path / "model.keras", include_optimizer=False)
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(predict(again, x), predict(plain, x))


def test_jitter_leaves_a_channel_alone_that_stands_still() -> None:
    """A share of no spread is no noise: what a dead sensor is weighed by stays as it was."""
    keras.utils.set_random_seed(0)
    x, y = np.random.default_rng(0).normal(size=(16, 8, 2)).astype(np.float32), np.eye(2, dtype=np.float32)[[0, 1] * 8]
    x[:, :, 1] = 5
    window = keras.Input((8, 2))
    weighed = keras.layers.Dense(2, "softmax")
    family = keras.Model(window, weighed(keras.layers.GlobalMaxPooling1D()(window)))
    learner = augmented(scaled(family, x, "channel"), x, {**TRAINING, "jitter": 0.5}, seed=1)
    compile_model(learner, "adam", TRAINING, steps=2, epochs=1)
    before = weighed.get_weights()[0]
    learner.fit(x, y, batch_size=8, epochs=1, verbose=0)
    after = weighed.get_weights()[0]
    np.testing.assert_array_equal(after[1], before[1])
    assert (after[0] != before[0]).all()


def test_where_it_makes_no_sense() -> None:
    """Rotation needs declared threes, scaling noise a scaling that does not undo it; each says so."""
    rotation, noise = augment.get("rotation"), augment.get("scaling_noise")
    assert "train.triples = true" in str(rotation.unfit(9, triples=False, scaling="none"))
    assert "these windows have 4" in str(rotation.unfit(4, triples=True, scaling="none"))
    assert "undoes it" in str(noise.unfit(1, triples=False, scaling="sample"))


def test_shares_of_mixup_follow_the_beta_distribution() -> None:
    """Mean and variance are Beta(alpha, alpha)'s, 1 / (4 (2 alpha + 1)), also where the underlying gammas underflow."""
    for alpha in (0.01, 0.4, 2.0):
        drawn = Draw(3, "mixup", tf.constant(0)).beta(alpha, 20_000).numpy()
        assert drawn.mean() == pytest.approx(0.5, abs=0.02)
        assert drawn.var() == pytest.approx(0.25 / (2 * alpha + 1), rel=0.05)
