"""The one place where a model's weights come to life: loaded once, in batches of a size that it measures.

The batch grows while the rate rises; every batch is filled up to that size with repeats of its last input,
so that a value does not depend on how many records came together. Out of memory halves the batch for good.
"""

import contextlib
import gc
import glob
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from thresher.operators.models.clock import Clock, clocked
from thresher.operators.models.torch_setup import compile_modules, modules, own_stream
from thresher.schemas.errors import ThresherError

if TYPE_CHECKING:
    from thresher.operators.models.model import ModelMeasure

MOST = 1024
"""No batch is larger, in records."""
WORTH = 1.05
"""A batch twice as large must bring 5 % more records a second."""
LONG_S = 5.0
"""A batch that takes longer is the last to be tried."""
_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "cublas_status_alloc_failed",
)


@dataclass
class Usage:
    """What a resident did so far."""

    records: int = 0
    batches: int = 0
    forward_s: float = 0.0
    """With a batch on the device; for engines other than torch, within `forward`."""
    load_s: float = 0.0
    active_s: float = 0.0
    """From the first record to the end of the last."""
    halvings: int = 0
    flops: float = 0.0
    """Floating-point operations for one record, counted in torch; 0 for other engines."""
    tried: dict[int, float] = field(default_factory=dict)
    """Batch size -> records a second, as found by measuring."""


class TooLarge(ThresherError):
    """Not even one record fits into the device's memory."""


class Resident:
    """One model on one device, compiled by torch if asked. `batch` 0: found with the first inputs.

    `run` may be called by several threads: each has a CUDA stream of its own.
    """

    def __init__(self, measure: "ModelMeasure", device: str, batch: int = 0, compiled: bool = False) -> None:
        self._measure, self.device, self.batch = measure, device, batch
        self.usage = Usage()
        self._lock, self._starting = threading.Lock(), threading.RLock()
        self._forward_clock, self._device_clock = Clock(), Clock()
        started = time.perf_counter()
        self._model = measure.load(device)
        self.usage.load_s = time.perf_counter() - started
        self._compiled = compiled and not measure.batch  # still to be done; where inputs have one shape
        self._warm, self._since = False, 0.0
        self._spent_before: Mapping[str, float] = {}

    def run(self, inputs: Sequence[Any]) -> dict[str, list[Any]]:
        """Column -> one value for each of `inputs`, in order."""
        found: dict[str, list[Any]] = {column.name: [] for column in self._measure.writes()}
        if inputs:
            self._start(inputs[0])
        before, done = self.batch, 0
        while done < len(inputs):
            size = self.batch
            chunk = inputs[done : done + size]
            try:
                values = self._forward(chunk, size)
            except Exception as error:
                if size == 1 and out_of_memory(error):
                    self.batch = before  # one record that fits nowhere says nothing of the others
                self._halve(error, size)
                continue
            for name, column in found.items():
                column.extend(values[name][: len(chunk)])
            done += len(chunk)
            with self._lock:
                self.usage.batches += 1
                self.usage.forward_s = self._device_clock.seconds or self._forward_clock.seconds
                self.usage.records += len(chunk)
                self.usage.active_s = time.perf_counter() - self._since
        return found

    def search(self, sample: Any) -> int:
        """The smallest batch size that is within 5 % of the best rate, by doubling until two sizes in a row
        bring no more: one may be slow because others use the machine."""
        with self._starting:
            self._warm_up(sample)
            return self._search(sample)

    def _search(self, sample: Any) -> int:
        rates, size, misses = self.usage.tried, 1, 0
        while size <= MOST and misses < 2:
            best = max(rates.values(), default=0.0)
            try:
                rates[size] = self._rate(sample, size)
            except Exception as error:
                if not out_of_memory(error):
                    raise
                if size == 1:
                    raise self._too_large() from error
                self._clear()
                break
            misses = 0 if rates[size] > WORTH * best else misses + 1
            if size / rates[size] > LONG_S:
                break
            size *= 2
        return min(tried for tried, rate in rates.items() if rate * WORTH >= max(rates.values()))

    @property
    def device_name(self) -> str:
        """`cpu`, or the GPU's own name."""
        if not self.device.startswith("cuda"):
            return self.device
        import torch

        return str(torch.cuda.get_device_name(self.device))

    def forget(self) -> None:
        """Count anew what is done, but for the loading."""
        self.usage = Usage(load_s=self.usage.load_s, flops=self.usage.flops, tried=self.usage.tried)
        self._forward_clock, self._device_clock, self._since = Clock(), Clock(), 0.0
        self._spent_before = dict(self._measure.spent(self._model))

    @property
    def spent(self) -> dict[str, float]:
        """What the model used besides time since `forget`."""
        spent = self._measure.spent(self._model)
        return {name: used - self._spent_before.get(name, 0) for name, used in spent.items()}

    @property
    def each_spent(self) -> Sequence[Mapping[str, float]]:
        """The same for each of the last records, where the model counts that."""
        return self._measure.each_spent(self._model)

    def _forward(self, chunk: Sequence[Any], size: int) -> Mapping[str, Sequence[Any]]:
        repeats = size - len(chunk) if self._measure.filled else 0
        with own_stream(self.device), self._forward_clock, clocked(self._device_clock):
            return self._measure.forward(self._model, [*chunk, *[chunk[-1]] * repeats])

    def _start(self, sample: Any) -> None:
        """Be ready for batches. One thread at a time: what this switches in torch holds for the process."""
        with self._starting:
            self._warm_up(sample)
            self.batch = self.batch or self._search(sample)
            if self._compiled:
                self._compile(sample)
            self._since = self._since or time.perf_counter()

    def _warm_up(self, sample: Any) -> None:
        """One record by itself, to count its operations."""
        if modules(self._model) and not self._warm:
            try:
                with _flop_counter() as counter:
                    self._measure.forward(self._model, [sample])
            except Exception as error:
                if out_of_memory(error):
                    raise self._too_large() from error
                raise
            self.usage.flops = counter.get_total_flops()
        self._warm = True

    def _compile(self, sample: Any) -> None:
        """Let torch compile the model for the batch that was found."""
        self._compiled = False
        compile_modules(self._model)
        try:
            self._measure.forward(self._model, [sample] * self.batch)
        except Exception as error:
            if not out_of_memory(error):
                what = f"torch cannot compile {self._measure.name}: {str(error).strip().splitlines()[0]}"
                raise ThresherError(what, mend="Take `compile: true` out of the profile") from error
            self._clear()

    def _rate(self, sample: Any, size: int) -> float:
        """Records a second in a batch of copies: the best of four runs, since others may use the machine."""
        best = float("inf")
        for _ in range(4):
            started = time.perf_counter()
            self._measure.forward(self._model, [sample] * size)
            best = min(best, time.perf_counter() - started)
            if best > 1:
                break
        return size / max(best, 1e-9)

    def _halve(self, error: Exception, size: int) -> None:
        """Take half of `size` from now on, unless another thread did."""
        if not out_of_memory(error):
            raise error
        if size == 1:
            raise self._too_large() from error
        with self._lock:
            if self.batch == size:
                self.batch //= 2
                self.usage.halvings += 1
        self._clear()

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"{self._measure.name} does not fit into the memory of {self.device}, even for one record",
            mend="Choose a smaller model, or a device with more memory",
        )

    def _clear(self) -> None:
        gc.collect()
        if self.device.startswith("cuda"):
            import torch

            torch.cuda.empty_cache()


@contextlib.contextmanager
def _flop_counter() -> Iterator[Any]:
    """Counts the operations of a forward pass in torch."""
    from torch.backends import mha
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    fused = mha.get_fastpath_enabled()
    mha.set_fastpath_enabled(False)  # the counter does not know an encoder layer, or attention, in one call
    try:
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            yield counter
    finally:
        mha.set_fastpath_enabled(fused)


_residents: dict[tuple[Any, ...], Resident] = {}
_settings: dict[str, Any] = {"device": "", "batch": 0, "compiled": False}


def configure(device: str = "", batch: int = 0, compiled: bool = False) -> None:
    """Where this process runs models (empty: the first GPU, else the CPU), in which batch (0: found), and
    whether torch compiles them."""
    _settings.update(device=device, batch=batch, compiled=compiled)


def profile_batch() -> int:
    """The batch that the profile asks for; 0 where it does not."""
    return int(_settings["batch"])


def resident(measure: "ModelMeasure") -> Resident:
    """The resident of this process for a Measure with these parameters; loaded at the first call."""
    device = "cpu" if measure.device == "cpu" else _settings["device"] or default_device()
    batch = measure.batch or _settings["batch"]
    compiled = _settings["compiled"]
    key = (measure.name, measure.params.model_dump_json(), measure.revision(), device, batch, compiled)
    if key not in _residents:
        _residents[key] = Resident(measure, device, batch, compiled)
    return _residents[key]


def default_device() -> str:
    """`cuda:0` where torch is installed and sees a GPU, else `cpu`."""
    if not (glob.glob("/dev/nvidia[0-9]*") or os.path.exists("/dev/dxg")):  # torch takes seconds to load
        return "cpu"
    with contextlib.suppress(ImportError):
        import torch

        if torch.cuda.is_available():
            return "cuda:0"
    return "cpu"


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a device or on the host."""
    return isinstance(error, MemoryError) or any(word in str(error).lower() for word in _OUT_OF_MEMORY)
