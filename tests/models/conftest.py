"""Every model of these tests begins with the same weights, whichever tests ran before."""

import pytest


@pytest.fixture(autouse=True)
def _seed() -> None:
    """Keras's, NumPy's and Python's own generators."""
    import keras

    keras.utils.set_random_seed(3)
