"""Reading beside other loaders: the same shards, the same decoding, two processes, a warm cache.

    PYTHONPATH=. python infra/bench/loader_against.py --peers /path/of/an/environment/bin/python

`loader_peers.py` says what that environment holds; a peer that cannot be imported there is told as such.
Rounds alternate to meet the same machine; medians.
Must reach, in samples/s decoded at 256 px: 1.0 of webdataset and Grain, 1.3 of wids, 1.2 of Energon; none
lost and none repeated in an epoch over three ranks; first rows after a resume in 1/50 of webdataset's time
and 1/3 of Energon's.
"""

import json
import statistics
import subprocess
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from common import arguments, machine, print_table

from loader import HOW, exported
from thresher.loader.index import Source, open_source
from thresher.loader.plan.plan import Plan, Stage
from thresher.loader.steps import Loader
from thresher.loader.tokens import Bytes

PEERS = ("webdataset", "wids", "energon", "grain")
WORKERS, WORLD = 2, 3
ABSENT = "not installed"


def asked(python: str, peer: str, task: str, folder: Path, rounds: int) -> Any:
    """What `loader_peers.py` measures of one peer; None if it cannot be imported there."""
    script = Path(__file__).with_name("loader_peers.py")
    module = "megatron.energon" if peer == "energon" else peer
    if not python or subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode:
        return None
    command = [python, str(script), peer, task, str(folder), str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def staged(source: Source) -> Plan:
    """Rows of 4,096 tokens, eight a step, packed a thousand samples at a time."""
    return Plan([source], [1], Stage("one", 0, 4096, 8, HOW, window=1024))


def rates(source: Source, folder: Path, python: str, rounds: int) -> None:
    """Samples a second."""
    n = len(source.pattern)
    loader = iter(Loader(staged(source), [source], Bytes(), workers=WORKERS))
    told: dict[str, list[float]] = {name: [] for name in ("thresher", *PEERS)}
    for _ in range(rounds):
        list(islice(loader, 4))
        began, count = time.perf_counter(), 0
        while count < n - 256:
            count += sum(len(row.pictures) for row in next(loader).rows)
        told["thresher"].append(count / (time.perf_counter() - began))
        time.sleep(3)
        for peer in PEERS:
            told[peer] += asked(python, peer, "rate", folder, 1) or []
    loader.close()  # type: ignore[attr-defined]
    medians = {name: statistics.median(held) if held else None for name, held in told.items()}
    ours = medians["thresher"] or 0
    rows = [[name, rate or ABSENT, ours / rate if rate else ""] for name, rate in medians.items()]
    print_table([f"decoded at 256 px, {WORKERS} processes", "samples/s", "ours to this"], rows)


def epochs(source: Source, folder: Path, python: str) -> None:
    """One epoch over three ranks; what is lost if ranks stop together is the rest of the longer ones."""
    n, plan = len(source.pattern), staged(source)
    times, ranks = np.zeros(n, int), []
    slots = -(-n // 1024) * 1024  # whole windows, which end as blocks of the mixture do
    steps = next(t for t in range(n) if plan.step(t)[0][0].slot >= slots)
    first = plan.mixture.slots(0, slots)[1] < n
    for rank in range(WORLD):
        before = times.sum()
        loader = iter(Loader(plan, [source], Bytes(), rank=rank, world=WORLD, workers=WORKERS))
        for loaded in islice(loader, steps):
            held = [slot for row in loaded.rows for slot in row.slots if slot.slot < slots]
            np.add.at(times, [slot.sample for slot in held if first[slot.slot]], 1)
        loader.close()  # type: ignore[attr-defined]
        ranks.append(int(times.sum() - before))
    lost = int((times == 0).sum())
    rows: list[list[Any]] = [["thresher", lost, int((times - 1).clip(0).sum()), str(ranks), lost]]
    for peer in PEERS:
        found = asked(python, peer, "epoch", folder, 1)
        if not found:
            rows.append([peer, ABSENT, "", "", ""])
            continue
        told = found[0]
        together = told["lost"] + sum(told["ranks"]) - WORLD * min(told["ranks"])
        rows.append([peer, told["lost"], told["repeated"], str(told["ranks"]), together])
    print_table(
        [f"epoch of {n}, {WORLD} ranks, 7 shards", "lost", "repeated", "of each rank", "lost in equal steps"],
        rows,
    )


def resumes(source: Source, folder: Path, python: str, rounds: int) -> None:
    """The first sample after 90 % of an epoch. Skipping grows with the epoch: also for 10^7 samples."""
    n, plan, told = len(source.pattern), staged(source), []
    plan.remember(source.folder)
    step = next(t for t in range(n) if plan.step(t)[0][0].slot >= n * 9 // 10)
    for _ in range(rounds):
        began = time.perf_counter()
        loader = iter(Loader(staged(source), [source], Bytes(), workers=WORKERS, first=step))
        next(loader)
        told.append(time.perf_counter() - began)
        loader.close()  # type: ignore[attr-defined]
    rows: list[list[Any]] = [["thresher", statistics.median(told), "see loader.py"]]
    for peer in ("webdataset", "energon"):
        found = asked(python, peer, "resume", folder, rounds)
        if not found:
            rows.append([peer, ABSENT, ""])
            continue
        late, early = (statistics.median(column) for column in zip(*found, strict=True))
        rows.append([peer, late, late if peer == "energon" else early + (late - early) / n * 10**7])
    print_table([f"at 90 % of {n} samples", "first sample s", "of 10^7 samples s"], rows)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--peers", default="")
    parser.add_argument("--samples", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    print(machine() + "\n")
    with tempfile.TemporaryDirectory() as place:
        folder = exported(Path(place), given.samples, 1)
        source = open_source("pool", folder, Bytes())
        rates(source, folder, given.peers, given.rounds)
        resumes(source, folder, given.peers, given.rounds)
        few = exported(Path(place) / "few", 1000, 1, (40, 60))
        epochs(open_source("few", few, Bytes()), few, given.peers)


if __name__ == "__main__":
    main()
