"""What was found for a study to begin with."""

from dataclasses import dataclass

from hpo.store import Prior, Start

# Of [train], what a score does not depend on.
FREE = frozenset({"threads", "stall_minutes"})


@dataclass(frozen=True)
class Knowledge:
    """What a study begins with.

    Attributes:
        starts: settings to be tried first. priors: trials of other studies for its sampler to learn from.
        lines: what was found, and why not more, in words.
    """

    starts: tuple[Start, ...] = ()
    priors: tuple[Prior, ...] = ()
    lines: tuple[str, ...] = ()
