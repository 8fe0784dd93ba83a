"""The supervisor's side of a trial's process: starts the fork server, has it fork children, and speaks with them.

Never imports TensorFlow: only the fork server, another process, holds it.
"""

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hpo.errors import HpoError
from hpo.settings import child_environment
from hpo.signals import heard_by
from hpo.trial import Cause, Epoch, Result, Started, Stop, TrialSpec, decode, encode

START_SECONDS = 120  # for the fork server's imports, on a cold disk
CLOSE_SECONDS = 5
END_SECONDS = 30  # from the killing of a process to the news that it is gone
LOOK_SECONDS = 0.2  # between two looks whether whoever waits for a process still wants it
COMMAND = (sys.executable, "-m", "hpo.forkserver")


class Closed(Exception):
    """The child closed its end: it is gone or about to be."""


class ChildStartError(HpoError):
    """No process could be had for a trial: the machine's fault, not the trial's."""


class ChildStuckError(HpoError):
    """A process that was killed is still there: the machine's fault, not the trial's."""


class Child:
    """One trial's process, as its supervisor sees it."""

    def __init__(self, pid: int, sock: socket.socket) -> None:
        self.pid = pid
        self._sock = sock
        self._buffer = b""
        self._exited = threading.Event()
        self.status: int | None = None
        """Exit status, negative for a signal; None while it runs, or when nobody could tell."""

    def receive(self, timeout: float) -> Epoch | Started | Result | None:
        """The next message, or None when there was none within `timeout` seconds.

        Raises:
            Closed: there will be no more messages.
        """
        deadline = time.monotonic() + timeout
        while b"\n" not in self._buffer:
            self._sock.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                data = self._sock.recv(1 << 16)
            except TimeoutError:
                return None
            except OSError as error:
                raise Closed from error
            if not data:
                raise Closed
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        message: Epoch | Started | Result = decode(line)
        return message

    def stop(self, cause: Cause) -> None:
        """Asks the child to end in order at its next batch."""
        with contextlib.suppress(OSError):
            self._sock.sendall(encode(Stop(cause=cause)))

    def kill(self) -> None:
        """Ends the child at once; harmless when it is gone."""
        if not self._exited.is_set():
            _kill(self.pid)

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until the process is gone. Returns False when it still runs after `timeout` seconds."""
        gone = self._exited.wait(timeout)
        if gone:
            self.hang_up()
        return gone

    def hang_up(self) -> None:
        """Hears no more of the process, which ends by that if it still runs."""
        self._sock.close()

    def exited(self, status: int | None) -> None:
        """Told by the fork server's reader that the process is gone."""
        self.status = status
        self._exited.set()


class ForkServer:
    """Starts children for a supervisor. Thread-safe; started by the first child, and again if it dies.

    Args:
        command: the server's program; its last argument will be a socket's descriptor.
        log: file for what the server itself prints, mostly TensorFlow's greetings; None means our own stderr.
    """

    def __init__(self, command: Sequence[str] = COMMAND, *, log: Path | None = None) -> None:
        self._command = tuple(command)
        self._log = log
        self._log_begins = 0  # where the words of the present server begin
        self._lock = threading.Lock()  # one start at a time
        self._changed = threading.Condition()  # guards all below
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._ready = False
        self._ids = itertools.count()
        self._starting: dict[int, socket.socket] = {}
        self._started: dict[int, Child | str] = {}
        self._running: dict[int, Child] = {}

    @property
    def pid(self) -> int | None:
        """Process id of the running server, or None."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def warm_up(self) -> None:
        """Starts the server now, so that the first child need not wait for its imports.

        Raises:
            ChildStartError: it does not come up.
        """
        with self._lock:
            self._ensure()

    def start(self, spec: TrialSpec, log: Path, give_up: Callable[[], bool] = lambda: False) -> Child:
        """Forks a child that trains `spec`, its output appended to `log`.

        Args:
            give_up: asked again and again while the server imports what it needs: whether nobody wants the child.

        Raises:
            ChildStartError: the server does not come up, or refuses to fork, or nobody wants the child any more.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with self._lock:
            control = self._ensure(give_up)
            number = next(self._ids)
            request = {"id": number, "spec": spec.model_dump(mode="json"), "log": str(log)}
            ours, theirs = socket.socketpair()
            with theirs, self._changed:
                self._starting[number] = ours
                try:
                    with contextlib.suppress(ConnectionError):  # a server that died is noticed by the reader
                        socket.send_fds(control, [json.dumps(request).encode()], [theirs.fileno()])
                except OSError as error:
                    self._starting.pop(number).close()
                    raise ChildStartError(f"no process for trial {spec.number}: {error.strerror}") from error
                answered = self._wait_for(lambda: number in self._started or self._control is None, give_up)
                self._starting.pop(number, None)
                outcome = self._started.pop(number, "the fork server died" if answered else "the fork server is silent")
        if isinstance(outcome, str):
            ours.close()
            raise ChildStartError(f"no process for trial {spec.number}: {outcome}")
        return outcome

    def end(self, child: Child) -> bool:
        """Kills a child, and waits until it is gone. Harmless when it is.

        A server that stands still tells of no end: it is killed too, and the next child starts another one.

        Returns: False if the child is still there, as a process is that waits for a driver or for a file system.
        """
        child.kill()
        if child.wait(END_SECONDS):
            return True
        if not _has_ended(child.pid):
            return False
        with self._changed:
            if self._running.get(child.pid) is child and self._process is not None:
                self._process.kill()
        return child.wait(END_SECONDS)

    def _wait_for(self, ready: Callable[[], bool], give_up: Callable[[], bool]) -> bool:
        """Waits for news of the server, whose condition is held. False when there was none for too long."""
        deadline = time.monotonic() + START_SECONDS
        while not self._changed.wait_for(ready, LOOK_SECONDS):
            if give_up() or time.monotonic() > deadline:
                return False
        return True

    def _ensure(self, give_up: Callable[[], bool] = lambda: False) -> socket.socket:
        """The control socket of a running server, started if need be."""
        if self._control is not None:
            return self._control
        if self._process is not None:  # the one before: its socket is closed, so it is of no use any more
            self._process.kill()
            self._process.wait()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ready = False
        with theirs, contextlib.ExitStack() as unless_started, contextlib.ExitStack() as stack:
            unless_started.callback(ours.close)
            log = None
            if self._log is not None:
                self._log.parent.mkdir(parents=True, exist_ok=True)
                log = stack.enter_context(self._log.open("ab"))
                self._log_begins = log.tell()
            with _uninterrupted():
                self._process = subprocess.Popen(
                    [*self._command, str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    env=child_environment(),
                    stdin=subprocess.DEVNULL,
                    process_group=0,  # a Ctrl-C at the terminal is for the supervisor alone
                    stdout=log,
                    stderr=log,
                )
            unless_started.pop_all()
        with self._changed:
            self._control = ours
            threading.Thread(target=self._read, args=(ours,), name="fork-server-reader", daemon=True).start()
            self._wait_for(lambda: self._ready or self._control is None, give_up)
            if not self._ready:
                raise ChildStartError(f"the process that forks trials did not start: {self._last_words()}")
        return ours

    def _last_words(self) -> str:
        if self._log is None:
            return "what it said stands above"
        said = self._log.read_bytes()[self._log_begins :].decode(errors="replace")
        lines = said.strip().splitlines() or ["it said nothing"]
        return f"{lines[-1]} (all of it is in {self._log})"

    def _read(self, control: socket.socket) -> None:
        while True:
            try:
                data = control.recv(1 << 16)
            except OSError:
                data = b""
            with self._changed:
                if data:
                    self._heard(json.loads(data))
                else:
                    self._lost(control)
                self._changed.notify_all()
            if not data:
                return

    def _heard(self, answer: dict[str, Any]) -> None:
        match answer:
            case {"ready": _}:
                self._ready = True
            case {"exited": pid, "status": status}:
                child = self._running.pop(pid, None)
                if child is not None:
                    child.exited(status)
            case {"id": number, "pid": pid} if number in self._starting:
                self._started[number] = self._running[pid] = Child(pid, self._starting.pop(number))
            case {"id": _, "pid": pid}:  # too late: nobody waits for it any more
                _kill(pid)
            case {"id": number, "error": text}:
                self._started[number] = text

    def _lost(self, control: socket.socket) -> None:
        """The server is gone, and with it the news of its children: end them, and wait until they are gone."""
        control.close()
        self._control = None
        for child in self._running.values():
            child.kill()
        self._bury()  # its children become init's with its end
        for child in self._running.values():
            _wait_for_stranger(child.pid)
            child.exited(None)
        self._running.clear()

    def close(self) -> None:
        """Ends the server and, with it, all children. Harmless when there is none."""
        with self._lock:
            control = self._control
            if control is not None:
                with contextlib.suppress(OSError):
                    control.shutdown(socket.SHUT_RDWR)
            self._bury()

    def _bury(self) -> None:
        """Waits until the server is gone, which ends by itself without its socket; kills it if that takes long."""
        if self._process is None:
            return
        try:
            self._process.wait(CLOSE_SECONDS if self._ready else 0)  # no children before its imports are done
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Puts off what signals do in Python: a process whose start they cut short is there, and nobody knows it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers run elsewhere
        return
    heard: list[int] = []
    with heard_by(lambda number, _: heard.append(number)):
        yield
    for number in heard:
        signal.raise_signal(number)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _has_ended(pid: int) -> bool:
    """Whether a process is gone, or has ended with all of its threads and nobody has asked how."""
    here = Path(f"/proc/{pid}")
    try:
        state = (here / "stat").read_text().rpartition(")")[2].split()[0]
        return state in "ZX" and len(list((here / "task").iterdir())) == 1
    except (FileNotFoundError, ProcessLookupError):
        return True


def _wait_for_stranger(pid: int, seconds: float = 5.0) -> None:
    """Waits until an orphan has ended; init reaps it, which takes milliseconds, and may be this very process."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            gone = os.waitpid(pid, os.WNOHANG)[0] == pid
        except ChildProcessError:  # init is somebody else
            gone = _has_ended(pid)
        if gone:
            return
        time.sleep(0.01)
