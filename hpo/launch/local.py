"""Workers on this machine: one supervisor in this very process, with as many slots as the cores carry."""

from pathlib import Path

from hpo.launch import Plan
from hpo.settings import Times, cores
from hpo.store import Store
from hpo.worker import Supervisor


def plan(study: str, *, slots: int | None, threads: int, artifacts: Path, cache: Path) -> Plan:
    """One supervisor; without `slots`, as many as there are cores for `threads` each."""
    count = slots or max(1, cores() // threads)
    return Plan(
        study=study,
        slots=count,
        artifacts=artifacts,
        cache=cache,
        lines=(f"one worker on this machine: {count} trials at a time, {threads} thread(s) each, {cores()} cores",),
    )


def start(plan: Plan, store: Store, times: Times) -> int:
    """Works in this process until the budget has ended or a signal says leave."""
    supervisor = Supervisor(
        store, plan.study, slots=plan.slots, artifacts=plan.artifacts, cache=plan.cache, times=times
    )
    return supervisor.run()
