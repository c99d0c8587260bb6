"""How much of each GPU's memory is in use, as the NVIDIA driver counts it, by whatever program.

Asks the driver's management library (NVML), which needs no CUDA context and comes with every driver. This
room must not know who uses the memory.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

LIBRARY = "libnvidia-ml.so.1"


@dataclass(frozen=True, slots=True)
class GpuMemory:
    """Of one GPU, in bytes."""

    used: int
    total: int


class _Memory(ctypes.Structure):
    """`nvmlMemory_t`."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


class Gpus:
    """The GPUs of this machine, numbered as `nvidia-smi` does; none where there is no driver."""

    def __init__(self, library: str = LIBRARY) -> None:
        self._handles: list[ctypes.c_void_p] = []
        try:
            self._nvml = ctypes.CDLL(library)
        except OSError:
            return
        count = ctypes.c_uint(0)
        if self._nvml.nvmlInit_v2() or self._nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)):
            return
        for number in range(count.value):
            handle = ctypes.c_void_p()
            if self._nvml.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(number), ctypes.byref(handle)) == 0:
                self._handles.append(handle)

    def __len__(self) -> int:
        return len(self._handles)

    def memory(self, number: int) -> GpuMemory:
        """Takes microseconds. Zeros where the driver does not say, as of a GPU that has just been lost."""
        found = _Memory()
        if self._nvml.nvmlDeviceGetMemoryInfo(self._handles[number], ctypes.byref(found)):
            return GpuMemory(0, 0)
        return GpuMemory(found.used, found.total)
