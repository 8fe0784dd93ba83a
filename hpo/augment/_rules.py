"""What the augmentations share about their hyperparameters. No TensorFlow."""

from hpo.space import Fixed


def off(*, at_most: float) -> Fixed:
    """An amount that is 0 unless a study file says otherwise."""
    return Fixed(default=0.0, at_least=0.0, at_most=at_most)


def fits_every_study(channels: int, *, triples: bool, scaling: str) -> str | None:
    """The `unfit` of an augmentation that any window can stand."""
    return None
