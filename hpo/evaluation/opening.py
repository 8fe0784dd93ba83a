"""The process that opens the test part: predicts it with every refitted model and every baseline, and scores nothing.

It gets folders and no database. What it predicts is written file by file, so that one that was killed goes on. It says
a line on its standard output for everything that it begins and ends.
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from hpo import data
from hpo.errors import DataError
from hpo.evaluation.baselines import BASELINES, Task, scale

LABELS, GROUPS = "y.npy", "groups.npy"
Array = NDArray[Any]


class Request(BaseModel):
    """What to predict.

    Attributes:
        data_sha256, cache: where the arrays are.
        folder: takes the results: `LABELS`, `GROUPS` where there are any, and what the two below name.
        models: file of a model -> file name of its probabilities, float32 (n, classes).
        baselines: name of a baseline -> file name of its probabilities.
    """

    model_config = ConfigDict(frozen=True)

    data_sha256: str
    cache: str
    folder: str
    models: dict[str, str]
    baselines: dict[str, str]
    classes: int
    scaling: Literal["channel", "sample", "none"]
    threads: int


class Said(BaseModel):
    """A line of its output: something is done, was left out for a reason, or (without a name) all came to an end.

    Attributes:
        error: of the last line, where it could not be done.
    """

    name: str
    seconds: float = 0.0
    left_out: str = ""
    error: str = ""


def predict(request: Request, say: Callable[[Said], None]) -> None:
    """Opens the test part and predicts all of it. What lies in the folder already is left as it is.

    Raises:
        DataError: arrays are missing or damaged.
    """
    folder = Path(request.folder)
    folder.mkdir(parents=True, exist_ok=True)
    test = data.open_test(request.data_sha256, Path(request.cache))
    _write(folder / LABELS, np.asarray(test.y))
    if test.groups is not None:
        _write(folder / GROUPS, np.asarray(test.groups))
    for file, name in request.models.items():
        _made(folder / name, f"refit {Path(file).parent.name}", partial(_modelled, file, test.x), say)
    missing = [
        b for b in BASELINES if b.name in request.baselines and not (folder / request.baselines[b.name]).exists()
    ]
    if not missing:
        return
    train = data.open_train(request.data_sha256, Path(request.cache))
    known, asked = scale(train.x, test.x, request.scaling)
    task = Task(x=known, y=np.asarray(train.y), asked=asked, classes=request.classes)
    for baseline in missing:
        reason = baseline.refuse(task)
        if reason is not None:
            say(Said(name=baseline.name, left_out=reason))
            continue
        try:
            _made(folder / request.baselines[baseline.name], baseline.name, partial(baseline.predict, task), say)
        except Exception as error:  # noqa: BLE001 - whatever a library raises must not cost what the look was for
            say(Said(name=baseline.name, left_out=f"{type(error).__name__}: {error}"))


def _modelled(file: str, x: Array) -> Array:
    import keras

    from hpo import models
    from hpo.callbacks import predict as forward

    models.import_layers()
    return forward(keras.saving.load_model(file, compile=False, safe_mode=True), x)


def _made(path: Path, name: str, make: Callable[[], Array], say: Callable[[Said], None]) -> None:
    began = time.perf_counter()
    if not path.exists():
        _write(path, make())
    say(Said(name=name, seconds=time.perf_counter() - began))


def _write(path: Path, array: Array) -> None:
    """Beside its place first: whoever finds it finds all of it."""
    beside = path.with_name(f".{os.getpid()}.{path.name}")
    np.save(beside, array, allow_pickle=False)
    os.replace(beside, path)


def _watch() -> None:
    """Ends the process when whoever started it is gone: nobody would take the result."""
    sys.stdin.read()
    os._exit(70)


def main() -> None:
    """Reads a request, one line, from standard input, which then has to stay open."""
    request = Request.model_validate_json(sys.stdin.readline())
    threading.Thread(target=_watch, name="watchdog", daemon=True).start()
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print is talk

    def say(said: Said) -> None:
        out.write(said.model_dump_json() + "\n")
        out.flush()

    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(request.threads)
    tf.config.threading.set_inter_op_parallelism_threads(request.threads)
    try:
        predict(request, say)
    except DataError as error:
        say(Said(name="", error=str(error)))
    else:
        say(Said(name=""))


if __name__ == "__main__":
    main()
