"""The state of a training between two epochs, taken out of Keras's objects and put back.

Keras's own savers leave out the states of seed generators (dropout), the best weights so far and the counters of
callbacks. With them, with an order of windows and augmentations that hang on seed and epoch alone, and on as many
threads of the same kind of processor, a training that goes on ends with the same weights, to the bit.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from numpy.typing import NDArray

# What these callbacks know that their arguments do not say; they forget it when a training begins.
COUNTERS: Mapping[type[keras.callbacks.Callback], tuple[str, ...]] = {
    keras.callbacks.EarlyStopping: ("wait", "best", "best_epoch", "stopped_epoch"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "best", "cooldown_counter"),
}

Facts = dict[str, Any]
Arrays = dict[str, NDArray[Any]]
Callbacks = Sequence[keras.callbacks.Callback]


def take(model: keras.Model, callbacks: Callbacks) -> tuple[Facts, Arrays]:
    """Everything that a training needs to go on, at the end of an epoch.

    Args:
        model: compiled, its optimizer built.
        callbacks: of the training, those in `COUNTERS` at least.
    """
    facts: Facts = {"ended": bool(model.stop_training), "callbacks": {}}
    arrays = {name: variable.numpy() for name, variable in _variables(model).items()}
    for callback in callbacks:
        for kind, names in COUNTERS.items():
            if isinstance(callback, kind):
                facts["callbacks"][type(callback).__name__] = {name: getattr(callback, name) for name in names}
        if isinstance(callback, keras.callbacks.EarlyStopping):
            arrays |= {f"best/{i}": weights for i, weights in enumerate(callback.best_weights or [])}
    return facts, arrays


def fits(model: keras.Model, arrays: Mapping[str, NDArray[Any]]) -> bool:
    """Whether a snapshot is one of this model: as many variables, of the same shapes and types."""
    variables = _variables(model)
    ours = {name: array for name, array in arrays.items() if name.split("/")[0] in ("model", "optimizer")}
    return variables.keys() == ours.keys() and all(
        array.shape == tuple(variables[name].shape) and array.dtype.name == variables[name].dtype
        for name, array in ours.items()
    )


class Resume(keras.callbacks.Callback):
    """Puts a snapshot back when the training begins. Stands last in the list: the others forget everything then.

    Args:
        facts, arrays: from `take`, of a model that the arrays `fits`.
        callbacks: of the training.
    """

    def __init__(self, facts: Facts, arrays: Arrays, callbacks: Callbacks) -> None:
        super().__init__()
        self._facts, self._arrays, self._callbacks = facts, arrays, callbacks

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Puts it back."""
        for name, variable in _variables(self.model).items():
            variable.assign(self._arrays[name])
        for callback in self._callbacks:
            for name, value in self._facts["callbacks"].get(type(callback).__name__, {}).items():
                setattr(callback, name, value)
            if isinstance(callback, keras.callbacks.EarlyStopping):
                best = [name for name in self._arrays if name.startswith("best/")]
                callback.best_weights = [self._arrays[f"best/{i}"] for i in range(len(best))] or None


def _variables(model: keras.Model) -> dict[str, Any]:
    """Weights, statistics of normalisations, states of seed generators; the optimizer's slots, steps and rate."""
    groups = {"model": model.variables, "optimizer": model.optimizer.variables}
    return {f"{group}/{i}": v for group, variables in groups.items() for i, v in enumerate(variables)}
