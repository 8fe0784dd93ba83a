"""The model families: one file each, which holds its hyperparameters, its rules and its builder.

Importing a family does not import Keras; only its `build` does. Files that open with an underscore are shared helpers.
"""

from __future__ import annotations

import hashlib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from hpo import folders
from hpo.errors import DataError, UsageError, nearest
from hpo.space import Scalar, Space

if TYPE_CHECKING:
    import keras

# time steps; the shortest windows for which every family has a default space
SHORTEST_WINDOW = 8


class Family(Protocol):
    """What a module of this folder offers. Shapes are (timesteps, channels) of one window.

    Attributes:
        SPACE: every keyword-only argument of `build`, with its published default, its default range for windows of any
            shape, and its hard limits.
        TRAINING: the entries of `hpo.training.TRAINING` that this family overrides.
    """

    SPACE: Space
    TRAINING: Space

    def clip(self, space: Space, shape: tuple[int, int], n_classes: int) -> Space:
        """`space` narrowed until every combination in it passes `check` for windows of this shape."""

    def check(self, shape: tuple[int, int], n_classes: int, **params: Scalar) -> None:
        """Says whether `build` would succeed, without Keras. Hyperparameters left out have their default.

        Raises:
            ValueError: it would not; one sentence for each reason, which names the hyperparameter and the numbers.
        """

    def build(self, shape: tuple[int, int], n_classes: int, padded: bool = False, /, **params: Scalar) -> keras.Model:
        """An uncompiled functional model of built-in layers.

        It takes float32 (batch, timesteps, channels) and returns probabilities, float32 (batch, n_classes). With
        `padded`, windows may be shorter than `timesteps`: steps of NaN at their end are not there, and no score
        depends on what a layer makes of them. The weights are the same.

        Raises:
            ValueError: the setting does not pass `check`.
        """


def family_names() -> list[str]:
    """Sorted names of all families."""
    return folders.names("models")


def get(name: str) -> Family:
    """The family called `name`.

    Raises:
        UsageError: there is none; the message lists the nearest names and all of them.
    """
    names = family_names()
    if name not in names:
        raise UsageError(f"unknown model family {name!r}: {nearest(name, names)}")
    return cast(Family, import_module(f"{__name__}.{name}"))


def default_space(name: str, shape: tuple[int, int], n_classes: int) -> Space:
    """The default space of a family for windows of (timesteps, channels): every combination in it can be built.

    Raises:
        UsageError: there is no such family.
        DataError: the windows are shorter than `SHORTEST_WINDOW`.
    """
    family = get(name)
    if shape[0] < SHORTEST_WINDOW:
        raise DataError(f"windows have {shape[0]} time steps; the model families need at least {SHORTEST_WINDOW}")
    return family.clip(dict(family.SPACE), shape, n_classes)


def training(name: str) -> Space:
    """The training hyperparameters that a family overrides, for `hpo.training.training_space`.

    Raises:
        UsageError: there is no such family.
    """
    return dict(get(name).TRAINING)


def import_layers() -> None:
    """Imports Keras and all that `build` needs, so that a process forked from this one has it. Initialises nothing."""
    for module in ["_blocks", *family_names()]:
        import_module(f"{__name__}.{module}")


def source_sha256(name: str) -> str:
    """SHA-256 of the source that defines a family: its own file and the shared helpers of this folder.

    Two workers whose hashes agree build the same models from the same parameters.

    Raises:
        UsageError: there is no such family.
    """
    get(name)
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for file in [folder / f"{name}.py", *sorted(folder.glob("_[!_]*.py"))]:
        digest.update(f"{file.name}\0{file.stat().st_size}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()
