"""The cards of a report's first screen: what an evaluation found, each in a word and a colour."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from hpo.report import gather
from hpo.report.answer import answer
from hpo.report.gather import Found
from hpo.store import Store
from tests.report.made import evaluate, fill, study
from tests.support import copies


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Found]:
    """An evaluated study."""
    folder = tmp_path_factory.mktemp("evaluated")
    with Store(f"sqlite:///{folder / 'hpo.db'}", create=True) as store:
        record = study(store)
        fill(store, record, folder, 8)
        evaluate(store, record)
        yield gather(store, "s", copies(folder))


@pytest.mark.parametrize(
    ("off", "words", "tone"),
    [
        (0.01, "chance explains it", ""),
        (-0.01, "chance explains it", ""),
        (0.3, "more than chance explains", "bad"),
        (-0.3, "", ""),
    ],
)
def test_chance_explains_what_is_within_it(evaluated: Found, off: float, words: str, tone: str) -> None:
    """Whichever way validation was off; a warning is only what was too good.

    Of what was too modest no more is said: an older hpo's reports have the chance of the other side.
    """
    report = evaluated.evaluation or {}
    optimism = {"search": 0.1, "validation": off, "chance": 0.05, "beyond": off > 0.05}
    said = answer(replace(evaluated, evaluation=report | {"optimism": optimism}))
    assert [(card.note, card.tone) for card in said.cards if card.label == "validation was"] == [(words, tone)]


@pytest.mark.parametrize(("verdict", "tone"), [("better", "good"), ("worse", "bad"), ("not distinguishable", "")])
def test_the_verdict_on_the_runner_up(evaluated: Found, verdict: str, tone: str) -> None:
    """In the word and in the colour that it has everywhere; a winner may be worse than one that lost a seed."""
    report = evaluated.evaluation or {}
    compared = report["comparison"] | {"verdict": verdict}
    said = answer(replace(evaluated, evaluation=report | {"comparison": compared}))
    cards = [card for card in said.cards if card.label.startswith("against the runner-up")]
    assert [(card.text, card.tone) for card in cards] == [(verdict, tone)]


def test_a_baselines_score_is_told_with_its_metric(evaluated: Found) -> None:
    """Where it is another one than the study's: beside a loss, an accuracy could be taken for one."""
    report = evaluated.evaluation or {}
    score = report["against"][0]["score"]
    for metric, words in (("accuracy", ""), ("loss", "accuracy ")):
        labels = [card.label for card in answer(replace(evaluated, evaluation=report | {"metric": metric})).cards]
        assert f"against the best baseline, MiniRocket: {words}{score:.4f}" in labels
