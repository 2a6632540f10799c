"""Every broken, odd and unreadable file, as an ordinary user meets it."""

import json
import os
from pathlib import Path

import pytest

LESS = "-dac_override,-dac_read_search"


@pytest.mark.acceptance("C8")
def test_every_bad_file_gets_its_reason(cli, recipe, tmp_path: Path, ledger_of):
    """Root reads what has mode 000, so the run gives that right up."""
    from thresher.pipelines.demo.broken import write_broken

    pool = tmp_path / "photos"
    pool.mkdir()
    planted = write_broken(pool)
    if os.geteuid() == 0:
        cli.prefix = ["setpriv", f"--bounding-set={LESS}", f"--inh-caps={LESS}"]
    text = recipe().read_text().replace("sharpness < 60", "short_side < 1")
    (tmp_path / "photos.yaml").write_text(text)
    cli("run", "photos.yaml", "--run", "r", "--local", "--json")
    problems = json.loads(cli.out)["tables"]["images"]["problems"]
    rows = {r["id"]: r for r in ledger_of(tmp_path / "r")}
    wrong = []
    for entry in planted:
        row = rows.get(entry.id)
        status, reasons = entry.status, entry.reasons
        if entry.key == "no-entry.jpg":
            status, reasons = "failed", ("unreadable",)
        if entry.key == "locked/inside.jpg":
            status = "absent"
        if status == "absent":
            bad = row is not None
        elif status == "failed":
            bad = row is None or row["status"] != "failed" or row["reason"] not in reasons
        else:
            bad = row is None or row["status"] == "failed"
        if bad:
            wrong.append((entry, row and (row["status"], row["reason"], row["message"])))
    assert not wrong, "\n".join(map(str, wrong))
    assert any(p["reason"] == "unreadable" for p in problems), "the locked folder is reported"
    assert {"hidden", "link_loop"} <= {p["reason"] for p in problems}
    assert all(r["message"] for r in rows.values() if r["status"] == "failed")
