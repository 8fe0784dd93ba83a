"""Search spaces and studies in memory that several tests need."""

import optuna
from optuna.pruners import BasePruner, NopPruner

from hpo import samplers
from hpo.search import Spaces, Suggestion, suggest
from hpo.space import Choice, Fixed, Float, Int, Scalar, Space, choice, counts, fixed, same

LSTM: Space = {
    # the child stands before its parent on purpose
    "recurrent_dropout": Float(low=0.1, high=0.3, default=0.1, when={"cell": ("lstm",)}),
    "cell": choice("lstm", "gru", default="gru"),
    "units": Int(low=8, high=128, log=True, default=100),
    "steps": Int(low=10, high=36, step=10, default=20),
    "batch_size": choice(16, 32, default=32),
    "learning_rate": Float(low=1e-4, high=1e-2, log=True, default=1e-3),
    "attention": choice(True, False, default=False),
    "schedule": fixed("plateau"),
}
CNN: Space = {
    "units": Int(low=1, high=4, default=2),
    "learning_rate": Float(low=1e-5, high=1e-3, log=True, default=1e-3),
    "pool": Choice(values=(2,), default=2),
    "schedule": fixed("cosine"),
}
# no condition and no end of settings; nothing but numbers
NUMBERS: Space = {
    "units": Int(low=8, high=128, log=True, default=100),
    "steps": Int(low=10, high=40, step=10, default=20),
    "dropout": Float(low=0.0, high=0.5, default=0.5),
    "learning_rate": Float(low=1e-4, high=1e-2, log=True, default=1e-3),
    "schedule": fixed("plateau"),
}
# a condition, and 2 * (3 + 1) settings
FINITE: Space = {
    "cell": choice("lstm", "gru", default="gru"),
    "heads": Int(low=1, high=3, default=1, when={"cell": ("lstm",)}),
    "learning_rate": choice(1e-3, 1e-2, default=1e-3),
    "schedule": fixed("plateau"),
}
ONE: Spaces = {"lstm": LSTM}
TWO: Spaces = {"lstm": LSTM, "cnn": CNN}
KINDS: dict[str, Spaces] = {
    "one family": ONE,
    "two families": TWO,
    "numbers": {"cnn": NUMBERS},
    "finite": {"lstm": FINITE},
    "two finite": {"cnn": FINITE, "lstm": FINITE | {"learning_rate": fixed(1e-3)}},
}


def new_study(
    spaces: Spaces = ONE, *, seed: int = 0, pruner: BasePruner | None = None, sampler: str = "tpe"
) -> optuna.Study:
    """A study in memory that is to be maximised."""
    made = samplers.get(sampler).make(spaces, samplers.seeds(study=seed, trial=seed))
    return optuna.create_study(direction="maximize", sampler=made, pruner=pruner or NopPruner())


def run(study: optuna.Study, spaces: Spaces, trials: int) -> list[Suggestion]:
    """So many trials, whose value is their learning rate."""
    found = []
    for _ in range(trials):
        trial = study.ask()
        suggestion = suggest(trial, spaces)
        found.append(suggestion)
        study.tell(trial, float(suggestion.params["learning_rate"]))
    return found


def check(suggestion: Suggestion, spaces: Spaces) -> None:
    """Fails unless it is a full setting that lies in the space and follows its conditions."""
    space = spaces[suggestion.family]
    assert set(suggestion.params) == set(space)
    for name, domain in space.items():
        value: Scalar = suggestion.params[name]
        if not counts(domain, suggestion.params):
            assert same(value, domain.default)
            continue
        match domain:
            case Fixed():
                assert same(value, domain.default)
            case Choice():
                assert any(same(value, v) for v in domain.values)
            case Int():
                assert type(value) is int
                assert value in range(domain.low, domain.high + 1, domain.step)
            case Float():
                assert type(value) is float
                assert domain.low <= value <= domain.high
