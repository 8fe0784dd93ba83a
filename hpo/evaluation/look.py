"""Has the test part opened, once, in a process of its own, and reads what that process predicted.

Nothing here decides whether it may be opened.
"""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.errors import DataError, HpoError
from hpo.evaluation.opening import GROUPS, LABELS, Request, Said
from hpo.settings import child_environment

LOG = "log.txt"  # what the process and its libraries say, beside its results

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Seen:
    """What an opened test part gave.

    Attributes:
        y, groups: of its windows, (n,); `groups` None where there are none.
        models: of each refitted model, (n, classes), in the request's order.
        baselines: name -> (n, classes).
        left_out: name of a baseline -> why there is none.
        seconds: of each baseline, by name.
    """

    y: Labels
    groups: Labels | None
    models: list[Probabilities]
    baselines: dict[str, Probabilities]
    left_out: dict[str, str]
    seconds: dict[str, float]


def look(request: Request, said: Callable[[Said], None]) -> Seen:
    """Opens the test part and predicts it; what an earlier, killed look left is used.

    Args:
        request: what to predict.
        said: called with every line of the process, for progress.

    Raises:
        DataError: the test part or the training part is missing or damaged.
        HpoError: the process died, or the folder cannot be written.
    """
    lines = []
    talk = Path(request.folder) / LOG
    talk.parent.mkdir(parents=True, exist_ok=True)
    with (
        talk.open("ab") as log,
        subprocess.Popen(
            [sys.executable, "-m", "hpo.evaluation.opening"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=child_environment(),
            process_group=0,  # a Ctrl-C at the terminal is for us alone; it ends when its input does, and so with us
        ) as process,
    ):
        try:
            if process.stdin is None or process.stdout is None:
                raise HpoError("the process that opens the test part has no pipes")
            process.stdin.write(request.model_dump_json() + "\n")
            process.stdin.flush()
            for line in process.stdout:
                lines.append(Said.model_validate_json(line))
                said(lines[-1])
        finally:
            process.kill()  # it has said all, or nobody listens any more
    if lines and lines[-1].error:
        raise DataError(lines[-1].error)
    if not lines or lines[-1].name:
        raise HpoError(f"the process that opens the test part died; see {talk}. The same command goes on")
    return _read(request, lines)


def _read(request: Request, lines: list[Said]) -> Seen:
    folder = Path(request.folder)
    left_out = {line.name: line.left_out for line in lines if line.left_out}
    return Seen(
        y=_array(folder / LABELS),
        groups=_array(folder / GROUPS) if (folder / GROUPS).exists() else None,
        models=[_array(folder / name) for name in request.models.values()],
        baselines={name: _array(folder / file) for name, file in request.baselines.items() if name not in left_out},
        left_out=left_out,
        seconds={line.name: line.seconds for line in lines},
    )


def _array(path: Path) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(path, allow_pickle=False)
        return array
    except (OSError, ValueError) as error:
        raise HpoError(f"cannot read {path}, which the opening of the test part left: {error}") from error
