"""Forks supervisors from a process that has imported all they need: a start costs 10 ms instead of seconds.

Run with the code of a supervisor as its only argument: a function body that knows `log` and returns an exit code. Each
line on stdin is the log file of a supervisor to start. Lines on stdout: ``started PID``, ``ended PID STATUS``, the
status as `subprocess` counts it. It ends with its stdin; the supervisors are their own masters.
"""

import os
import select
import sys
import traceback
from collections.abc import Callable
from typing import Any


def _fork(log: str, run: Callable[[], int]) -> int:
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for ours, theirs in ((nothing, 0), (file, 1), (file, 2)):
        os.dup2(ours, theirs)
    code = 1
    try:
        code = run()
    except Exception:  # noqa: BLE001 - whatever it is belongs into the log
        traceback.print_exc()
    finally:
        os._exit(code)


def _say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def main() -> None:
    """Serves until stdin closes."""
    names: dict[str, Any] = {}
    exec(sys.argv[1], names)  # noqa: S102 - the test's own code
    pending = b""
    while True:
        readable, _, _ = select.select([0], [], [], 0.05)
        if readable:
            data = os.read(0, 1 << 16)
            if not data:
                return
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                _say(f"started {_fork(line.decode(), names['run'])}")
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            _say(f"ended {pid} {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main()
