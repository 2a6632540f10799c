"""The comparison from beginning to end: hold out, train A twice and B once for each seed, evaluate, judge."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from thresher import __version__
from thresher.operators.export.manifest import digest
from thresher.pipelines.ablate import arms, page, results
from thresher.pipelines.ablate.arms import AGAIN, Arm
from thresher.pipelines.ablate.exports import Export, open_export, write_view
from thresher.pipelines.ablate.holdout import hold_out
from thresher.pipelines.ablate.statistics import Judgement, Verdict, judge, seeds_for
from thresher.pipelines.cli.text import counted, time_text
from thresher.pipelines.store.files import read_json, write_bytes, write_json, write_table
from thresher.schemas import UsageError

CONFIG = Path(__file__).parents[2] / "configs" / "ablate.yaml"
FLOOR_SEEDS = 3
"""Seeds of the A/A run: a third more training tells what order alone does."""
SIDES = {"a": "A", "b": "B"}
Tell = Callable[[str], None]


class Request(NamedTuple):
    """What is asked for."""

    a: Path
    b: Path
    out: Path
    config: Path = CONFIG
    seeds: int = 6
    steps: int | None = None
    delta: float = 0.01
    hold: int = 20


def ablate(request: Request, tell: Tell) -> dict[str, Any]:
    """Run or go on with a comparison; `tell` is given lines for a reader. Returns what `ablate.json` holds.

    Raises UsageError for wrong sets, a wrong config, or a folder of another comparison.
    """
    request = request._replace(out=request.out.resolve())
    base = arms.read_config(request.config, request.steps)
    named = {"a": request.a, "b": request.b} | arms.others(base)
    exports = [open_export(name, folder) for name, folder in named.items()]
    _claim(request, base, exports)
    split = _hold_out(exports, request, tell)
    told: dict[Arm, dict[str, Any]] = {}
    pairs = min(FLOOR_SEEDS, request.seeds)
    first = [Arm(name, seed) for seed in range(pairs) for name in ("a", AGAIN)]
    rest = [Arm(name, seed) for seed in range(request.seeds) for name in ("a", "b")]
    views = {e.name: request.out / "train" / e.name for e in exports}
    held = {e.name: request.out / "held" / e.name for e in exports}
    held = {name: folder for name, folder in held.items() if folder.exists()}
    todo = list(dict.fromkeys([*first, *rest]))
    runs = {arm: request.out / "runs" / arm.folder for arm in todo}
    for number, arm in enumerate(todo, 1):
        done = (runs[arm] / "done.json").exists()
        told[arm] = arms.train(arms.config_of(base, arm, views, runs[arm]), runs[arm])
        took = "was done" if done else time_text(told[arm]["seconds"])
        tell(f"{number} of {len(todo)}: {_name(arm)}, seed {arm.seed}: {took}")
        if arm == first[-1]:
            arms.evaluate([runs[arm] for arm in first], held, request.out)
            floors = _floors(request, split, pairs)
            for kind, floor in floors.items():
                tell(
                    f"Noise floor of {results.KINDS[kind]}: order alone moves it by {floor:.2%}; "
                    f"{counted(seeds_for(request.delta, floor), 'seed')} would find {request.delta:.2%}."
                )
    arms.evaluate(list(runs.values()), held, request.out)
    return _finish(request, base, exports, split, floors, told)


def _name(arm: Arm) -> str:
    return "A in another order" if arm.name == AGAIN else SIDES[arm.name]


def _claim(request: Request, base: arms.Config, exports: Sequence[Export]) -> None:
    """Refuse a folder of another comparison: its runs would be taken for ours."""
    if request.seeds < 2:
        raise UsageError(f"{request.seeds} seeds cannot be compared", "--seeds", "Take 2, and 6 for a claim")
    whose = {export.name: export.dataset["files"] for export in exports}
    told = digest({"version": __version__, "config": base, "hold": request.hold, "sets": whose})
    file = request.out / "protocol.json"
    known = read_json(file)
    if known is not None and known["digest"] != told:
        mend = "Name another folder with --out, or remove that one"
        raise UsageError("holds a comparison of other sets, config or hold-out", str(request.out), mend)
    sets = {e.name: str(e.folder) for e in exports}
    write_json(file, {"digest": told, "sets": sets, "config": base, "hold": request.hold})


def _hold_out(exports: Sequence[Export], request: Request, tell: Tell) -> pa.Table:
    """The held-out samples; makes the views that are trained on and evaluated, once."""
    file = request.out / "held.parquet"
    if not file.exists():
        records = sum(len(export.rows) for export in exports)
        tell(f"Holding out {request.hold} per mille of the contents of {counted(records, 'record')} ...")
        split = hold_out(exports, request.hold)
        for export, trained, evaluated in zip(exports, split.trained, split.evaluated, strict=True):
            write_view(export, trained, request.out / "train" / export.name)
            if evaluated.any():
                write_view(export, evaluated, request.out / "held" / export.name, every_once=True)
        left = f"; {counted(split.near, 'record')} left out that look like one in training"
        tell(f"{counted(len(split.rows), 'sample')} to judge by{left if split.near else ''}")
        kept_out = sum(int((~trained).sum()) for trained in split.trained)
        write_json(request.out / "held.json", {"near": split.near, "kept_out": kept_out})
        write_table(file, split.rows)
    return pq.read_table(file)


def _losses(request: Request, against: str, seeds: int, held: pa.Table) -> results.Losses:
    """Of the arm `against` beside those of A."""

    def files(name: str) -> list[Path]:
        return [request.out / "runs" / Arm(name, seed).folder / "held.parquet" for seed in range(seeds)]

    return results.read(files("a"), files(against), held)


def _floors(request: Request, held: pa.Table, pairs: int) -> dict[str, float]:
    """By kind of loss, the standard deviation of A/A differences."""
    losses = _losses(request, AGAIN, pairs, held)
    mask = results.judged(losses)
    tables = {kind: losses.table(mask & losses.where(kind=kind)) for kind in losses.kinds()}
    return {kind: float(table.differences.std(ddof=1)) for kind, table in tables.items()}


def _finish(
    request: Request,
    base: arms.Config,
    exports: Sequence[Export],
    held: pa.Table,
    floors: Mapping[str, float],
    told: Mapping[Arm, Mapping[str, Any]],
) -> dict[str, Any]:
    """Judge, and write `ablate.json` and the page."""
    losses = _losses(request, "b", request.seeds, held)
    again = _losses(request, AGAIN, sum(arm.name == AGAIN for arm in told), held)
    mask, shift = results.judged(losses), float(base["stages"][0].get("shift", 1.0))
    by_kind: dict[str, Any] = {}
    judgements: dict[str, Judgement] = {}
    for kind in losses.kinds():
        of_kind = losses.where(kind=kind)
        table = losses.table(mask & of_kind)
        judgements[kind] = judge(table, request.delta, floors.get(kind))
        tokens = losses.rows["tokens"].to_numpy()[mask & of_kind].sum()
        by_kind[kind] = judgements[kind].as_json() | {
            "title": results.KINDS[kind],
            "a": (table.a.sum(axis=1) / tokens).tolist(),
            "b": (table.b.sum(axis=1) / tokens).tolist(),
            "differences": table.differences.tolist(),
            "again": again.table(mask & of_kind).differences.tolist(),
            "parts": [part._asdict() for part in _parts(losses, mask, kind, shift)],
        }
    seconds = [known["seconds"] for known in told.values()]
    disputed = sum(held["disputed"].to_pylist())
    found = {
        "a": str(request.a),
        "b": str(request.b),
        "verdict": str(verdict(judgements)),
        "words": words(judgements, float(np.mean(seconds))),
        "delta": request.delta,
        "outcomes": by_kind,
        "held_out": {
            "per_mille": request.hold,
            "samples": len(held),
            "groups": len(set(held["group"].to_pylist())),
            "disputed": disputed,
            "disputed_count": bool(mask.all()) and disputed > 0,
            **read_json(request.out / "held.json"),
        },
        "exposure": {SIDES[s]: _exposure(s, exports, told, request) for s in SIDES},
        "config": base,
    }
    write_json(request.out / "ablate.json", found)
    drawn = page.pairs(request.out, [export.name for export in exports])
    write_bytes(request.out / "ablate.html", page.render(found, drawn).encode())
    return found


def _levels(tenth: int, shift: float) -> str:
    """The noise levels of a tenth of a stage's logit-normal, shifted distribution (`trainer.md` 4.2)."""
    z = [NormalDist().inv_cdf(min(max(share / 10, 1e-9), 1 - 1e-9)) for share in (tenth, tenth + 1)]
    low, high = (shift * math.exp(v) / (1 + shift * math.exp(v)) for v in z)
    return f"noise level {low:.2f} to {high:.2f}"


def _parts(losses: results.Losses, judged: results.Mask, kind: str, shift: float) -> list[results.Part]:
    """Differences on parts of the hold-out: whose it is, which caption, which noise level."""
    of_kind = losses.where(kind=kind)
    whose = {
        "union, judged": judged,
        "held-out of A": losses.where(in_a=True),
        "held-out of B": losses.where(in_b=True),
    }
    names = sorted({v for v in losses.rows["variant"].to_pylist() if v})
    whose |= {f"caption {name}": judged & losses.where(variant=name) for name in names}
    bins = sorted({b for b in losses.rows["t_bin"].to_pylist() if b >= 0})
    whose |= {_levels(b, shift): judged & losses.where(t_bin=b) for b in bins}
    return [losses.part(name, mask & of_kind) for name, mask in whose.items() if (mask & of_kind).any()]


def _exposure(
    side: str, exports: Sequence[Export], told: Mapping[Arm, Mapping[str, Any]], request: Request
) -> dict[str, Any]:
    """What the runs of an arm have met of its set, as means over seeds."""
    runs = [known for arm, known in told.items() if arm.name == side]
    mean = {name: float(np.mean([run[name] for run in runs])) for name in ("samples", "distinct", "tokens")}
    size = len(open_export(side, request.out / "train" / side).rows)
    return mean | {"records": size, "epochs": mean["samples"] / size}


def verdict(judgements: Mapping[str, Judgement]) -> Verdict:
    """Of all outcomes: a set is better only if no outcome names the other one."""
    found = {judgement.verdict for judgement in judgements.values()}
    for side, other in ((Verdict.A, Verdict.B), (Verdict.B, Verdict.A)):
        if side in found and other not in found:
            return side
    return Verdict.SAME if found == {Verdict.SAME} else Verdict.OPEN


def words(judgements: Mapping[str, Judgement], seconds: float) -> list[str]:
    """The verdict on each outcome as a sentence, with what it would cost to decide."""
    lines = []
    for kind, j in judgements.items():
        line = (
            f"{results.KINDS[kind]}: {j.verdict}. B's loss is {abs(j.mean):.2%} "
            f"{'above' if j.mean > 0 else 'below'} A's (95 % interval {j.interval.low:+.2%} to "
            f"{j.interval.high:+.2%}, sign-flip p {j.p:.3f}, {counted(j.seeds, 'seed')}): {j.why}."
        )
        if j.to_decide:
            cost = time_text(2 * j.to_decide * seconds)
            line += f" To decide takes about {counted(j.to_decide, 'more seed')}, {cost} on this machine."
        lines.append(line)
    return lines
