"""Settings carried from one study into another: exactly as they are, or with every reason why not."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.search import Spaces, Suggestion, default_params, params_of
from hpo.space import Params, Scalar, choice, sample
from hpo.transfer import transfer
from tests.searching import LSTM, ONE

WIDE: Spaces = {"lstm": LSTM, "fcn": {"filters": choice(8, 16, default=8), "learning_rate": LSTM["learning_rate"]}}
SETTING: Params = {
    "recurrent_dropout": 0.2, "cell": "lstm", "units": 64, "steps": 20, "batch_size": 16,
    "learning_rate": 0.001, "attention": False, "schedule": "plateau",
}  # fmt: skip
HELD: Params = {"recurrent_dropout": 0.1, "schedule": "plateau"}  # what does not count, and what is fixed


def why_not(changes: Mapping[str, Scalar], spaces: Spaces = ONE, family: str = "lstm") -> list[str]:
    """What keeps a changed setting out of the study."""
    params, misfits = transfer(family, {**SETTING, **changes}, spaces)
    assert bool(misfits) == (params == {})
    return [str(misfit) for misfit in misfits]


@given(st.integers(0, 2**32), st.sampled_from([ONE, WIDE]))
def test_a_setting_of_the_study_fits_it(seed: int, spaces: Spaces) -> None:
    """Whatever a trial was trained with can be trained again, to the last bit, from its full setting."""
    for family, space in spaces.items():
        setting = sample(space, np.random.default_rng(seed))
        params, misfits = transfer(family, setting, spaces)
        assert misfits == []
        assert params_of(params, spaces) == Suggestion(family, setting)


def test_names_follow_the_study() -> None:
    """With several families the names carry their family, with one they do not."""
    assert transfer("lstm", SETTING, ONE)[0]["units"] == 64
    assert transfer("lstm", SETTING, WIDE)[0] == {"family": "lstm"} | {
        f"lstm.{name}": value for name, value in SETTING.items() if name != "schedule"
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"units": 256}, "units: got 256 (whole number); accepted: from 8 to 128"),
        ({"units": 64.0}, "units: got 64.0 (decimal number); accepted: from 8 to 128"),
        ({"steps": 25}, "steps: got 25 (whole number); accepted: from 10 to 36"),
        ({"batch_size": 64}, "batch_size: got 64 (whole number); accepted: one of 16, 32"),
        ({"attention": 0}, "attention: got 0 (whole number); accepted: one of true, false"),
        ({"schedule": "cosine"}, "schedule: got 'cosine' (text); it is fixed at 'plateau' (text)"),
        ({"unit": 3}, "unit: got 3 (whole number); lstm has no such hyperparameter; did you mean 'units'?"),
        (
            {"cell": "gru"},
            "recurrent_dropout: got 0.2 (decimal number); it counts only when cell is lstm, and is 0.1",
        ),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Scalar], reason: str) -> None:
    """What it has, and what the study has there; nothing is moved to the nearest value."""
    (found,) = why_not(changes)
    assert found.startswith(reason)


def test_every_reason_at_once() -> None:
    """All that is in the way, not the first of it."""
    found = why_not({"units": 256, "schedule": "cosine", "unit": 3})
    assert sorted(reason.split(":")[0] for reason in found) == ["schedule", "unit", "units"]


def test_a_family_that_is_not_searched() -> None:
    """No other reason makes sense then."""
    assert why_not({}, family="gru") == ["model: got 'gru' (text); accepted: lstm"]


def test_what_is_left_out_is_the_studys_own() -> None:
    """A file that says nothing of a hyperparameter contradicts no study: it has the default there, or what is fixed."""
    params, misfits = transfer("lstm", {"units": 64}, ONE)
    assert misfits == []
    assert params_of(params, ONE).params == {**default_params(ONE, "lstm"), "units": 64, **HELD}
    assert transfer("lstm", {}, ONE)[0] == default_params(ONE, "lstm")


def test_whole_numbers_become_decimal_ones() -> None:
    """A file may say 1 where the study has a range of decimal numbers, and 16.0 where a choice is 16."""
    spaces = {"lstm": LSTM | {"learning_rate": choice(1.0, 0.5, default=0.5)}}
    params, misfits = transfer("lstm", SETTING | {"learning_rate": 1, "batch_size": 16.0}, spaces)
    assert misfits == []
    assert (repr(params["learning_rate"]), repr(params["batch_size"])) == ("1.0", "16")
