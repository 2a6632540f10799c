"""torch as this project uses it: all cores of a CPU, bf16 on CUDA, and torchvision beside a CPU build."""

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thresher.operators.models.clock import working
from thresher.operators.models.weights import missing_package

_thread = threading.local()


def setup_torch() -> Any:
    """The torch module, ready. Raises ThresherError where it is not installed."""
    try:
        import torch
    except ImportError as error:
        raise missing_package("torch", "models") from error
    _declare_vision_operators(torch)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.backends.cuda.matmul.allow_tf32 = True
    return torch


def precision(device: str) -> Any:
    """The float type of a model on `device`: bf16 on CUDA, fp32 elsewhere."""
    torch = setup_torch()
    return torch.bfloat16 if device.startswith("cuda") else torch.float32


def to_device(arrays: Any, device: str) -> Any:
    """A numpy array as a tensor on `device`; pinned and asynchronous for CUDA."""
    torch = setup_torch()
    tensor = torch.from_numpy(arrays)
    return tensor.pin_memory().to(device, non_blocking=True) if device.startswith("cuda") else tensor


def infer(model: Any, array: NDArray[Any], compute: Callable[[Any], Any]) -> NDArray[np.float32]:
    """`compute` of an array on the model's device, without gradients, as float32 on the host."""
    torch = setup_torch()
    given = to_device(array, str(next(model.parameters()).device))
    with torch.inference_mode(), working():
        return compute(given).float().cpu().numpy()


def own_stream(device: str) -> contextlib.AbstractContextManager[Any]:
    """Lets this thread's work on a GPU overlap with that of others."""
    if not device.startswith("cuda"):
        return contextlib.nullcontext()
    torch = setup_torch()
    if not hasattr(_thread, "stream"):
        _thread.stream = torch.cuda.Stream(device)
    return torch.cuda.stream(_thread.stream)


def levels(model: Any, pixels: Any, mean: Sequence[float], std: Sequence[float]) -> Any:
    """uint8 (n, h, w, 3) as the floats (n, 3, h, w) of the model, made on its device."""
    torch = setup_torch()
    kind = next(model.parameters()).dtype
    scale = [torch.tensor(x, device=pixels.device, dtype=torch.float32) for x in (mean, std)]
    return ((pixels.float() / 255 - scale[0]) / scale[1]).permute(0, 3, 1, 2).to(kind)


def _declare_vision_operators(torch: Any) -> None:
    """torchvision from PyPI is built for CUDA: beside a CPU torch its import fails for want of the schemas
    of two operators that nothing here calls."""
    for name in () if torch.version.cuda is not None else ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            told = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            torch.library.define(f"torchvision::{name}", told)


def modules(model: Any) -> list[Any]:
    """The torch modules that a Measure loaded: itself, those of a tuple, or none."""
    torch = sys.modules.get("torch")
    parts = model if isinstance(model, tuple) else (model,)
    return [part for part in parts if torch is not None and isinstance(part, torch.nn.Module)]


def compile_modules(model: Any) -> None:
    """Let torch compile each module, or those of its children that are called, at the next batch."""
    for module in modules(model):
        for called in (module, *module.children()):
            called.compile(dynamic=False)
