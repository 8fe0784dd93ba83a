"""A process that holds TensorFlow, imported but not initialised, and forks one child per trial.

A forked child starts training in a fraction of the time that a fresh interpreter needs for its imports, and its end
gives back all the memory that TensorFlow would leak. The server itself must never execute a TensorFlow operation:
every child forked afterwards would hang. It reads requests from one socket, answers with pids and exit statuses, and
takes all its children with it when that socket closes.
"""

import contextlib
import faulthandler
import gc
import json
import logging
import os
import selectors
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from hpo.settings import show_gpus
from hpo.trial import Cause, Epoch, Result, Started, Stop, TrialSpec, decode, encode

REQUEST_LIMIT = 1 << 20  # bytes of one request
ORPHANED = 70  # exit status of a child whose supervisor is gone


@dataclass(frozen=True)
class Work:
    """What children do. Tests pass a stand-in that needs no TensorFlow.

    Attributes:
        train: trains one trial; gets the spec, a function that reports epochs, and one that says whether to stop.
        prepare: first thing in the child: executes one operation.
        guard: in the server, before each fork: why forking would be unsafe, or None.
    """

    train: Callable[[TrialSpec, Callable[[Epoch], None], Callable[[], Cause | None]], Result]
    prepare: Callable[[TrialSpec], None]
    guard: Callable[[], str | None]


class Channel:
    """The child's end of the line to its supervisor. A thread of its own reads it, and ends the process at EOF."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lock = threading.Lock()
        self.cause: Cause | None = None
        threading.Thread(target=self._read, name="watchdog", daemon=True).start()

    def _read(self) -> None:
        try:
            with contextlib.suppress(OSError), self._sock.makefile("rb") as lines:
                for line in lines:
                    message = decode(line)
                    if isinstance(message, Stop):
                        self.cause = message.cause
        finally:
            os._exit(ORPHANED)  # the supervisor is gone: nobody would take the result

    def send(self, message: Epoch | Started | Result) -> None:
        """Sends one message; a supervisor that is gone ends the process."""
        with self._lock:
            try:
                self._sock.sendall(encode(message))
            except OSError:
                os._exit(ORPHANED)


def _say(text: str) -> None:
    """Into the trial's log, which is a courtesy: a full disk must not end the trial."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


def _log_to_stdout() -> None:
    """What our modules log, into the trial's log."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("--- %(message)s"))
    logger = logging.getLogger("hpo")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def run_child(request: dict[str, object], sock: socket.socket, forked: float, work: Work) -> int:
    """Trains the trial of `request` and sends its result. Returns the exit status."""
    with contextlib.suppress(OSError):
        log = os.open(str(request["log"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
    faulthandler.enable()
    _log_to_stdout()
    channel = Channel(sock)
    try:
        spec = TrialSpec.model_validate(request["spec"])
        gpu = f", GPU {spec.device or 'none'}" if spec.device is not None else ""
        _say(f"--- trial {spec.number}, attempt {spec.attempt}, seed {spec.seed}, pid {os.getpid()}{gpu}")
        if spec.device is not None:
            show_gpus(spec.device)
        work.prepare(spec)
        channel.send(Started(seconds=time.monotonic() - forked))

        def report(epoch: Epoch) -> None:
            _say(_line(epoch))
            channel.send(epoch)

        result = work.train(spec, report, lambda: channel.cause)
    except Exception:  # noqa: BLE001 - whatever a trial raises is its result, and its supervisor decides
        text = traceback.format_exc()
        _say(text)
        result = Result(cause=Cause.BUG, detail=text[-20_000:])
    channel.send(result)
    _say(f"--- {result.cause}: {result.value}")
    return 0


def _line(epoch: Epoch) -> str:
    """One epoch as `hpo logs` shows it."""
    logs = "  ".join(f"{name} {value:.4g}" for name, value in epoch.logs.items())
    return f"fold {epoch.fold}  epoch {epoch.epoch + 1}  {epoch.seconds:.2f} s  {logs}"


class Server:
    """The loop: requests in; pids and exit statuses out."""

    def __init__(self, control: socket.socket, work: Work) -> None:
        self._control = control
        self._work = work
        self._children: set[int] = set()

    def serve(self) -> None:
        """Serves until the control socket closes, then kills all children."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's to handle,
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # and so is a scheduler's SIGTERM to the whole group
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        gc.collect()
        gc.freeze()  # a collection in a child would touch, and so copy, every page
        self._send({"ready": os.getpid()})
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(wake_read, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._control:
                        if not self._request():
                            self._kill_all()
                            return
                    else:
                        with contextlib.suppress(BlockingIOError):
                            os.read(wake_read, 4096)
                self._reap()

    def _send(self, answer: dict[str, object]) -> None:
        with contextlib.suppress(OSError):  # a supervisor that is gone is noticed by the next read
            self._control.send(json.dumps(answer).encode())

    def _request(self) -> bool:
        data, fds, _, _ = socket.recv_fds(self._control, REQUEST_LIMIT, 1)
        if not data:
            return False
        request = json.loads(data)
        refusal = self._work.guard()
        if refusal:
            os.close(fds[0])
            self._send({"id": request["id"], "error": refusal})
            return True
        forked = time.monotonic()
        try:
            pid = os.fork()
        except OSError as error:  # no memory or no process left on this machine: the children that run go on
            os.close(fds[0])
            self._send({"id": request["id"], "error": f"cannot fork: {error.strerror}"})
            return True
        if pid == 0:
            self._child(request, fds[0], forked)
        os.close(fds[0])
        self._children.add(pid)
        self._send({"id": request["id"], "pid": pid})
        return True

    def _child(self, request: dict[str, object], fd: int, forked: float) -> None:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._control.close()
            status = run_child(request, socket.socket(fileno=fd), forked, self._work)
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
        finally:
            os._exit(status)  # no atexit handlers: they belong to the server

    def _reap(self) -> None:
        while self._children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._children.discard(pid)
            self._send({"exited": pid, "status": os.waitstatus_to_exitcode(status)})

    def _kill_all(self) -> None:
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def tensorflow_work() -> Work:
    """The real work. Imports TensorFlow and everything that a trial uses, and initialises nothing."""
    import tensorflow as tf
    from tensorflow.python.eager import context

    from hpo import models
    from hpo.objective import train

    models.import_layers()

    def guard() -> str | None:
        # Private names, but the only ones that tell; they predicted every hang that was provoked.
        current = context._context
        if current is None or current._context_handle is None:
            return None
        return "TensorFlow is initialised in the fork server: its children would hang"

    def prepare(spec: TrialSpec) -> None:
        tf.config.threading.set_intra_op_parallelism_threads(spec.settings.threads)
        tf.config.threading.set_inter_op_parallelism_threads(spec.settings.threads)
        tf.add(1, 1)

    return Work(train=train, prepare=prepare, guard=guard)


def main() -> None:
    """Serves on the socket whose descriptor is the only argument."""
    # before the imports, which take seconds: Ctrl-C and a scheduler's SIGTERM are the supervisor's to handle
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))
    Server(control, tensorflow_work()).serve()


if __name__ == "__main__":
    main()
