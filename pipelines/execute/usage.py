"""What models did in a pass: each process leaves a note, the driver adds them up for metrics and report."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from thresher.operators.models.resident import Resident
from thresher.pipelines.store.files import read_json, write_bytes, write_json

PEAK_TFLOPS = {"H100": 989, "H200": 989, "A100": 312, "L40S": 362, "4090": 165}
"""Dense bf16 of a GPU by a part of its name, from its data sheet; the utilisation is of this."""


def leave_note(run: str, fp: str, worker: Resident) -> None:
    """Write what the resident of this process did so far for the operator with fingerprint `fp`."""
    known: dict[str, Any] = {"device": worker.device, "name": worker.device_name, "batch": worker.batch}
    known["spent"], known["each"] = worker.spent, list(worker.each_spent)
    write_bytes(_note(run, fp), json.dumps(known | asdict(worker.usage)).encode())


def has_note(run: str, fp: str) -> bool:
    """Whether this process has left one in the pass that is under way."""
    return _note(run, fp).exists()


def _note(run: str, fp: str) -> Path:
    return Path(run) / "log" / "models" / f"{fp}-{os.uname().nodename}-{os.getpid()}.json"


def forget_notes(run: Path, fp: str) -> None:
    """Remove what earlier runs left: a pass is measured by itself."""
    for file in (run / "log" / "models").glob(f"{fp}-*.json"):
        file.unlink()


def gather(run: Path, fp: str) -> dict[str, Any]:
    """What all processes did with the operator of fingerprint `fp`; empty if it is no model.

    Rates and `idle_share`, the part of a device's time without a forward pass, are from the first record to
    the last: loading is apart.
    """
    notes = [json.loads(file.read_bytes()) for file in sorted((run / "log" / "models").glob(f"{fp}-*.json"))]
    if not notes:
        return {}
    forward, work = sum(n["forward_s"] for n in notes), sum(n["records"] for n in notes)
    active = sum(n["active_s"] for n in notes)
    used: dict[str, Any] = {
        "device": ", ".join(sorted({n["name"] for n in notes})),
        "records": work,
        "batch": min(n["batch"] for n in notes),
        "records_per_s": work / max(active, 1e-9) * len(notes),
        "forward_per_s": work / max(forward, 1e-9) * len(notes),
        "idle_share": 1 - min(forward / max(active, 1e-9), 1),
        "load_s": max(n["load_s"] for n in notes),
        "halvings": sum(n["halvings"] for n in notes),
    }
    for name in notes[0]["spent"]:
        used[name] = sum(n["spent"][name] for n in notes)
    if flops := max(n["flops"] for n in notes):
        used["tflops"] = flops * work / max(forward, 1e-9) / 1e12
        peak = next((p for name, p in PEAK_TFLOPS.items() if name in used["device"]), None)
        if peak:
            used["flop_utilisation"] = used["tflops"] / peak
    return {name: float(f"{v:.4g}") if isinstance(v, float) else v for name, v in used.items()}


def each_spent(run: Path, fp: str) -> list[dict[str, float]]:
    """What each of the last records took that a model was asked about, of all processes."""
    files = sorted((run / "log" / "models").glob(f"{fp}-*.json"))
    return [spent for file in files for spent in json.loads(file.read_bytes())["each"]]


def spent_before(run: Path, fp: str) -> dict[str, float]:
    """What a process asked of a model before its first record, to test it, named as in `each_spent`: the most
    of all processes, as each asks the same; empty if nothing was asked."""
    files = sorted((run / "log" / "models").glob(f"{fp}-*.json"))
    notes = [json.loads(file.read_bytes())["spent"] for file in files]
    tests = [{name: used[f"gate_{name}"] for name in used if f"gate_{name}" in used} for used in notes]
    return max(
        (test for test in tests if test.get("requests")), key=lambda test: test["requests"], default={}
    )


def remember(run: Path, table: str, label: str, used: dict[str, Any]) -> None:
    """Keep what a step's model did for the report."""
    file = run / "log" / "models.json"
    known = read_json(file) or {}
    write_json(file, known | {table: known.get(table, {}) | {label: used}})
