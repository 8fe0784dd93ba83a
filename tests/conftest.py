"""What every test shares: a clean environment, the shared data, and the rule that no process stays behind."""

import contextlib
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import hypothesis
import pytest

from tests.postgres import Server, binaries
from tests.slurm import Cluster, missing

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.s3 import S3

ROOT = Path(__file__).resolve().parent.parent
# Set by .ci/run, where nothing may be missing; the processes of pytest-xdist hear of it by a name that stays below.
NO_SKIP = any(os.environ.get(name, "0") not in ("", "0") for name in ("HPO_TEST_NO_SKIP", "PYTEST_NO_SKIP"))
# Found in the environment of every process that this run starts, however deep, and of no other.
MARK = f"{os.getpid()}-{time.time_ns()}"
SETTLE_SECONDS = 30.0  # that a test's processes have to be gone after it: one may be importing TensorFlow

# Done here, before any test module is imported: TensorFlow reads its variables once, when it is imported.
for _name in [name for name in os.environ if name.startswith("HPO_")]:
    del os.environ[_name]
os.environ.update(
    PYTEST_RUN=MARK,
    PYTEST_NO_SKIP=str(int(NO_SKIP)),
    TZ="UTC",
    KERAS_BACKEND="tensorflow",
    TF_CPP_MIN_LOG_LEVEL="3",
    TF_ENABLE_ONEDNN_OPTS="0",
    # One thread, as trials have: sums come out the same in every run.
    OMP_NUM_THREADS="1",
    TF_NUM_INTEROP_THREADS="1",
    TF_NUM_INTRAOP_THREADS="1",
)
time.tzset()
# A shell without job control has what it starts in the background ignore Ctrl-C, nohup has it ignore hang-ups; so do
# all processes below: tests that send these would wait for ever.
for _signal, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_signal) is signal.SIG_IGN:
        signal.signal(_signal, _usual)

# The same examples in every run, but for the few that come from constants of the modules imported so far; and no limit
# of time for one: the machine may be busy.
hypothesis.settings.register_profile("hpo", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("hpo")


def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: a quarter of the time of the tests is waiting."""
    return len(os.sched_getaffinity(0)) + 1


LONG = {"faults"}  # folders in which few tests take minutes
# Fixtures that start TensorFlow or Chromium: whoever comes first waits for them.
SLOW = {"launched", "again", "browser"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: a process of pytest-xdist gets whole files, and none should be left alone with a long one.

    A test's limit of time counts what its fixtures take.
    """
    for item in items:
        if SLOW & set(getattr(item, "fixturenames", ())) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(300))
    sizes = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path.parent.name not in LONG, -sizes[item.path]))


class Require(Protocol):
    """The type of the fixture `require`."""

    def __call__(self, condition: object, reason: str, *, optional: bool = False) -> None:
        """See the fixture."""


def _require(condition: object, reason: str, *, optional: bool = False) -> None:
    if condition:
        return
    if NO_SKIP and not optional:
        pytest.fail(f"missing here, and HPO_TEST_NO_SKIP is set: {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def require() -> Require:
    """Skips a test that the machine cannot run: ``require(shutil.which("postgres"), "needs PostgreSQL")``.

    The only way to skip. Under HPO_TEST_NO_SKIP it fails instead, unless `optional` is true: that is for what no
    package brings, such as the right to mount a file system.
    """
    return _require


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets that lies beside the repository on the project's machines."""
    folder = ROOT.parent / "shared" / "data"
    _require(folder.is_dir(), "needs the data sets of ../shared/data", optional=not folder.parent.is_dir())
    return folder


@pytest.fixture(scope="session")
def unpacked(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """UCI HAR and Earthquakes, unpacked once for the session: about 200 MB."""
    folder = tmp_path_factory.mktemp("real")
    for name in ("uci_har_text.tar.xz", "earthquakes_text.tar.xz"):
        with tarfile.open(shared_data / name) as archive:
            # Python 3.11.2, which Debian 12 has, knows no filters yet
            archive.extraction_filter = getattr(tarfile, "data_filter", None)
            archive.extractall(folder)  # noqa: S202 - our own archives, and filtered where Python can
    return folder


class Disks(Protocol):
    """The type of the fixture `disks`."""

    def __call__(self, size: str) -> Path:
        """See the fixture."""


@pytest.fixture
def disks(require: Require) -> Iterator[Disks]:
    """Makes file systems of a size: ``disks("256k")`` is the folder of one, in which everybody may write."""
    made: list[Path] = []

    def make(size: str) -> Path:
        require(os.geteuid() == 0 and shutil.which("mount"), "only root may mount a small disk", optional=True)
        folder = Path(tempfile.mkdtemp(prefix="hpo-disk-"))
        mount = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        require(mount.returncode == 0, f"mounting is not allowed here: {mount.stderr.strip()}", optional=True)
        made.append(folder)
        return folder

    yield make
    for folder in made:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


@pytest.fixture
def small_disk(disks: Disks) -> Path:
    """A file system of 256 kB."""
    return disks("256k")


def _processes() -> dict[int, str]:
    """Our children, and all processes that inherited our mark: pid -> command line. None without /proc (macOS)."""
    found = {}
    marked = f"PYTEST_RUN={MARK}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent != os.getpid() and marked not in (folder / "environ").read_bytes().split(b"\0"):
                continue
            command = (folder / "cmdline").read_text().replace("\0", " ").strip() or "(ended, but nobody waited for it)"
        except OSError:  # gone meanwhile, or another user's
            continue
        # Python's own helper: one for a process that uses multiprocessing, ends with it
        if "multiprocessing.resource_tracker" not in command:
            found[int(folder.name)] = command
    return found


@pytest.fixture(autouse=True)
def _no_process_left_behind() -> Iterator[None]:
    """Fails a test that leaves a process behind, and ends the process so that the next test is not disturbed.

    Fixtures of a wider scope are set up before this one, so the processes they own do not count.
    """
    before = _processes().keys()
    yield
    deadline = time.monotonic() + SETTLE_SECONDS
    while left := {pid: command for pid, command in _processes().items() if pid not in before}:
        if time.monotonic() > deadline:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            pytest.fail("left behind: " + "; ".join(f"{pid} {command}" for pid, command in left.items()), pytrace=False)
        time.sleep(0.05)


@pytest.fixture(scope="session")
def postgres(require: Require) -> Iterator[Server]:
    """A server for the session."""
    programs = binaries()
    require(programs, "needs PostgreSQL (Debian: apt-get install postgresql)")
    server = Server(programs or Path())
    yield server
    server.remove()


@pytest.fixture(scope="session")
def s3_server() -> "Iterator[S3]":
    """A server for the session; tests take `s3`."""
    from tests.s3 import ENVIRONMENT, S3

    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        server = S3()
        yield server
        server.stop()


@pytest.fixture
def s3(s3_server: "S3", monkeypatch: pytest.MonkeyPatch) -> "Iterator[S3]":
    """The server, listening, with its endpoint and credentials in the environment."""
    from tests.s3 import ENVIRONMENT

    for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": s3_server.url}.items():
        monkeypatch.setenv(name, value)
    yield s3_server
    s3_server.start()


@pytest.fixture(scope="session")
def slurm(require: Require) -> Iterator[Cluster]:
    """A SLURM for the session: one node with two GPUs that are none."""
    require(not missing(), f"needs SLURM (Debian: apt-get install slurm-wlm munge), lacks {', '.join(missing())}")
    require(os.geteuid() == 0, "only root may start SLURM's daemons", optional=True)
    cluster = Cluster()
    yield cluster
    cluster.remove()


@pytest.fixture(scope="session")
def browser(require: Require) -> "Iterator[Browser]":
    """A headless browser for the session; `tests.browser.visit` opens pages in it."""
    from tests.browser import CHROMIUM, chromium

    require(CHROMIUM.exists(), "needs Chromium (Debian: apt-get install chromium)")
    with chromium() as started:
        yield started


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'hpo.db'}"
    server = request.getfixturevalue("postgres")
    return str(server.database(f"t{uuid.uuid4().hex}"))


@pytest.fixture(autouse=True)
def _close_stores() -> Iterator[None]:
    """Gives back the connections of every store that a test opened."""
    yield
    from tests.support import OPEN

    while OPEN:
        OPEN.pop().close()


@pytest.fixture
def quiet() -> Iterator[None]:
    """Optuna's own log lines are left out."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(verbosity)
