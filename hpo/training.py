"""The hyperparameters of training that all families share, with their default space.

Sources: the families' papers and the reviews cited in docs/models.md. A family may override single entries
(recurrent ones learn more slowly and clip their gradients).
"""

from hpo import augment
from hpo.space import Choice, Fixed, Float, Space, choice, fixed

TRAINING: Space = {
    # never searched linearly: nine draws of ten would lie in the top decade
    "learning_rate": Float(low=1e-4, high=1e-2, log=True, default=1e-3, at_least=1e-8, at_most=1.0),
    "batch_size": choice(16, 32, 64, 128, default=64, at_least=1),
    "weight_decay": Float(low=1e-6, high=1e-2, log=True, default=1e-4, at_least=0.0, at_most=1.0),
    "schedule": fixed("plateau", allowed=("plateau", "cosine", "constant")),
    "label_smoothing": Choice(values=(0.0, 0.05, 0.1), default=0.0, at_least=0.0, at_most=0.5),
    # class c weighs (n / (K * n_c)) ** power: 0 counts windows equally, 1 counts classes equally
    "class_weight_power": Fixed(default=0.0, at_least=0.0, at_most=2.0),
    # largest norm of one variable's gradient; 0 is off
    "clipnorm": Fixed(default=0.0, at_least=0.0),
    # epochs over which the learning rate rises from next to nothing; the cosine takes 5 % of its steps at least
    "warm_up": Fixed(default=0.0, at_least=0.0),
    # how slowly the averaged weights follow, which are then validated and kept instead of the last step's; 0 is off
    "ema": Fixed(default=0.0, at_least=0.0, at_most=0.9999),
    **augment.space(),
}


def training_space(overrides: Space, *, n_train: int, optimizer: str) -> Space:
    """The default training space for a family and a training part.

    Args:
        overrides: the family's own entries.
        n_train: windows in the smallest training part of the split. Batches hold at most an eighth of it, so that
            an epoch has at least eight steps; the smallest batch size always stays.
        optimizer: "adam" has no weight decay: the entry is then fixed at 0.
    """
    space = {**TRAINING, **overrides}
    batch = space["batch_size"]
    if isinstance(batch, Choice):
        sizes = tuple(v for v in batch.values if isinstance(v, int) and v <= n_train / 8) or batch.values[:1]
        default = 64 if n_train > 500 else 16
        nearest = min((v for v in sizes if isinstance(v, int)), key=lambda v: abs(v - default))
        if len(sizes) > 1:
            space["batch_size"] = batch.model_copy(update={"values": sizes, "default": nearest})
        else:
            space["batch_size"] = Fixed(default=nearest, at_least=batch.at_least)
    if optimizer == "adam":
        space["weight_decay"] = Fixed(default=0.0, allowed=(0.0,))
    return space
