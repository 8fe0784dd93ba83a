"""Faults of every kind at random moments, until so many were injected; then the study is let end, and judged."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.faults.check import LEASE, Findings, look, watch
from tests.faults.fleet import Fleet
from tests.postgres import Server
from tests.support import create, definition, open_store, prepared_record

STILL_SECONDS = 60.0  # in which some trial must end once nobody disturbs the fleet any more


@dataclass(frozen=True)
class Storm:
    """How much of what.

    Attributes:
        trials: budget of the study; enough that it does not end before the faults do.
        kills: SIGKILLs, of supervisors anywhere and inside the claim window, of children, of fork servers.
        stops: SIGSTOPs past the lease.
        outages: of the database, of `outage_seconds` each, of ten the first of `long_seconds`, in order or by a crash.
        pause: seconds between two faults.
        seed: of all choices.
    """

    trials: int
    kills: int
    stops: int
    outages: int
    outage_seconds: float = 4.0
    long_seconds: float = 20.0
    pause: float = 0.7
    seed: int = 0
    workers: int = 8


@dataclass(frozen=True)
class Verdict:
    """What became of it: the faults by kind, what they broke, what they cost."""

    history: dict[str, int]
    findings: Findings
    deserted: list[str]
    disturbed: list[tuple[float, float]]
    counts: dict[str, int]
    starts: int
    seconds: float
    after_seconds: float

    def waits(self) -> list[float]:
        """Of each lease that ran out: seconds from its last renewal to the take-over, without outages and stops."""
        return [takeover.waited(self.disturbed) for takeover in self.findings.takeovers]

    def undisturbed(self) -> list[float]:
        """The same of the leases that no outage or stop fell into."""
        raw = [takeover.waited() for takeover in self.findings.takeovers]
        return [both[0] for both in zip(raw, self.waits(), strict=True) if both[0] == both[1]]

    def lines(self, storm: Storm) -> list[str]:
        """For people, n beside every zero."""
        n = sum(self.history.values())
        of = f"of {storm.trials} trials, {n} faults"
        free = self.undisturbed()
        lost = f"of {len(self.findings.takeovers)} lost leases, {len(free)} of them without an outage or stop meanwhile"
        raw = max((each.waited() for each in self.findings.takeovers), default=0.0)
        longest = f"{max(free, default=0.0):.1f} at most without them, {raw:.1f} with what fell into it"
        return [
            *(f"{count:4d}  {what}" for what, count in sorted(self.history.items())),
            f"lost: {len(self.findings.lost)} {of}",
            f"recorded twice: {len(self.findings.twice)} {of}",
            f"orphaned at the end: {len(self.findings.orphaned)} {of}",
            f"taken over later than by the next claim: {len(self.findings.neglected)} {lost}",
            f"seconds from the last renewal to the take-over (lease {LEASE:g}): {longest}",
            f"beyond the budget: {len(self.findings.beyond)} {of}",
            f"workers lost to an outage: {len(self.deserted)} of {storm.workers} x {storm.outages} outages",
            f"trainings begun: {self.starts} for {storm.trials} trials",
            f"seconds: {self.seconds:.0f} in all, {self.after_seconds:.0f} of them after the last fault",
        ]


def rage(server: Server, folder: Path, storm: Storm, say: Callable[[str], None] = lambda line: None) -> Verdict:
    """Runs a study in the storm. FAKE and FAKE_DIARY are set by the caller, the diary is ``folder / "diary"``.

    Raises:
        TimeoutError: after the last fault the study stood still before its end.
    """
    address = server.database(f"t{uuid.uuid4().hex}")
    store = open_store(address)
    budget = {"trials": storm.trials, "retries": 1000}
    create(store, definition(budget=budget), prepared_record(folder / "cache"))
    watch(address)
    began = time.monotonic()
    fleet = Fleet(address, server, folder, storm.workers, storm.seed)
    try:
        faults = ["kill"] * storm.kills + ["stop"] * storm.stops + ["outage"] * storm.outages
        fleet.random.shuffle(faults)
        _pause(fleet, 4.0)  # all of them are at work
        for i, fault in enumerate(faults):
            _inject(fleet, fault, storm)
            if i % 10 == 9:
                say(f"{i + 1} of {len(faults)} faults, {time.monotonic() - began:.0f} s")
            _pause(fleet, storm.pause)
        last = time.monotonic()
        counts, moved = store.status("s").counts, last
        while fleet.keep():
            if time.monotonic() - moved > STILL_SECONDS:
                now = store.status("s").counts
                if now == counts:
                    raise TimeoutError(f"no trial has ended for {STILL_SECONDS:.0f} s: {counts}")
                counts, moved = now, time.monotonic()
                say(f"{counts}, {time.monotonic() - began:.0f} s")
            time.sleep(0.1)
        ended = time.monotonic()
    finally:
        fleet.close()
    diary = folder / "diary"
    return Verdict(
        history=dict(fleet.history),
        findings=look(address, storm.trials, diary, outages=fleet.outages),
        deserted=fleet.deserted,
        disturbed=fleet.outages + fleet.stops,
        counts=store.status("s").counts,
        starts=len(diary.read_text().splitlines()),
        seconds=ended - began,
        after_seconds=ended - last,
    )


def _inject(fleet: Fleet, fault: str, storm: Storm) -> None:
    while not fleet.running():
        if not fleet.keep():
            raise RuntimeError("the study ended before the storm did: give it more trials")
        time.sleep(0.05)
    match fault:
        case "kill":
            aim = fleet.random.choice([fleet.kill_claiming, fleet.kill_child, fleet.kill_fork_server, None])
            if aim is None or not aim():
                fleet.kill_supervisor()
        case "stop":
            fleet.stop_past_the_lease()
        case "outage":
            before = sum(count for what, count in fleet.history.items() if "outage" in what)
            seconds = storm.long_seconds if before % 10 == 0 else storm.outage_seconds
            fleet.outage(seconds, fleet.random.choice(["fast", "immediate"]))


def _pause(fleet: Fleet, seconds: float) -> None:
    """Lets the fleet work, and restarts who died."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        fleet.keep()
        time.sleep(0.05)
