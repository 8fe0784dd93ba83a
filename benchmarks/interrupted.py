"""Runs a study to its end on real data, with a Ctrl-C and a SIGKILL of everything on the way, and checks the record.

Resumable: run it again after anything, and it goes on where it stopped.

    .venv/bin/python benchmarks/interrupted.py studies/har_conv_lstm.toml --folder .hpo/results
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

HPO = [sys.executable, "-m", "hpo.cli"]


def main() -> None:
    """Works through the phases that have not been done yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--folder", type=Path, default=Path(".hpo/results"), help="database, artifacts and logs")
    parser.add_argument("--calm", action="store_true", help="no interruptions")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    name = tomllib.loads(arguments.study.read_text())["name"]
    run = Run(arguments.study, name, arguments.folder)
    if not arguments.calm:
        run.interrupt("ctrl-c", signal.SIGINT, ended=3)
        run.interrupt("sigkill", signal.SIGKILL, ended=6)
    run.complete()
    json.dump(run.verdict(), sys.stdout, indent=2)
    print()


class Run:
    """One study in one folder. What was done stands in a file, so that a killed script knows."""

    def __init__(self, study: Path, name: str, folder: Path) -> None:
        self.study, self.name, self.folder = study, name, folder
        self.diary = folder / f"{name}.json"
        self.done: dict[str, Any] = json.loads(self.diary.read_text()) if self.diary.exists() else {"seconds": 0.0}

    def command(self, *words: str) -> list[str]:
        return [*HPO, *words, "--storage", f"sqlite:///{self.folder / 'hpo.db'}"]

    def launch(self) -> subprocess.Popen[bytes]:
        command = self.command("launch", str(self.study), "--artifacts", str(self.folder / "artifacts"))
        with (self.folder / f"{self.name}.log").open("ab") as log:
            log.write(f"--- {' '.join(command[2:])}\n".encode())
            return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def status(self) -> dict[str, Any]:
        done = subprocess.run(self.command("status", self.name, "--json"), capture_output=True, text=True, check=False)
        found: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
        return found

    def interrupt(self, phase: str, signum: int, *, ended: int) -> None:
        """Launches, waits until some trials ended and another is in an epoch, and signals the whole process group."""
        if phase in self.done:
            return
        began = time.monotonic()
        process = self.launch()
        while process.poll() is None:
            time.sleep(3)
            status = self.status()
            counts = status.get("counts", {})
            running = status.get("running", [])
            if counts.get("complete", 0) + counts.get("pruned", 0) >= ended and any(
                (trial["last_step"] or 0) >= 1 for trial in running
            ):
                os.killpg(process.pid, signum)
                self.done[phase] = {
                    "counts": counts,
                    "running": {trial["number"]: trial["last_step"] for trial in running},
                }
                break
        self.done.setdefault(phase, {})["exit"] = process.wait()
        self.note(began)

    def complete(self) -> None:
        """Launches until the budget has ended."""
        if "complete" in self.done:
            return
        began = time.monotonic()
        self.done["complete"] = {"exit": self.launch().wait()}
        self.note(began)

    def note(self, began: float) -> None:
        self.done["seconds"] += time.monotonic() - began
        beside = self.diary.with_suffix(".part")
        beside.write_text(json.dumps(self.done, indent=2))
        beside.replace(self.diary)

    def verdict(self) -> dict[str, Any]:
        """What the record says: every trial once, none left."""
        status = self.status()
        trials = []
        ended = status["counts"]["complete"] + status["counts"]["pruned"]
        for number in range(sum(status["counts"].values())):
            shown = subprocess.run(
                self.command("show", self.name, str(number), "--json"), capture_output=True, text=True, check=True
            )
            trial = json.loads(shown.stdout)
            trials.append({key: trial[key] for key in ("number", "state", "cause", "value", "attempt", "losses")})
        return {
            "study": self.name,
            "phases": self.done,
            "counts": status["counts"],
            "ended": ended,
            "best": status["best"],
            "seconds": status["seconds"],
            "taken over": [trial["number"] for trial in trials if trial["attempt"] > 1],
            "trials": trials,
        }


if __name__ == "__main__":
    main()
