"""Who did what, and when: one line for each login, each change and each refusal of one."""

import json
import logging
import os
import threading
from datetime import UTC, datetime
from pathlib import Path

from hpo.dashboard.wire import Request
from hpo.errors import UsageError

log = logging.getLogger(__name__)


class Audit:
    """The record of logins and changes.

    Args:
        file: JSON lines are added to it; None writes to the log alone.

    Raises:
        UsageError: it cannot be written.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._lock = threading.Lock()
        if file is not None:
            try:
                os.close(self._open())
            except OSError as error:
                raise UsageError(f"--audit-file: cannot write {file}: {error.strerror}") from error

    def write(self, request: Request, user: str, what: str, status: int) -> None:
        """Adds a line.

        Args:
            user: who, as far as known; perhaps only who somebody says to be.
            what: one of our own words, for example "login".
            status: of the answer.
        """
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "user": user[:64],
            "from": request.peer,
            "what": what,
            "method": request.method[:10],
            "path": request.path[:200],
            "status": status,
        }
        # as JSON, so that no name and no path can pretend to be a line of its own
        text = json.dumps(line)
        log.info("audit %s", text)
        if self._file is not None:
            try:
                self._add(f"{text}\n".encode())
            except OSError as error:  # what was done is done; the log has it
                log.error("cannot write the audit file %s: %s", self._file, error.strerror)  # noqa: TRY400 - says it all

    def _add(self, line: bytes) -> None:
        with self._lock:
            descriptor = self._open()
            try:
                os.write(descriptor, line)
            finally:
                os.close(descriptor)

    def _open(self) -> int:
        return os.open(str(self._file), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
