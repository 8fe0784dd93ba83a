"""What every model family must hold. Families are found by their file: a new one is tested by existing."""

import inspect
import random
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo import models, space
from hpo.errors import DataError, UsageError
from hpo.space import Params, Scalar, Space
from hpo.training import TRAINING

# Keras 3.15 converts TensorFlow's variables in a way that NumPy 2 calls old
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FAMILIES = models.family_names()
SHAPES = [(128, 9), (512, 1), (100, 6), (24, 1), (97, 3)]
# windows to build for: a few channels, and short enough to train a step of many settings
SMALL, CLASSES, BATCH = (20, 3), 4, 8
SAMPLES, CORNERS = 20, 8

family_and_shape = pytest.mark.parametrize(
    ("family", "shape"), [pytest.param(f, s, id=f"{f}-{s[0]}x{s[1]}") for f in FAMILIES for s in SHAPES]
)


def sampled(domains: Space, count: int) -> list[Params]:
    """Settings drawn with a fixed seed."""
    rng = np.random.default_rng(0)
    return [space.sample(domains, rng) for _ in range(count)]


def some_corners(domains: Space, count: int) -> list[Params]:
    """A seeded subset of the combinations of extreme values, the first and the last among them."""
    corners = list(space.corners(domains))
    return [corners[0], corners[-1], *random.Random(0).sample(corners, min(count, len(corners)) - 2)]


@pytest.mark.parametrize("family", FAMILIES)
def test_family_works_without_keras(family: str) -> None:
    """Importing a family, asking for its space and checking a setting leave Keras and TensorFlow unimported."""
    code = f"""
import sys
from hpo import models, space
domains = models.default_space({family!r}, (128, 9), 6)
models.get({family!r}).check((128, 9), 6, **space.defaults(domains))
models.training({family!r}), models.source_sha256({family!r})
print([name for name in ("keras", "tensorflow") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("family", FAMILIES)
def test_family_says_what_it_is(family: str) -> None:
    """The module and its three functions have docstrings, and the module's names a source."""
    module = models.get(family)
    assert module.__doc__
    assert any(str(year) in module.__doc__ for year in range(1990, 2030)) or "arXiv" in module.__doc__
    for function in (module.clip, module.check, module.build):
        assert function.__doc__


@pytest.mark.parametrize("family", FAMILIES)
def test_space_is_the_signature_of_build(family: str) -> None:
    """SPACE names exactly the keyword-only arguments of build, with the same defaults, types included."""
    module = models.get(family)
    arguments = list(inspect.signature(module.build).parameters.values())
    assert [a.name for a in arguments[:3]] == ["shape", "n_classes", "padded"]
    assert arguments[2].default is False
    assert all(a.kind is inspect.Parameter.KEYWORD_ONLY for a in arguments[3:])
    assert {a.name: a.default for a in arguments[3:]} == {n: d.default for n, d in module.SPACE.items()}
    assert all(type(a.default) is type(module.SPACE[a.name].default) for a in arguments[3:])


@pytest.mark.parametrize("family", FAMILIES)
def test_family_shares_no_name_with_training(family: str) -> None:
    """A study file speaks of both kinds of hyperparameters under one heading, so no name may mean two things."""
    assert not models.get(family).SPACE.keys() & TRAINING.keys()


@pytest.mark.parametrize("family", FAMILIES)
def test_training_overrides_known_entries(family: str) -> None:
    """A family overrides only training hyperparameters that exist, and keeps their hard limits."""
    for name, domain in models.training(family).items():
        known = TRAINING[name]
        assert (domain.at_least, domain.at_most, domain.allowed) == (known.at_least, known.at_most, known.allowed)


@pytest.mark.parametrize("family", FAMILIES)
def test_space_lies_within_its_own_limits(family: str) -> None:
    """Every extreme value and default of SPACE is within at_least, at_most and allowed."""
    module = models.get(family)
    for name, domain in module.SPACE.items():
        for value in (*space.ends(domain), domain.default):
            if isinstance(value, int | float):
                assert domain.at_least is None or value >= domain.at_least, name
                assert domain.at_most is None or value <= domain.at_most, name
            assert domain.allowed is None or value in domain.allowed, name


@family_and_shape
def test_default_space_holds_only_settings_that_can_be_built(family: str, shape: tuple[int, int]) -> None:
    """Every corner of the clipped space, 20 settings out of it and its defaults pass the family's check."""
    domains = models.default_space(family, shape, 5)
    assert domains.keys() == models.get(family).SPACE.keys()
    for setting in [*islice(space.corners(domains), 20_000), *sampled(domains, 20), space.defaults(domains)]:
        models.get(family).check(shape, 5, **setting)


@pytest.mark.parametrize("family", FAMILIES)
@given(timesteps=st.integers(models.SHORTEST_WINDOW, 3000), channels=st.integers(1, 64), seed=st.integers(0, 999))
def test_any_window_has_a_default_space(family: str, timesteps: int, channels: int, seed: int) -> None:
    """Prime lengths, tiny windows, many channels: what is drawn from the clipped space passes the check."""
    shape = (timesteps, channels)
    domains = models.default_space(family, shape, 2)
    models.get(family).check(shape, 2, **space.defaults(domains))
    rng = np.random.default_rng(seed)
    for _ in range(5):
        models.get(family).check(shape, 2, **space.sample(domains, rng))


@family_and_shape
def test_clipping_only_narrows(family: str, shape: tuple[int, int]) -> None:
    """The clipped space keeps hard limits, its defaults belong to it, and clipping it again changes nothing."""
    module = models.get(family)
    domains = models.default_space(family, shape, 5)
    for name, domain in domains.items():
        original = module.SPACE[name]
        assert (domain.at_least, domain.at_most, domain.allowed, domain.when) == (
            (original.at_least, original.at_most, original.allowed, original.when)
        )  # fmt: skip
        assert space.clip(domain, domain.default) == domain.default
    assert module.clip(domains, shape, 5) == domains


@pytest.mark.parametrize("family", FAMILIES)
def test_check_refuses_what_no_window_could_have(family: str) -> None:
    """An unknown name and a value of the wrong kind are both named, in one error."""
    name = next(iter(models.get(family).SPACE))
    nothing = cast(Scalar, None)
    with pytest.raises(ValueError, match=f"bogus is no hyperparameter.*; {name} = None must be"):
        models.get(family).check((128, 9), 6, **{"bogus": 1, name: nothing})


@pytest.mark.parametrize("family", FAMILIES)
def test_build_checks_first(family: str) -> None:
    """A value below its hard limit ends build with the sentence of check, and no Keras error."""
    name, domain = next((n, d) for n, d in models.get(family).SPACE.items() if d.at_least is not None)
    with pytest.raises(ValueError, match=f"{name} = -1 must be at least {domain.at_least:g}"):
        models.get(family).build((128, 9), 6, **{name: -1})


@pytest.mark.parametrize("index", range(1 + SAMPLES + CORNERS))
@pytest.mark.parametrize("family", FAMILIES)
def test_setting_builds_trains_and_survives_saving(family: str, index: int, tmp_path: Path) -> None:
    """A setting of the clipped space builds from built-in layers only, trains a step, and reloads in safe mode.

    Its output is one row of probabilities for each window, and the reloaded model's is the same to the last bit.
    """
    import keras

    domains = models.default_space(family, SMALL, CLASSES)
    setting = [space.defaults(domains), *sampled(domains, SAMPLES), *some_corners(domains, CORNERS)][index]
    keras.utils.set_random_seed(index)
    rng = np.random.default_rng(index)
    x = rng.normal(size=(BATCH, *SMALL)).astype(np.float32)
    y = rng.integers(CLASSES, size=BATCH)

    model = models.get(family).build(SMALL, CLASSES, **setting)
    assert not model.compiled
    assert model.input_shape == (None, *SMALL)
    assert model.output_shape == (None, CLASSES)
    assert all(type(layer).__module__.startswith("keras.") for layer in model.layers)
    assert not any(isinstance(layer, keras.layers.Lambda | keras.layers.Masking) for layer in model.layers)

    # all but the defaults eagerly: one step costs less than tracing it
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=index > 0)
    before = [weight.copy() for weight in model.get_weights()]
    assert np.isfinite(model.train_on_batch(x, y))
    assert any(not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))

    probabilities = np.asarray(model(x, training=False))
    assert probabilities.shape == (BATCH, CLASSES)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=0, atol=1e-5)

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    np.testing.assert_array_equal(np.asarray(loaded(x, training=False)), probabilities)


def test_unknown_family_names_the_nearest() -> None:
    """A misspelt family ends in a usage error with the nearest name and the whole list."""
    with pytest.raises(UsageError, match=r"unknown model family 'convlstm': did you mean 'conv_lstm'.*known: "):
        models.get("convlstm")


@pytest.mark.parametrize("name", ["_blocks", "__init__", "conv_lstm.build", ""])
def test_helpers_are_no_families(name: str) -> None:
    """Only the files of families count as names."""
    with pytest.raises(UsageError, match="unknown model family"):
        models.default_space(name, (128, 9), 6)


@pytest.mark.parametrize("family", FAMILIES)
def test_short_windows_are_refused(family: str) -> None:
    """Windows too short for a default space say how long they must be."""
    with pytest.raises(DataError, match="windows have 7 time steps; the model families need at least 8"):
        models.default_space(family, (7, 1), 2)


def test_source_hash_covers_family_and_helpers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hash changes with the family's file and with a shared helper, and with nothing else in the folder."""
    folder = Path(models.__file__).parent
    for file in folder.glob("*.py"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    hashes = {name: models.source_sha256(name) for name in FAMILIES}
    assert len(set(hashes.values())) == len(FAMILIES)
    monkeypatch.setattr(models, "__file__", str(tmp_path / "__init__.py"))
    first, second = FAMILIES[:2]
    assert models.source_sha256(first) == hashes[first]
    (tmp_path / f"{first}.py").write_text("other = 1\n")
    assert models.source_sha256(first) != hashes[first]
    assert models.source_sha256(second) == hashes[second]
    (tmp_path / "_blocks.py").write_text("other = 1\n")
    assert models.source_sha256(second) != hashes[second]
