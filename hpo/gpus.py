"""The GPUs of this machine, found without TensorFlow: which there are, and how much of their memory is free.

NVIDIA's management library (NVML) is asked through nvidia-ml-py. It numbers GPUs by their place on the bus, CUDA by
their speed, so a GPU goes by its UUID here wherever NVML is there to tell it: CUDA_VISIBLE_DEVICES takes both.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from hpo.errors import UsageError

AUTO, NONE = "auto", "none"
HIDDEN = ""
"""The device of a slot that is to see no GPU: what CUDA_VISIBLE_DEVICES is set to."""


@contextlib.contextmanager
def _nvml() -> Iterator[Any]:
    """The initialised library; None where it, or the driver, is missing."""
    try:
        library: Any = import_module("pynvml")
    except ImportError:
        yield None
        return
    try:
        library.nvmlInit()
    except library.NVMLError:
        yield None
        return
    try:
        yield library
    finally:
        library.nvmlShutdown()


def uuids() -> tuple[str, ...]:
    """All GPUs, in the order of nvidia-smi; () where there are none or nobody could tell."""
    with _nvml() as library:
        if library is None:
            return ()
        handles = (library.nvmlDeviceGetHandleByIndex(i) for i in range(library.nvmlDeviceGetCount()))
        return tuple(library.nvmlDeviceGetUUID(handle) for handle in handles)


@dataclass(frozen=True)
class Memory:
    """Of one GPU now: free bytes, and how many processes hold some of it."""

    free: int
    processes: int


def memory(device: str) -> Memory | None:
    """The memory of a GPU that is given by its UUID; None where nobody could tell."""
    with _nvml() as library:
        if library is None:
            return None
        try:
            handle = library.nvmlDeviceGetHandleByUUID(device)
            free = library.nvmlDeviceGetMemoryInfo(handle).free
            others = library.nvmlDeviceGetComputeRunningProcesses(handle)
        except library.NVMLError:
            return None
        return Memory(free=int(free), processes=len(others))


def find(choice: str, visible: str | None) -> tuple[str, ...]:
    """The GPUs that a worker may use, as values for CUDA_VISIBLE_DEVICES; () means to work on the CPU.

    Args:
        choice: "auto": those that CUDA_VISIBLE_DEVICES names, because a scheduler or a person chose them, else all of
            the machine. "none": no GPU. Otherwise numbers in the order of nvidia-smi, or UUIDs, with commas between.
        visible: CUDA_VISIBLE_DEVICES as it is set for this process; None where it is not.

    Raises:
        UsageError: `choice` names a GPU twice, or one that this machine does not have.
    """
    if choice == NONE:
        return ()
    if choice == AUTO:
        if visible is not None:
            return _entries(visible)
        return uuids()
    wanted = _entries(choice)
    there = uuids()
    found = [there[int(name)] if name.isdigit() and int(name) < len(there) else name for name in wanted]
    strange = [name for name in found if there and name not in there and not name.startswith("MIG-")]
    if strange or not found or len(set(found)) < len(found):
        raise UsageError(
            f"--gpus {choice}: accepted: auto, none, or different GPUs of this machine: "
            + (", ".join(f"{i} ({name})" for i, name in enumerate(there)) or "0, 1, ... as nvidia-smi numbers them")
        )
    return tuple(found)


def deal(gpus: Sequence[str], choice: str, *, slots: int | None, per_gpu: int, fitting: int) -> tuple[str | None, ...]:
    """The device of each slot of a worker: a value for CUDA_VISIBLE_DEVICES, or None to leave it as it is.

    Args:
        gpus: what `find` found.
        choice: what a person chose: with "none", the slots see no GPU at all.
        slots: trials at a time; None means as many as the machine carries.
        per_gpu: trials at a time on one GPU.
        fitting: slots that the machine's cores carry, where there is no GPU.

    Raises:
        UsageError: more slots than the GPUs take.
    """
    if not gpus:
        return ((HIDDEN if choice == NONE else None),) * (slots or fitting)
    places = tuple(gpus) * per_gpu
    if slots is not None and slots > len(places):
        raise UsageError(
            f"{slots} trials at a time on {len(gpus)} GPU(s); accepted: at most {len(places)}. More on one GPU: "
            f"--slots-per-gpu {-(-slots // len(gpus))}; on the CPU: --gpus none"
        )
    return places[: slots or len(places)]


def roomier(device: str, devices: Sequence[str | None]) -> str | None:
    """Another GPU of `devices` with more free memory, for a trial that ran out of it; None where that is no help.

    No help means: no other process holds memory on `device`, so the trial alone was too large for it, or nobody could
    tell.
    """
    here = memory(device)
    if here is None or here.processes == 0:
        return None
    others = {other: memory(other) for other in dict.fromkeys(devices) if other and other != device}
    free = {other: found.free for other, found in others.items() if found is not None and found.free > here.free}
    return max(free, key=lambda name: free[name], default=None)


def _entries(text: str) -> tuple[str, ...]:
    return tuple(entry for entry in (part.strip() for part in text.split(",")) if entry and entry != "-1")
