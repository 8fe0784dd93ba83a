"""Specs: a trial that is trained again gets the very spec that it was trained with."""

from pathlib import Path

import pytest

from hpo.errors import UsageError
from hpo.settings import Times
from hpo.specify import recorded, specify
from hpo.store import Claims
from tests.support import claimed, completed, create, definition, open_store


def test_the_record_gives_the_claim_back(tmp_path: Path) -> None:
    """What a worker was handed stands in the database afterwards, to the last bit, and so does its spec."""
    store = open_store(tmp_path)
    create(store, definition(train={"max_epochs": 3}))
    claims = Claims(store, "s", "a", Times())
    for _ in range(3):
        claim = claimed(claims)
        claims.finish(claim, completed())
        again = recorded(store.study("s"), store.trial("s", claim.number))
        assert again == claim
        assert specify(store.study("s"), again, (), tmp_path) == specify(claims.record, claim, (), tmp_path)


def test_a_trial_that_has_not_begun_has_no_record(tmp_path: Path) -> None:
    """A queued trial has neither seed nor all of its parameters."""
    store = open_store(tmp_path)
    create(store, definition())
    with pytest.raises(UsageError, match=r"trial 0 of study 's' has not begun yet \(it is waiting\)"):
        recorded(store.study("s"), store.trial("s", 0))
