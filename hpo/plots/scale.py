"""Ticks of axes: round numbers, and how they are written."""

import math

MOST_DECADES = 4  # beyond which a logarithmic axis has a tick for whole powers only


def ticks(low: float, high: float, *, log: bool, wanted: int = 6) -> list[tuple[float, str]]:
    """Round positions within an axis, with their texts.

    Args:
        low, high: where the axis ends.
        log: its scale is logarithmic.
        wanted: about how many.
    """
    return _powers(low, high) if log else _evenly(low, high, wanted)


def _evenly(low: float, high: float, wanted: int) -> list[tuple[float, str]]:
    if not high > low:
        return [(low, number(low))]
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    values = [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]
    return [(value, f"{value:,.{decimals}f}" if abs(value) < 1e7 else f"{value:.3g}") for value in values]


def _powers(low: float, high: float) -> list[tuple[float, str]]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    decades = last - first
    factors: tuple[int, ...] = (1,) if decades > MOST_DECADES else (1, 3) if decades > 1 else (1, 2, 3, 5, 7)
    values = [factor * 10.0**power for power in range(first, last + 1) for factor in factors]
    return [(value, number(value)) for value in values if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]


def number(value: float) -> str:
    """A number as short as it can be told from its neighbours: 1,000, 0.05, 1e-06."""
    if value and (abs(value) >= 1e7 or abs(value) < 1e-3):
        return f"{value:.3g}"
    return f"{value:,.4f}".rstrip("0").rstrip(".")
