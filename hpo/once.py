"""One training outside of the fleet: no study, no lease, nothing written to a database."""

from collections.abc import Callable
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

from hpo.child import ChildStartError, Closed, ForkServer
from hpo.errors import MissingExtra
from hpo.trial import Cause, Epoch, Result, Started, TrialSpec


def run(
    spec: TrialSpec,
    log: Path,
    heard: Callable[[Epoch], Cause | None] = lambda epoch: None,
    *,
    server: ForkServer | None = None,
) -> Result:
    """Trains `spec` in a process of its own, and waits for it.

    However this ends, by Ctrl-C as well, the process is gone afterwards.

    Args:
        spec: what to train; its files go to ``spec.artifacts``.
        log: file that takes what the process prints.
        heard: called after every epoch, for progress. A cause that it returns ends the training at its next batch.
        server: starts the process, and stays open for further ones; None starts one for this training alone.

    Raises:
        MissingExtra: TensorFlow is not installed here.
        ChildStartError: no process could be had, or it died before its result.
    """
    if server is None:
        if find_spec("tensorflow") is None:  # looks for it without importing it
            raise MissingExtra("tensorflow", "train", "Training on this machine")
        with closing(ForkServer(log=log.with_name("forkserver.log"))) as own:
            return run(spec, log, heard, server=own)
    child = server.start(spec, log)
    try:
        while True:
            match child.receive(timeout=1.0):
                case Epoch() as epoch:
                    if (cause := heard(epoch)) is not None:
                        child.stop(cause)
                case Result() as result:
                    return result
                case Started() | None:
                    pass
    except Closed as error:
        raise ChildStartError(f"the process of trial {spec.number} died before its result; see {log}") from error
    finally:
        server.end(child)
