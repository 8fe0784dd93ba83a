"""The tiny family stands beside the real ones in every test of this folder."""

from types import SimpleNamespace
from typing import Any

import keras
import pytest

from hpo import models


@pytest.fixture(autouse=True)
def tiny_family(monkeypatch: pytest.MonkeyPatch) -> None:
    """A family called "tiny" that is traced in a tenth of a second; the others stay."""

    def build(shape: tuple[int, int], n_classes: int, padded: bool = False, *, units: int) -> Any:
        window = keras.Input(shape)
        x = keras.layers.Dense(units, name="mix")(keras.layers.GlobalAveragePooling1D()(window))
        x = keras.layers.BatchNormalization(momentum=0.5)(x)
        return keras.Model(window, keras.layers.Dense(n_classes, "softmax")(x))

    get = models.get
    source = models.source_sha256
    monkeypatch.setattr(models, "source_sha256", lambda name: "0" * 64 if name == "tiny" else source(name))
    monkeypatch.setattr(models, "get", lambda name: SimpleNamespace(build=build) if name == "tiny" else get(name))
