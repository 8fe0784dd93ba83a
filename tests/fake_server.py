"""A fork server whose children train nothing. What they do stands in the environment variable FAKE, as JSON.

Keys: epochs, pause (seconds per epoch), and lists of trial numbers: bug (raise), die (SIGKILL themselves in their
first attempt), stuck (stay in the first epoch of their first attempt), poison (SIGKILL themselves always), deaf (never
look at orders), mute (say nothing after the start), hog (take memory without end).
files: names of files that every trial writes after its first epoch, a few bytes each; the first is a checkpoint.
full: a list of GPUs on which every trial runs out of memory.
imports: seconds that the server needs before it forks anything.
versions: what results say of versions. stillborn: true ends every child before it comes to work.
Every start is a line in the file FAKE_DIARY: number, attempt, pid, seed, and the GPU that it sees (- for none).
"""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hpo.forkserver import Server, Work
from hpo.trial import Cause, Epoch, Result, TrialSpec

PLAN = json.loads(os.environ.get("FAKE", "{}"))


def listed(what: str, spec: TrialSpec) -> bool:
    """Whether the plan has something special for this trial."""
    return spec.number in PLAN.get(what, [])


def hurt(spec: TrialSpec) -> None:
    """Ends or holds the process after an epoch, where the plan says so."""
    while listed("stuck", spec) and spec.attempt == 1:
        time.sleep(0.05)
    if (listed("die", spec) and spec.attempt == 1) or listed("poison", spec):
        os.kill(os.getpid(), signal.SIGKILL)


def train(spec: TrialSpec, report: Callable[[Epoch], None], stop: Callable[[], Cause | None]) -> Result:
    """Reports a few epochs; the score is a function of the learning rate."""
    diary = os.environ.get("FAKE_DIARY")
    if diary:
        with open(diary, "a") as file:  # noqa: PTH123 - one write in append mode, whole even from two processes
            gpu = os.environ.get("CUDA_VISIBLE_DEVICES") or "-"
            file.write(f"{spec.number} {spec.attempt} {os.getpid()} {spec.seed} {gpu}\n")
    if os.environ.get("CUDA_VISIBLE_DEVICES") in PLAN.get("full", []):
        return Result(cause=Cause.OUT_OF_MEMORY, detail="ResourceExhaustedError")
    taken = []
    while listed("hog", spec):
        taken.append(bytearray(10 << 20))
    if PLAN.get("files"):
        print("found", *sorted(path.name for path in Path(spec.artifacts).glob("[!.l]*")), flush=True)  # noqa: T201 - into the log
    if listed("bug", spec):
        raise RuntimeError("planted bug")
    value = 1.0 - float(spec.training["learning_rate"])
    for epoch in range(PLAN.get("epochs", 2)):
        until = time.monotonic() + PLAN.get("pause", 0.02)
        while time.monotonic() < until:
            time.sleep(0.01)
            if stop() is not None and not listed("deaf", spec):
                return Result(cause=stop() or Cause.PRUNED, epochs=epoch)
        names = PLAN.get("files", [])
        for name in names if epoch == 0 else []:
            (Path(spec.artifacts) / name).write_text(f"{spec.number} {spec.attempt} {name}")
        if not listed("mute", spec):
            report(
                Epoch(
                    fold=0,
                    epoch=epoch,
                    step=epoch,
                    value=value,
                    seconds=0.02,
                    checkpoint=names[0] if names else None,
                    logs={"loss": 1.0 / (epoch + 1), "val_loss": 2.0 / (epoch + 1)},
                )
            )
        hurt(spec)
    seconds = {"fit": 0.04, "total": 0.05}
    versions = PLAN.get("versions", {})
    return Result(cause=Cause.COMPLETED, value=value, epochs=epoch + 1, seconds=seconds, versions=versions)


def prepare(_: TrialSpec) -> None:
    """What comes before the training."""
    if PLAN.get("stillborn"):
        os._exit(3)


if __name__ == "__main__":
    time.sleep(PLAN.get("imports", 0))
    work = Work(train=train, prepare=prepare, guard=lambda: None)
    Server(socket.socket(fileno=int(sys.argv[1])), work).serve()
