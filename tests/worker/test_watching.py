"""Watching a study: in a real terminal, in one that cannot draw, through a pipe, as JSON, and while it is hurt."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console, ConsoleDimensions

from hpo.looking import Eyes, Look
from hpo.settings import Times
from hpo.store import Claims, Store
from hpo.trial import Cause, Epoch, Result
from hpo.views import SAY_SECONDS, Drawn, JsonLines, Lines
from hpo.watching import Watch
from tests.cli.run import call, refuse
from tests.conftest import Require
from tests.postgres import Server
from tests.store.test_glance import statements
from tests.support import FAST, claimed, completed, create, definition, kill, open_store
from tests.terminal import Terminal
from tests.worker.bench import Bench

HPO = [sys.executable, "-m", "hpo.cli"]


def epoch(step: int, value: float) -> Epoch:
    """One of a training."""
    return Epoch(fold=0, epoch=step, step=step, value=value, seconds=0.1, logs={})


@pytest.fixture
def terminal(bench: Bench, require: Require) -> Iterator[Terminal]:
    """A terminal in the study's folder."""
    require(shutil.which("tmux"), "needs tmux (Debian: apt-get install tmux)")
    opened = Terminal(bench.folder, 120, 20, HPO_STORAGE=bench.store.url)
    yield opened
    opened.close()


def test_a_terminal(bench: Bench, terminal: Terminal) -> None:
    """Rows of workers and trials that live on; another size is drawn clean; Ctrl-C leaves at once and hurts nothing.

    A terminal that cannot draw gets lines, without a single escape sequence.
    """
    bench.create(budget={"trials": 4, "hours": 2.0})
    bench.plan(epochs=3000, pause=0.05)
    supervisor = bench.process(slots=2, lease=60)
    bench.wait_for_start(1)
    try:
        look_around(terminal, supervisor.pid)
        assert supervisor.poll() is None
    finally:
        kill(supervisor.pid)
        supervisor.wait()
    assert bench.status().counts["running"] == 2


def look_around(terminal: Terminal, pid: int) -> None:
    """What somebody at the terminal does, and sees."""
    command = [*HPO, "status", "s", "--watch", "--interval", "0.2"]
    terminal.type(*command)
    lines = terminal.see(lambda text: len(re.findall(r"epoch [1-9]\d*/60 ", text)) == 2)
    (first,) = [line for line in lines if line.startswith("study s ")]
    assert "running" in first
    assert any(re.match(r"trials .* 0 of 4", line) for line in lines)
    assert any(re.search(r"about 1 h 59 min left, until \d\d:\d\d \(hours\)|about 2 h 00 min", line) for line in lines)
    assert [line for line in lines if re.match(rf"worker .*pid {pid} +2 slots, CPU seen .* trials 0, 1", line)]
    assert [line for line in lines if re.match(r"trial 0 .* epoch \d+/60 .*accuracy 0\.9", line)]
    terminal.resize(60, 9)
    small = terminal.see(lambda text: "more running" in text or text.count("\ntrial ") == 2)
    assert max(map(len, small)) <= 60
    terminal.resize(140, 30)
    once = ("study s", "trial 0", "trial 1")  # a picture that is half drawn has them twice, or not at all
    terminal.see(lambda text: "learning_rate=" in text and all(f"\n{text}".count(f"\n{word}") == 1 for word in once))
    terminal.press("C-c")
    left = terminal.see(lambda text: text.rstrip().endswith("ready>"))
    assert sum(line.startswith("study s") for line in left) == 1  # the last picture stays
    assert not any("Traceback" in line or "interrupted" in line for line in left)
    terminal.shell("echo code=$?")
    terminal.see(lambda text: "code=130" in text)
    terminal.press("C-l")
    terminal.type("env", "TERM=dumb", *command)
    lines = terminal.see(lambda text: "budget 0 of 4 trials" in text)
    assert any(line.startswith("study s: running. 0 complete") for line in lines)
    terminal.press("C-c")
    terminal.see(lambda text: text.rstrip().endswith("ready>"))


def test_a_pipe_and_json(bench: Bench) -> None:
    """To the end of the study: one line for each thing that changed, none twice; each JSON line is a whole status."""
    bench.create(budget={"trials": 3})
    bench.plan(epochs=3, pause=0.1)
    command = [*HPO, "status", "s", "--watch", "--interval", "0.1"]
    environment = {**os.environ, "HPO_STORAGE": bench.store.url}
    plain, machine = (
        subprocess.Popen([*command, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        for more in ([], ["--json"])
    )
    assert plain.stdout is not None
    lines = [plain.stdout.readline().rstrip("\n")]  # it looks: now something may change
    assert lines == ["study s: waiting. 0 complete, 0 pruned, 0 failed; budget 0 of 3 trials"]
    assert bench.supervisor(times=replace(FAST, lease=60.0)).run() == 0
    out, errors = plain.communicate(timeout=60)
    lines += out.splitlines()
    assert (plain.returncode, errors) == (0, "")
    assert max(Counter(lines).values()) == 1
    assert [number for line in lines if (number := re.match(r"trial (\d): completed", line))]
    assert [line.split(":")[0] for line in lines if line.startswith("trial")] == ["trial 0", "trial 1", "trial 2"]
    assert re.match(r"study s: ended \(trials used up\)\. 3 complete", lines[-1])
    assert any(re.match(r"worker .*: at work, 1 slot, CPU", line) for line in lines)
    assert "\x1b" not in out
    out, errors = machine.communicate(timeout=60)
    assert (machine.returncode, errors) == (0, "")
    found = [json.loads(line, parse_constant=refuse) for line in out.splitlines()]
    assert found[-1]["state"] == "ended"
    assert found[-1]["counts"]["complete"] == 3
    assert all(
        status.keys() == call("status", "s", "--json", HPO_STORAGE=bench.store.url).json().keys() for status in found
    )


def test_the_last_look_is_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial that ends, with all work, during a look is told of all the same before the launch says anything else."""
    store = open_store(tmp_path)
    create(store, definition(budget={"trials": 1}))
    claims = Claims(store, "s", "w", Times())
    claim = claimed(claims)
    output = io.StringIO()
    watch = Watch(open_store(tmp_path), "s", Console(file=output, width=120))
    look, looked = Eyes.look, threading.Event()

    def slow(eyes: Eyes) -> Look:
        seen = look(eyes)
        if not looked.is_set():
            claims.finish(claim, completed())
            watch._leave.set()
            looked.set()
        return seen

    monkeypatch.setattr(Eyes, "look", slow)
    with watch:
        assert looked.wait(60)
    assert "trial 0: completed" in output.getvalue()


def test_exit_codes(tmp_path: Path) -> None:
    """0 for a study that has ended, 5 for one that failed; no study of that name is exit code 2, as ever."""
    store = open_store(tmp_path)
    create(store, definition("good", budget={"trials": 1}))
    create(store, definition("bad", budget={"trials": 9, "max_consecutive_failures": 1}))
    for name, result in (("good", completed()), ("bad", Result(cause=Cause.BUG, detail="planted"))):
        claims = Claims(store, name, "w", Times())
        claims.finish(claimed(claims), result)
    runs = {name: call("status", name, "--watch", HPO_STORAGE=store.url) for name in ("good", "bad", "none")}
    assert {name: run.code for name, run in runs.items()} == {"good": 0, "bad": 5, "none": 2}
    assert runs["good"].out.startswith("study good: ended (trials used up). 1 complete")
    assert runs["bad"].out.startswith("study bad: failed. 0 complete, 0 pruned, 1 failed")


def watched(store: Store, trials: int) -> Claims:
    """A study with a history, whose sampler and pruner hear of epochs."""
    create(store, definition(budget={"trials": 10_000}))
    claims = Claims(store, "s", "w", Times())
    claims.roster.join(host="h", pid=1, slots=2, lease=60.0, devices=["GPU-1", None])
    for number in range(trials):
        claims.finish(claimed(claims), completed(number / 10))
    return claims


def test_looks_cost_the_same_however_long_the_study_is(tmp_path: Path) -> None:
    """As many statements with 12 ended trials as with 2, none of them for many; what has ended is not read again."""
    store = open_store(tmp_path)
    claims = watched(store, 2)
    eyes = Eyes(store, "s")
    running = claimed(claims)
    eyes.look()
    with statements(store) as before:
        assert eyes.look().news == ()
    for number in range(10):
        claims.finish(claimed(claims), completed(number / 100))
    assert len(eyes.look().news) == 10
    with statements(store) as after:
        assert eyes.look().news == ()
    assert len(after) <= len(before) <= 25
    assert max(after) <= max(before) <= 10  # two trials, each asked for in five tables
    claims.report(running, epoch(0, 0.5))
    claims.report(running, epoch(1, 0.75))
    (seen,) = eyes.look().status.running
    assert seen.curve == ((0, 0.5), (1, 0.75))


def test_what_changed_is_said_once(tmp_path: Path) -> None:
    """Ends, with a mark at the best; workers that come, fall silent and leave; and how the study stands."""
    now = 1000.0
    store = open_store(tmp_path, clock=lambda: now)
    claims = watched(store, 1)
    eyes = Eyes(store, "s")
    claims.finish(claimed(claims), completed(0.9))
    claims.finish(claimed(claims), completed(0.1))
    claims.roster.join(host="h", pid=1, slots=2, lease=60.0)
    said = eyes.look().news
    assert [line.split("  ")[0] for line in said] == [
        "trial 1: completed 0.9000 in 2.0 s",
        "trial 2: completed 0.1000 in 2.0 s",
    ]
    assert [line.endswith("* best so far") for line in said] == [True, False]
    now += 100
    assert eyes.look().news == ("worker h, pid 1: silent", "study s: interrupted")
    assert eyes.look().news == ()
    claims.roster.leave()
    assert eyes.look().news == ("worker h, pid 1: left",)


def test_lines_come_when_something_changed(tmp_path: Path) -> None:
    """How it goes is said once a minute at most, and not if it is the same; JSON at each change, and each minute."""
    store = open_store(tmp_path)
    claims = watched(store, 1)
    eyes = Eyes(store, "s")
    now = 0.0
    said: list[str] = []
    objects: list[str] = []
    lines = Lines(said.append, alone=True, clock=lambda: now)
    machine = JsonLines(objects.append, clock=lambda: now)
    running = claimed(claims)
    for _ in range(5):
        look = eyes.look()
        lines.show(look)
        machine.show(look)
        now += SAY_SECONDS / 4
    assert len(said) == 1
    assert len(objects) == 2
    claims.report(running, epoch(4, 0.5))
    now += SAY_SECONDS
    look = eyes.look()
    lines.show(look)
    machine.show(look)
    assert said[1].endswith("trial 1 at epoch 5 of 60 (0.5000)")
    assert json.loads(objects[2])["running"][0]["curve"] == [[4, 0.5]]


def test_news_stay_above_the_picture(tmp_path: Path) -> None:
    """Beside a launch, lines are printed once, above the picture; for another size of the terminal all is redrawn."""
    store = open_store(tmp_path)
    claims = watched(store, 0)
    eyes = Eyes(store, "s")
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system=None, width=100, height=30, markup=False)
    with Drawn(console, alone=False) as shown:
        shown.show(eyes.last)
        claims.finish(claimed(claims), completed(0.75))
        shown.show(eyes.look())
        assert out.getvalue().count("trial 0: completed 0.7500") == 1
        out.truncate(out.seek(0))
        shown.tick()
        assert "trial 0: completed" not in out.getvalue()
        assert out.getvalue().count("study s  ") == 1
        console.size = ConsoleDimensions(60, 20)
        out.truncate(out.seek(0))
        shown.tick()
        cleared = out.getvalue()
        assert cleared.startswith("\x1b[2J\x1b[H")
        assert cleared.index("trial 0: completed 0.7500") < cleared.index("study s  ")
        out.truncate(out.seek(0))
    assert out.getvalue().endswith("\x1b[1A\x1b[2K")  # it goes, and leaves the last words to the launch


def test_a_database_that_is_away(postgres: Server, tmp_path: Path) -> None:
    """It is said once, with the reason; looks go on, and tell the news when it is there again."""
    store = open_store(postgres.database("watching"))
    claims = watched(store, 0)
    eyes = Eyes(store, "s")
    said: list[str] = []
    lines = Lines(said.append, alone=False)
    claims.finish(claimed(claims), completed())
    postgres.stop("immediate")
    try:
        for _ in range(2):
            lines.show(eyes.look())
    finally:
        postgres.start()
    lines.show(eyes.look())
    assert [re.split(": |  ", line)[0] for line in said] == [
        "the database cannot be used",
        "the database can be used again",
        "trial 0",
    ]
    assert "refused" in said[0]
