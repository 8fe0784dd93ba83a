"""How labels are spelled: which texts are one number, and when text is text. For training and for predicting alike."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Longer ones are beyond what a float can hold; Python itself refuses thousands of digits.
_WHOLE = re.compile(r"([+-]?[0-9]{1,300})(\.0*)?")


def number(text: str) -> int | float | None:
    """The number in `text`, whole ones exactly; None where there is none, as in ``1_1``, which Python would read as 11.

    Infinite and NaN are numbers too.
    """
    if whole := _WHOLE.fullmatch(text):
        return int(whole[1])
    if "_" in text:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return int(value) if math.isfinite(value) and value == int(value) else value


def as_label(text: str) -> str:
    """A number in its shortest form, so that "1", "1.0" and "1.0000000e+00" are one label; other text as it is."""
    value = number(text)
    return text if value is None or (isinstance(value, float) and not math.isfinite(value)) else str(value)


def decoded(array: NDArray[Any]) -> NDArray[Any]:
    """Bytes (dtype S) as the UTF-8 text that they are; any other array as it is.

    Raises:
        UnicodeDecodeError: they are no such text.
    """
    return np.strings.decode(array, "utf-8") if array.dtype.kind == "S" else array


class Names:
    """What a file may call each class: its name; where only one class is meant, the same number in another spelling;
    and where no class is called by a number, its position.

    Args:
        classes: names in label order.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._exact = {name: k for k, name in enumerate(classes)}
        spelt = [as_label(name.strip()) for name in classes]
        often = Counter(spelt)
        self._spelt = {name: k for k, name in enumerate(spelt) if often[name] == 1}
        if all(number(name) is None for name in spelt):
            self._spelt |= {str(k): k for k in range(len(classes))}

    def find(self, label: str) -> int | None:
        """The position of the class that is meant, white space around it left out; None where there is no such."""
        exact = self._exact.get(label, self._exact.get(label.strip()))
        return self._spelt.get(as_label(label.strip())) if exact is None else exact
