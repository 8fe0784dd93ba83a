"""GPUs as a worker finds and uses them. There are none here: a stand-in for NVML tells of some."""

import sys
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest

from hpo import gpus
from hpo.child import Child, ForkServer
from hpo.errors import UsageError
from tests.support import FAST
from tests.worker.bench import Bench

GIB = 1 << 30


def nvml(machine: dict[str, tuple[int, int]]) -> SimpleNamespace:
    """The few functions of ``pynvml`` that are asked, over made-up GPUs: UUID -> (free bytes, processes on it)."""
    opened: list[str] = []

    def by_uuid(uuid: str) -> str:
        if uuid not in machine:
            raise RuntimeError(uuid)
        return uuid

    return SimpleNamespace(
        NVMLError=RuntimeError,
        opened=opened,
        nvmlInit=lambda: opened.append("nvml"),
        nvmlShutdown=opened.pop,
        nvmlDeviceGetCount=lambda: len(machine),
        nvmlDeviceGetHandleByIndex=list(machine).__getitem__,
        nvmlDeviceGetHandleByUUID=by_uuid,
        nvmlDeviceGetUUID=str,
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(free=machine[handle][0]),
        nvmlDeviceGetComputeRunningProcesses=lambda handle: list(range(machine[handle][1])),
    )


Machine = Callable[..., SimpleNamespace]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Puts GPUs into this machine: UUID = (free bytes, processes on it)."""

    def put(**found: tuple[int, int]) -> SimpleNamespace:
        fake = nvml({name.replace("_", "-"): memory for name, memory in found.items()})
        monkeypatch.setitem(sys.modules, "pynvml", fake)
        return fake

    return put


def test_auto_takes_what_the_scheduler_chose(machine: Machine) -> None:
    """CUDA_VISIBLE_DEVICES wins, as it is written; an empty one, or -1, means no GPU."""
    machine(GPU_a=(GIB, 0), GPU_b=(GIB, 0))
    assert gpus.find("auto", "1") == ("1",)
    assert gpus.find("auto", "GPU-b, MIG-7") == ("GPU-b", "MIG-7")
    assert gpus.find("auto", "") == gpus.find("auto", "-1") == ()


def test_auto_takes_all_where_nobody_chose(machine: Machine) -> None:
    """All GPUs, by their UUIDs, and NVML is given back."""
    library = machine(GPU_a=(GIB, 0), GPU_b=(GIB, 0))
    assert gpus.find("auto", None) == ("GPU-a", "GPU-b")
    assert library.opened == []


def test_a_list_goes_by_the_numbers_of_nvidia_smi(machine: Machine) -> None:
    """Numbers become UUIDs, UUIDs stay; "none" is none whatever there is."""
    machine(GPU_a=(GIB, 0), GPU_b=(GIB, 0))
    assert gpus.find("1,0", "0") == ("GPU-b", "GPU-a")
    assert gpus.find("GPU-b", None) == ("GPU-b",)
    assert gpus.find("none", "0,1") == ()


@pytest.mark.parametrize("choice", ["2", "0,0", "0,GPU-a", "GPU-x", "", "first"])
def test_a_gpu_that_is_not_there_is_refused(machine: Machine, choice: str) -> None:
    """A number too large, the same GPU twice, a strange name: the message lists what there is."""
    machine(GPU_a=(GIB, 0), GPU_b=(GIB, 0))
    with pytest.raises(UsageError, match=r"accepted: auto, none, .*0 \(GPU-a\), 1 \(GPU-b\)"):
        gpus.find(choice, None)


def test_a_machine_without_a_driver_has_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real library without a driver, and no library at all, find nothing, and say nothing."""
    assert gpus.find("auto", None) == ()
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert gpus.find("auto", None) == ()
    assert gpus.memory("GPU-a") is None


def test_slots_are_dealt_over_the_gpus() -> None:
    """One slot on each GPU, or as many as were asked for, in turns; without GPUs as many as the cores carry."""
    two = ("a", "b")
    assert gpus.deal(two, "auto", slots=None, per_gpu=1, fitting=8) == ("a", "b")
    assert gpus.deal(two, "auto", slots=None, per_gpu=2, fitting=8) == ("a", "b", "a", "b")
    assert gpus.deal(two, "auto", slots=3, per_gpu=2, fitting=8) == ("a", "b", "a")
    assert gpus.deal(two, "auto", slots=1, per_gpu=1, fitting=8) == ("a",)
    assert gpus.deal((), "auto", slots=None, per_gpu=1, fitting=2) == (None, None)
    assert gpus.deal((), "none", slots=3, per_gpu=1, fitting=2) == ("", "", "")
    with pytest.raises(UsageError, match=r"5 trials at a time on 2 GPU\(s\); accepted: at most 2.*--slots-per-gpu 3"):
        gpus.deal(two, "auto", slots=5, per_gpu=1, fitting=8)


def test_a_roomier_gpu_helps_only_where_others_took_the_memory(machine: Machine) -> None:
    """The one with the most free memory; none where the trial was alone, no other has more, or nobody knows."""
    machine(GPU_a=(GIB, 1), GPU_b=(2 * GIB, 1), GPU_c=(3 * GIB, 0), GPU_d=(GIB // 2, 0))
    devices = ["GPU-a", "GPU-b", "GPU-c", "GPU-d", None]
    assert gpus.roomier("GPU-a", devices) == "GPU-c"
    assert gpus.roomier("GPU-c", devices) is None
    assert gpus.roomier("GPU-b", ["GPU-a", "GPU-b"]) is None
    assert gpus.roomier("0", devices) is None


def test_each_slot_sees_its_own_gpu(bench: Bench) -> None:
    """Of two slots, each child sees exactly one GPU, and both GPUs are worked on."""
    bench.create(budget={"trials": 6})
    bench.plan(epochs=2, pause=0.05)
    assert bench.supervisor(devices=["GPU-a", "GPU-b"]).run() == 0
    seen = [line.split()[4] for line in bench.diary.read_text().splitlines()]
    assert len(seen) == 6
    assert set(seen) == {"GPU-a", "GPU-b"}


def test_a_trial_that_others_pushed_out_gets_a_second_chance(bench: Bench, machine: Machine) -> None:
    """Out of memory on a GPU that others use, then complete on a roomier one: one trial, one attempt, no loss."""
    machine(GPU_a=(GIB, 2), GPU_b=(8 * GIB, 0))
    bench.create(budget={"trials": 1})
    bench.plan(full=["GPU-a"])
    assert bench.supervisor(devices=["GPU-a", "GPU-b"]).run() == 0
    counts = bench.status().counts
    assert (counts["complete"], counts["pruned"]) == (1, 0)
    assert bench.store.trial("s", 0).attempt == 1


def test_another_workers_trial_gets_no_second_chance(bench: Bench) -> None:
    """It ran out of memory here, and another worker has it by then: it is not trained beside that one."""
    bench.create(budget={"trials": 1})
    bench.plan(full=["GPU-a", "GPU-b"])
    bench.patch.setattr("hpo.slot.roomier", lambda *_: "GPU-b")
    end, take_over = ForkServer.end, bench.hearing()
    told: list[bool] = []

    def late(server: ForkServer, child: Child) -> None:
        if not told:
            told.append(True)
            take_over()
            bench.store.request_stop("s")
        end(server, child)

    bench.patch.setattr(ForkServer, "end", late)
    assert bench.supervisor(devices=["GPU-a"], times=replace(FAST, lease=60.0, renew=0.05)).run() == 0
    assert len(bench.starts()) == 1


def test_a_trial_too_large_for_its_gpu_is_infeasible(bench: Bench, machine: Machine) -> None:
    """Alone on its GPU, a trial that runs out of memory is not tried elsewhere: the sampler learns from it."""
    machine(GPU_a=(GIB, 0), GPU_b=(8 * GIB, 0))
    bench.create(budget={"trials": 1})
    bench.plan(full=["GPU-a", "GPU-b"])
    assert bench.supervisor(devices=["GPU-a", "GPU-b"]).run() == 0
    assert bench.status().failures == {"out of memory": 1}
    assert len(bench.starts()) == 1
