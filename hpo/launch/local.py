"""Workers on this machine: one supervisor in this very process, a slot for each GPU, or as many as the cores carry."""

from collections import Counter

from hpo import gpus
from hpo.launch import Plan, Wish
from hpo.settings import cores, visible_gpus
from hpo.store import Store
from hpo.worker import Supervisor


def plan(wish: Wish) -> Plan:
    """One supervisor. Looks for GPUs, without TensorFlow.

    Raises:
        UsageError: a GPU that is not there, or more slots than the GPUs take.
    """
    found = gpus.find(wish.gpus, visible_gpus())
    fitting = max(1, cores() // wish.threads)
    devices = gpus.deal(found, wish.gpus, slots=wish.workers, per_gpu=wish.slots_per_gpu, fitting=fitting)
    threads = f"{wish.threads} thread(s) each, {cores()} cores"
    lines = [f"one worker on this machine: {len(devices)} trials at a time, {threads}"]
    lines += [f"  {n} on GPU {device}" for device, n in Counter(devices).items() if device]
    return Plan(wish=wish, devices=devices, lines=tuple(lines))


def start(plan: Plan, store: Store) -> int:
    """Works in this process until the budget has ended or a signal says leave."""
    wish = plan.wish
    return Supervisor(
        store,
        wish.study,
        devices=plan.devices,
        artifacts=wish.artifacts,
        cache=wish.cache,
        times=wish.times,
        metrics_port=wish.metrics_port,
    ).run()
