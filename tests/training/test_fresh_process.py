"""The same trial in processes of its own: equal bits, no test data opened, safe before a fork."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hpo.trial import FoldParts, TrialSpec
from tests.training.toy import make, save, windows

# Keras 3.15 hands TensorFlow's arrays to NumPy 2 in an old way, in its own ReduceLROnPlateau.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.timeout(300),
]

# Trains the spec on standard input, once for each seed among the arguments. Prints whether importing initialised
# TensorFlow, the results, and every file that was opened from then on.
PROGRAM = """
import json, sys
import hpo.models._blocks, hpo.objective
from hpo.trial import TrialSpec
from tensorflow.python.eager import context
initialised = context._context is not None and context._context._context_handle is not None
import tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
spec = TrialSpec.model_validate_json(sys.stdin.read())
results = []
for seed in sys.argv[1:]:
    again = spec.model_copy(update={"seed": int(seed)})
    result = hpo.objective.train(again, lambda epoch: None, lambda: None)
    results.append(result.model_dump(mode="json"))
print(json.dumps({"initialised": initialised, "results": results, "opened": opened}))
"""


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrialSpec, list[dict[str, Any]]]:
    """Two fresh processes: one trains seed 7, the other seeds 7 and 8, with dropout, on two folds of one cache."""
    cache = tmp_path_factory.mktemp("cache")
    folds = [
        FoldParts(
            train=save(cache / f"fold{k}" / "train", *windows(32, seed=k)),
            stopping=save(cache / f"fold{k}" / "stopping", *windows(8, seed=k + 5)),
            validation=save(cache / f"fold{k}" / "validation", *windows(8, seed=k + 9)),
        )
        for k in range(2)
    ]
    save(cache / "test", *windows(8))
    spec = make(
        cache, folds, max_epochs=2, family="lstm", model={"units": 4, "layers": 1, "dense_units": 4, "dropout": 0.5}
    )
    started = []
    for seeds in (["7"], ["7", "8"]):
        own = spec.model_copy(update={"artifacts": str(cache / "-".join(["artifacts", *seeds]))})
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *seeds], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append((process, own.model_dump_json()))
    answers = [process.communicate(text)[0] for process, text in started]
    assert [process.returncode for process, _ in started] == [0, 0]
    return spec, [json.loads(answer.splitlines()[-1]) for answer in answers]


def test_same_spec_same_bits(processes: tuple[TrialSpec, list[dict[str, Any]]]) -> None:
    """In fresh processes the same spec gives the same weights and loss curves to the bit, another seed others."""
    (first,), (second, other) = (answer["results"] for answer in processes[1])
    for name in ("weights_sha256", "curve_sha256"):
        assert first[name] == second[name] != other[name]
        assert len(first[name]) == 64
    assert first["fold_values"] == second["fold_values"]


def test_test_part_is_never_opened(processes: tuple[TrialSpec, list[dict[str, Any]]]) -> None:
    """An audit hook sees every file of the split opened, and none of the test part."""
    spec, answers = processes
    for answer in answers:
        for fold in spec.folds:
            for part in (fold.train, fold.stopping, fold.validation):
                assert f"{part}/x.npy" in answer["opened"]
        test = str(Path(spec.folds[0].train).parents[1] / "test")
        assert [path for path in answer["opened"] if path.startswith(test)] == []


def test_import_is_safe_before_a_fork(processes: tuple[TrialSpec, list[dict[str, Any]]]) -> None:
    """Importing the objective and the layers leaves TensorFlow uninitialised: a fork server's children would hang."""
    assert [answer["initialised"] for answer in processes[1]] == [False, False]
