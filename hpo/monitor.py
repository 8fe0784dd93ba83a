"""`/healthz` and `/metrics` of a worker, on this machine's loopback alone.

The text is that of Prometheus. Counters start anew with each worker; who wants those of a study adds up its workers.
"""

import logging
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from hpo import __version__
from hpo.errors import UsageError
from hpo.scores import METRICS
from hpo.trial import Cause
from hpo.vitals import Vitals

log = logging.getLogger(__name__)

HERE = "127.0.0.1"
NAMES = (HERE, "localhost")  # by which one comes; a page in a browser that found another way in gets nothing
ANSWER_SECONDS = 5.0  # that a client may take


class Numbers(Collector):
    """What Prometheus reads.

    Args:
        vitals: of the worker.
        study, worker, metric: names.
        devices: of its slots.
        running: how many trials it trains.
    """

    def __init__(
        self,
        vitals: Vitals,
        *,
        study: str,
        worker: str,
        metric: str,
        devices: Sequence[str | None],
        running: Callable[[], int],
    ) -> None:
        self._vitals = vitals
        self._study = study
        self._worker = worker
        self._metric = metric
        self._devices = devices
        self._running = running

    def collect(self) -> Iterator[Metric]:
        """All of them now."""
        vitals = self._vitals
        ended = CounterMetricFamily("hpo_trials_ended", "Trials whose end was recorded.", labels=["study", "cause"])
        for cause in Cause:
            ended.add_metric([self._study, cause.value], vitals.ended[cause])
        yield ended
        for name, text, value in (
            ("epochs", "Epochs that trials finished.", vitals.epochs),
            ("training_seconds", "Seconds in which ended trials trained.", vitals.training),
            ("overhead_seconds", "Seconds of ended trials beside training.", vitals.overhead),
            ("storage_retries", "Calls tried again because the database could not be used.", vitals.retries),
            ("storage_outage_seconds", "Seconds that calls waited for the database, over all threads.", vitals.outage),
        ):
            yield self._one(CounterMetricFamily(f"hpo_{name}", text, labels=["study"]), value)
        for name, text, value in (
            ("trials_running", "Trials that are trained now.", self._running()),
            ("slots", "Trials at a time.", len(self._devices)),
            ("lease_age_seconds", "Seconds since all leases were renewed.", vitals.renewed_ago),
            ("healthy", "Whether /healthz answers 200.", float(not vitals.complaint())),
        ):
            yield self._one(GaugeMetricFamily(f"hpo_{name}", text, labels=["study"]), value)
        best = GaugeMetricFamily("hpo_best_value", "Best value of this worker's trials.", labels=["study", "metric"])
        if vitals.values:
            best.add_metric([self._study, self._metric], vitals.values[0 if METRICS[self._metric] == "minimize" else 1])
        yield best
        slots = InfoMetricFamily("hpo_slot", "A slot and its GPU, empty for none.", labels=["study", "slot"])
        for number, device in enumerate(self._devices):
            slots.add_metric([self._study, str(number)], {"gpu": device or ""})
        yield slots
        worker = InfoMetricFamily("hpo_worker", "Who this is.", labels=["study"])
        worker.add_metric([self._study], {"worker": self._worker, "host": socket.gethostname(), "version": __version__})
        yield worker

    def _one(self, family: CounterMetricFamily | GaugeMetricFamily, value: float) -> Metric:
        family.add_metric([self._study], value)
        return family


class Monitor:
    """The server, from now until it is closed.

    Args:
        port: 0 for any that is free.
        vitals: of the worker.
        numbers: what Prometheus reads.

    Raises:
        UsageError: the port is taken.
    """

    def __init__(self, port: int, vitals: Vitals, numbers: Numbers) -> None:
        registry = CollectorRegistry()
        registry.register(numbers)
        ProcessCollector(registry=registry)

        def answer(path: str) -> tuple[int, str, bytes]:
            if path == "/metrics":
                return 200, CONTENT_TYPE_LATEST, generate_latest(registry)
            if path == "/healthz":
                complaint = vitals.complaint()
                return 503 if complaint else 200, "text/plain; charset=utf-8", f"{complaint or 'ok'}\n".encode()
            return 404, "text/plain; charset=utf-8", b"there are /healthz and /metrics\n"

        try:
            self._server = ThreadingHTTPServer((HERE, port), _handler(answer))
        except OSError as error:
            raise UsageError(
                f"--metrics-port {port}: {error.strerror}; choose another one, or 0 for any that is free"
            ) from error
        self._server.daemon_threads = True
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="monitor", daemon=True)
        self._thread.start()
        log.info("health at http://%s:%d/healthz, metrics at http://%s:%d/metrics", HERE, self.port, HERE, self.port)

    def close(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(answer: Callable[[str], tuple[int, str, bytes]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = ANSWER_SECONDS
        server_version = "hpo"
        sys_version = ""

        def do_GET(self) -> None:
            known = self.headers.get("Host", HERE).rpartition(":")[0] or self.headers.get("Host", HERE)
            status, kind, body = answer(self.path.partition("?")[0]) if known in NAMES else (403, "text/plain", b"")
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody wants to read every probe."""

    return Handler
