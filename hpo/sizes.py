"""How large the models of a search space are, counted by building some of them in a process of its own."""

import json
import subprocess
import sys

import numpy as np

from hpo import models
from hpo.resolve import split_params
from hpo.settings import child_environment
from hpo.space import Choice, Fixed, Params, Space, counts, defaults, ends, order, sample

SAMPLES = 6  # random settings per family, beside the default and the two extremes


def settings(space: Space) -> list[Params]:
    """The published default, the smallest and the largest setting, and some random ones."""
    rng = np.random.default_rng(0)
    extremes: list[Params] = [{}, {}]
    for name in order(space):
        domain = space[name]
        for params, end in zip(extremes, (0, -1), strict=True):
            values = ends(domain)
            if isinstance(domain, Choice) and all(isinstance(v, int | float) for v in values):
                values = tuple(sorted(values, key=float))
            keep = isinstance(domain, Fixed) or not counts(domain, params)
            params[name] = domain.default if keep else values[end]
    return [defaults(space), *extremes, *(sample(space, rng) for _ in range(SAMPLES))]


def parameter_counts(spaces: dict[str, Space], shape: tuple[int, int], n_classes: int) -> dict[str, list[int]] | None:
    """Family -> weights of some of its models, the published default first. None where Keras is not installed.

    Takes seconds: a child imports TensorFlow.
    """
    request = {
        "shape": list(shape),
        "n_classes": n_classes,
        "settings": {
            family: [split_params(setting)[0] for setting in settings(space)] for family, space in spaces.items()
        },
    }
    done = subprocess.run(
        [sys.executable, "-m", "hpo.sizes"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        env=child_environment(),
        check=False,
    )
    if done.returncode != 0:
        return None
    counted: dict[str, list[int]] = json.loads(done.stdout.splitlines()[-1])
    return counted


def main() -> None:
    """The child: reads the request from stdin, writes counts to stdout."""
    request = json.load(sys.stdin)
    shape = (request["shape"][0], request["shape"][1])
    counted = {
        family: [models.get(family).build(shape, request["n_classes"], **s).count_params() for s in some]
        for family, some in request["settings"].items()
    }
    sys.stdout.write(json.dumps(counted) + "\n")


if __name__ == "__main__":
    main()
