"""Who won on validation: the configurations of a plan by their mean over fresh seeds. Pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hpo.evaluation.compare import Paired, Spread, paired, spread
from hpo.evaluation.plan import by_key
from hpo.resolve import split_params
from hpo.scores import METRICS
from hpo.search import Spaces, params_of
from hpo.store import Configuration, Plan, TrialRecord


@dataclass(frozen=True)
class Ranked:
    """A configuration and what became of its trials.

    Attributes:
        trials: one for each seed of the plan, in its order; None where there is none yet.
    """

    configuration: Configuration
    trials: tuple[TrialRecord | None, ...]

    @property
    def values(self) -> dict[int, float]:
        """Index of the seed -> score, for the trials that completed."""
        return {
            index: trial.value
            for index, trial in enumerate(self.trials)
            if trial is not None and trial.state == "complete" and trial.value is not None
        }

    @property
    def score(self) -> Spread:
        """Over the seeds that completed."""
        return spread(list(self.values.values()))

    @property
    def lacking(self) -> tuple[str, ...]:
        """Why seeds have no score, one word or two for each of them."""
        done = self.values
        return tuple(
            "not trained" if trial is None or trial.cause is None else trial.cause.value
            for index, trial in enumerate(self.trials)
            if index not in done
        )


def rank(plan: Plan, trials: Sequence[TrialRecord], metric: str) -> list[Ranked]:
    """The plan's configurations, the best mean first.

    One that lost a seed (diverged, out of memory, ...) comes behind all that did not: it cannot be relied upon, and
    its mean leaves out its worst seed. Of equal ones the search's favourite comes first.
    """
    found = by_key(trials)
    sign = 1.0 if METRICS[metric] == "maximize" else -1.0
    ranked = [
        Ranked(c, tuple(found.get((c.key, index)) for index in range(len(plan.seeds)))) for c in plan.configurations
    ]
    return sorted(ranked, key=lambda r: (len(r.lacking), -sign * (r.score.mean or 0.0)))


def versus(winner: Ranked, other: Ranked, metric: str) -> Paired:
    """The winner against another one, over the seeds that both completed."""
    ours, theirs = winner.values, other.values
    common = sorted(ours.keys() & theirs.keys())
    return paired([ours[i] for i in common], [theirs[i] for i in common], metric)


def described(ranked: Ranked, spaces: Spaces) -> dict[str, Any]:
    """A configuration as reports have it."""
    configuration = ranked.configuration
    suggestion = params_of(configuration.params, spaces)
    model, training = split_params(suggestion.params)
    return {
        "configuration": configuration.key,
        "trial": configuration.trial,
        "search_value": configuration.value,
        "searched": dict(configuration.params),
        "model": suggestion.family,
        "params": model,
        "train": training,
        "validation": {**asdict(ranked.score), "values": [ranked.values.get(i) for i in range(len(ranked.trials))]},
        "lacking": list(ranked.lacking),
    }


def comparison(ranking: Sequence[Ranked], metric: str) -> dict[str, Any] | None:
    """The winner against the runner-up as reports have it; None without a runner-up.

    It may be worse than a runner-up that lost more seeds, on the seeds that both completed.
    """
    if len(ranking) < 2:
        return None
    found = versus(ranking[0], ranking[1], metric)
    return {
        "winner": ranking[0].configuration.trial,
        "runner_up": ranking[1].configuration.trial,
        **asdict(found),
        "verdict": found.verdict,
    }
