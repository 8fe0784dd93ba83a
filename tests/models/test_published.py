"""The families against their sources: parameter counts, defaults, and the layers that stand in for others."""

import numpy as np
import pytest

from hpo import models
from hpo.space import Scalar, defaults, ends

# Keras 3.15 converts TensorFlow's variables in a way that NumPy 2 calls old
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

HAR, EARTHQUAKES = (128, 9), (512, 1)


@pytest.mark.parametrize(
    ("family", "shape", "n_classes", "setting", "count"),
    [
        ("lstm_fcn", EARTHQUAKES, 2, {"units": 8}, 282_674),
        ("lstm_fcn", EARTHQUAKES, 2, {"units": 64}, 413_826),
        ("lstm_fcn", EARTHQUAKES, 2, {"units": 128}, 594_434),
        ("lstm_fcn", HAR, 6, {"units": 8, "se_ratio": 16}, 289_366),
        ("lstm_fcn", HAR, 6, {"units": 64, "se_ratio": 16}, 334_726),
        ("lstm_fcn", HAR, 6, {"units": 128, "se_ratio": 16}, 417_286),
        ("lstm_fcn", HAR, 6, {"units": 8, "se_ratio": 16, "dimension_shuffle": False}, 285_558),
        # the LSTM's 4 (D U + U U + U) become 9 D U + 5 U U + 6 U, as in the published AttentionLSTM
        ("lstm_fcn", EARTHQUAKES, 2, {"units": 8, "cell": "alstm"}, 282_674 + 20_560),
        ("lstm_fcn", HAR, 6, {"units": 8, "se_ratio": 16, "cell": "alstm"}, 289_366 + 5_200),
        ("lstm", HAR, 6, {}, 54_706),
        ("cnn_lstm", HAR, 6, {}, 423_650),
        ("conv_lstm", HAR, 6, {"activation": "relu"}, 249_026),
    ],
)
def test_parameter_counts(
    family: str, shape: tuple[int, int], n_classes: int, setting: dict[str, Scalar], count: int
) -> None:
    """The published configurations have the published number of weights (moving statistics included)."""
    assert models.get(family).build(shape, n_classes, **setting).count_params() == count


def test_fcn_has_the_weights_of_its_table() -> None:
    """The paper's layers, 128 filters of 8 steps, 256 of 5 and 128 of 3, counted by hand; T does not matter.

    A convolution has steps x inputs x filters weights and a bias for each filter, a normalisation 4 numbers for each
    filter (half of them moving statistics).
    One channel, 2 classes: 8 x 1 x 128 + 128 = 1,152; 5 x 128 x 256 + 256 = 164,096; 3 x 256 x 128 + 128 = 98,432;
    4 x (128 + 256 + 128) = 2,048; output 128 x 2 + 2 = 258. Together 265,986.
    9 channels, 6 classes: the first is 8 x 9 x 128 + 128 = 9,344, the output 128 x 6 + 6 = 774. Together 274,694.
    """
    assert models.get("fcn").build(EARTHQUAKES, 2).count_params() == 265_986
    assert models.get("fcn").build(HAR, 6).count_params() == 274_694


def test_inception_time_has_the_weights_of_its_code() -> None:
    """The layers of hfawaz/InceptionTime, classifiers/inception.py, counted by hand; no convolution has a bias.

    A module that reads 128 features: bottleneck 128 x 32 = 4,096; kernels (40 + 20 + 10) x 32 x 32 = 71,680; branch of
    the pool 128 x 32 = 4,096; normalisation 4 x 128 = 512. Together 80,384, five times 401,920.
    The second shortcut: 128 x 128 + 512 = 16,896.
    One channel, 2 classes: the first module has no bottleneck, 70 x 1 x 32 + 1 x 32 + 512 = 2,784; the first shortcut
    1 x 128 + 512 = 640; output 128 x 2 + 2 = 258. Together 422,498.
    9 channels, 6 classes: 9 x 32 + 71,680 + 9 x 32 + 512 = 72,768; 9 x 128 + 512 = 1,664; 774. Together 494,022.
    """
    assert models.get("inception_time").build(EARTHQUAKES, 2).count_params() == 422_498
    assert models.get("inception_time").build(HAR, 6).count_params() == 494_022


def test_deep_conv_lstm_has_the_weights_of_its_layers() -> None:
    """The paper's layers, counted by hand: filters are shared over channels, LSTMs have four gates and no peepholes.

    Convolutions: 5 x 1 x 64 + 64 = 384 and three times 5 x 64 x 64 + 64 = 20,544, together 62,016. Second LSTM:
    4 x 128 x (128 + 128 + 1) = 131,584.
    The paper's windows of 24 steps and 113 channels, 18 classes: first LSTM 4 x 128 x (113 x 64 + 128 + 1) =
    3,768,832; output 128 x 18 + 18 = 2,322. Together 3,964,754. 24 - 4 x 4 = 8 steps are left, as in the authors' code.
    UCI HAR: 4 x 128 x (9 x 64 + 128 + 1) = 360,960; output 774. Together 555,334.
    """
    from keras import layers

    published = models.get("deep_conv_lstm").build((24, 113), 18)
    assert published.count_params() == 3_964_754
    assert next(x for x in published.layers if isinstance(x, layers.LSTM)).input.shape == (None, 8, 113 * 64)
    assert models.get("deep_conv_lstm").build(HAR, 6).count_params() == 555_334


def test_multi_head_cnn_has_the_weights_of_its_layers() -> None:
    """The book's layers on UCI HAR, counted by hand.

    Convolutions: (3 + 5 + 11) x 9 x 64 + 3 x 64 = 11,136. 126, 124 and 118 steps are left, the pool halves them:
    (63 + 62 + 59) x 64 = 11,776 features. Dense: 11,776 x 100 + 100 = 1,177,700. Output: 100 x 6 + 6 = 606. Together
    1,189,442.
    """
    assert models.get("multi_head_cnn").build(HAR, 6).count_params() == 1_189_442


@pytest.mark.parametrize(
    ("family", "shape", "expected"),
    [
        (
            "conv_lstm",
            HAR,
            {
                "n_steps": 4,
                "filters": 64,
                "kernel_size": 3,
                "layers": 1,
                "dropout": 0.5,
                "head": "flatten",
                "dense_units": 100,
            },
        ),
        ("lstm", HAR, {"units": 100, "layers": 1, "bidirectional": False, "dropout": 0.5, "dense_units": 100}),
        (
            "cnn_lstm",
            HAR,
            {"n_steps": 4, "conv_layers": 2, "filters": 64, "kernel_size": 3, "pool_size": 2, "units": 100},
        ),
        (
            "lstm_fcn",
            HAR,
            {"cell": "lstm", "units": 8, "dropout": 0.8, "filters": 128, "kernels": "8-5-3", "se_ratio": 16},
        ),
        ("lstm_fcn", EARTHQUAKES, {"units": 8, "kernels": "8-5-3", "se_ratio": 0, "dimension_shuffle": True}),
        ("lstm_fcn", (24, 1), {"kernels": "8-5-3"}),
    ],
)
def test_first_trial_is_the_published_one(family: str, shape: tuple[int, int], expected: dict[str, Scalar]) -> None:
    """The defaults of the clipped space are those of the paper or the book, wherever the data allow them."""
    assert defaults(models.default_space(family, shape, 6)).items() >= expected.items()


@pytest.mark.parametrize(
    ("family", "timesteps", "steps", "kernels"),
    [
        ("conv_lstm", 128, (2, 4, 8), (3, 5, 7, 9, 11)),
        ("conv_lstm", 100, (2, 4, 5), (3, 5, 7, 9, 11)),
        ("conv_lstm", 24, (2,), (3, 5, 7, 9, 11)),
        ("conv_lstm", 25, (5,), (3, 5)),
        ("conv_lstm", 97, (1,), (3, 5, 7, 9, 11)),
        ("conv_lstm", 8, (2,), (3,)),
        ("cnn_lstm", 128, (2, 4, 8), (3, 5, 7)),
        ("cnn_lstm", 24, (2,), (3, 5)),
        ("cnn_lstm", 97, (1,), (3, 5, 7)),
        ("cnn_lstm", 8, (1,), (3,)),
    ],
)
def test_windows_are_cut_into_equal_parts(
    family: str, timesteps: int, steps: tuple[int, ...], kernels: tuple[int, ...]
) -> None:
    """n_steps divides the length, every kernel fits the shortest sub-window, and a prime length stays whole."""
    space = models.default_space(family, (timesteps, 1), 2)
    assert ends(space["n_steps"]) == steps
    assert ends(space["kernel_size"]) == kernels


def test_squeeze_excite_is_for_several_channels() -> None:
    """One channel gets LSTM-FCN; several get a choice that opens with MLSTM-FCN's ratio."""
    assert ends(models.default_space("lstm_fcn", EARTHQUAKES, 2)["se_ratio"]) == (0,)
    several = models.default_space("lstm_fcn", HAR, 6)["se_ratio"]
    assert (ends(several), several.default) == ((0, 8, 16), 16)


def test_batch_normalisation_starts_fast() -> None:
    """The default momentum is 0.9; the papers' 0.99 stays a choice."""
    domain = models.default_space("lstm_fcn", EARTHQUAKES, 2)["bn_momentum"]
    assert (domain.default, ends(domain)) == (0.9, (0.9, 0.99))


@pytest.mark.parametrize(
    ("family", "setting", "message"),
    [
        (
            "conv_lstm",
            {"n_steps": 5},
            r"^n_steps = 5 does not divide windows of 128 time steps; these do: 1, 2, 4, 8, ",
        ),
        (
            "conv_lstm",
            {"n_steps": 8, "kernel_size": 17},
            r"^kernel_size = 17 is longer than the sub-windows of 16 time steps \(windows of 128, n_steps = 8\)$",
        ),
        ("conv_lstm", {"activation": "selu"}, "^activation = 'selu' must be one of 'tanh', 'relu'$"),
        ("conv_lstm", {"recurrent_dropout": 0.6}, "^recurrent_dropout = 0.6 must be at most 0.5$"),
        (
            "conv_lstm",
            {"dropout": float("nan")},
            "^dropout = nan must be at least 0; dropout = nan must be at most 0.9$",
        ),
        ("conv_lstm", {"filters": 0, "layers": 3}, "^filters = 0 must be at least 1; layers = 3 must be at most 2$"),
        ("cnn_lstm", {"n_steps": 3}, "^n_steps = 3 does not divide windows of 128 time steps"),
        (
            "cnn_lstm",
            {"n_steps": 16, "kernel_size": 5},
            r"^kernel_size = 5 with conv_layers = 2 leaves 0 of the sub-windows' 8 time steps \(windows of 128, "
            r"n_steps = 16\); pool_size = 2 needs at least as many$",
        ),
        ("lstm", {"units": 64.0}, "^units = 64.0 must be a whole number$"),
        ("lstm", {"bidirectional": 1}, "^bidirectional = 1 must be true or false$"),
        ("lstm_fcn", {"kernels": "8-5"}, "^kernels = '8-5' must be three kernel sizes in time steps, such as '8-5-3'$"),
        ("lstm_fcn", {"kernels": "0-5-3"}, "^kernels = '0-5-3' must be three kernel sizes"),
        ("lstm_fcn", {"kernels": "8-5-129"}, "^kernels = '8-5-129' has a kernel longer than the windows of 128 time"),
        ("lstm_fcn", {"bidirectional": True}, "^bidirectional = true needs dimension_shuffle = false"),
        (
            "lstm_fcn",
            {"cell": "alstm", "dimension_shuffle": False},
            '^cell = "alstm" needs dimension_shuffle = true: its attention is over the channels$',
        ),
        ("fcn", {"stem_stride": 129}, "^stem_stride = 129 is longer than the windows of 128 time steps$"),
        ("lstm_fcn", {"stem_stride": 0}, "^stem_stride = 0 must be at least 1$"),
        ("lstm_fcn", {"stem_stride": 129}, "^stem_stride = 129 is longer than"),
        ("inception_time", {"stem_stride": 129}, "^stem_stride = 129 is longer than"),
        (
            "deep_conv_lstm",
            {"stem_stride": 16},
            "^kernel_size = 5 with conv_layers = 4 and stem_stride = 16 reads 197 time steps at once",
        ),
    ],
)
def test_settings_that_cannot_be_built(family: str, setting: dict[str, Scalar], message: str) -> None:
    """The sentence names the hyperparameter, the value received and what is accepted; build says the same."""
    with pytest.raises(ValueError, match=message):
        models.get(family).check(HAR, 6, **setting)
    with pytest.raises(ValueError, match=message):
        models.get(family).build(HAR, 6, **setting)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_conv_lstm_equals_the_two_dimensional_layer(activation: str) -> None:
    """With copied weights the notebook's ConvLSTM2D over one row gives the same output: largest difference 0.0."""
    from keras import Sequential, layers

    ours = models.get("conv_lstm").build(HAR, 6, activation=activation)
    theirs = Sequential(
        [
            layers.Input((4, 1, 32, 9)),
            layers.ConvLSTM2D(64, (1, 3), activation=activation),
            layers.Dropout(0.5),
            layers.Flatten(),
            layers.Dense(100, activation="relu"),
            layers.Dense(6, activation="softmax"),
        ]
    )
    theirs.set_weights([w.reshape(t.shape) for w, t in zip(ours.get_weights(), theirs.get_weights(), strict=True)])
    x = np.random.default_rng(0).normal(size=(16, *HAR)).astype(np.float32)
    difference = np.asarray(ours(x)) - np.asarray(theirs(x.reshape(16, 4, 1, 32, 9)))
    assert np.abs(difference).max() == 0.0


def test_cnn_lstm_equals_the_time_distributed_form() -> None:
    """With copied weights the notebook's TimeDistributed layers give the same output: largest difference 0.0."""
    from keras import Sequential, layers

    ours = models.get("cnn_lstm").build(HAR, 6)
    theirs = Sequential(
        [
            layers.Input((4, 32, 9)),
            layers.TimeDistributed(layers.Conv1D(64, 3, activation="relu")),
            layers.TimeDistributed(layers.Conv1D(64, 3, activation="relu")),
            layers.TimeDistributed(layers.Dropout(0.5)),
            layers.TimeDistributed(layers.MaxPooling1D()),
            layers.TimeDistributed(layers.Flatten()),
            layers.LSTM(100),
            layers.Dropout(0.5),
            layers.Dense(100, activation="relu"),
            layers.Dense(6, activation="softmax"),
        ]
    )
    theirs.set_weights([w.reshape(t.shape) for w, t in zip(ours.get_weights(), theirs.get_weights(), strict=True)])
    x = np.random.default_rng(0).normal(size=(16, *HAR)).astype(np.float32)
    difference = np.asarray(ours(x)) - np.asarray(theirs(x.reshape(16, 4, 32, 9)))
    assert np.abs(difference).max() == 0.0


@pytest.mark.parametrize(
    ("shape", "shuffle", "steps"),
    [(EARTHQUAKES, True, 1), (HAR, True, 9), (HAR, False, 128), (EARTHQUAKES, False, 256), ((600, 2), False, 200)],
)
def test_recurrent_branch_reads_few_steps(shape: tuple[int, int], shuffle: bool, steps: int) -> None:
    """Shuffled it reads channels; unshuffled it reads time, and averages windows of more than 256 steps down."""
    from keras import layers

    model = models.get("lstm_fcn").build(shape, 2, dimension_shuffle=shuffle, filters=4)
    (lstm,) = (layer for layer in model.layers if isinstance(layer, layers.LSTM))
    assert lstm.input.shape[1] == steps


def test_shuffle_does_not_hide_channels_of_zeros() -> None:
    """A channel that is zero throughout still counts as a step of the shuffled branch: nothing is masked.

    Left out, the recurrent state after it would equal the state before it.
    """
    import keras
    from keras import layers

    model = models.get("lstm_fcn").build((16, 3), 2, filters=4, se_ratio=16)
    (lstm,) = (layer for layer in model.layers if isinstance(layer, layers.LSTM))
    memory = keras.Model(model.input, lstm.output)
    x = np.random.default_rng(0).normal(size=(1, 16, 3)).astype(np.float32)
    x[:, :, 2] = 0.0
    shorter = models.get("lstm_fcn").build((16, 2), 2, filters=4, se_ratio=16)
    (short_lstm,) = (layer for layer in shorter.layers if isinstance(layer, layers.LSTM))
    short_lstm.set_weights(lstm.get_weights())
    assert not np.allclose(memory(x), keras.Model(shorter.input, short_lstm.output)(x[:, :, :2]))
