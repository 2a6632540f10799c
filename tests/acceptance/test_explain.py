"""`thresher explain` tells every kind of story."""

import json

import jsonschema
import pytest

from thresher.pipelines.explain import EXPLAIN_SCHEMA


@pytest.mark.acceptance("C14")
def test_every_kind_of_record_is_explained(cli, pool, recipe, ledger_of, tmp_path):
    cli.run(recipe(), "--run", "r", "--local")
    rows = ledger_of(tmp_path / "r")
    schema = json.loads(cli("schema", "explain"))
    assert schema == EXPLAIN_SCHEMA

    def story(row) -> dict:
        cli("explain", row["id"].hex(), "--run", "r")
        told = cli.out
        data = json.loads(cli("explain", row["id"].hex()[:12], "--run", "r", "--json"))
        jsonschema.validate(data, schema)
        assert data["id"] in told and data["key"] in told and data["status"] in told
        return data | {"told": told}

    kept = story(next(r for r in rows if r["status"] == "kept"))
    assert kept["export"]["shard"].endswith(".tar") and kept["export"]["shard"] in kept["told"]
    assert all(d["kept"] for d in kept["decisions"]) and len(kept["decisions"]) == 3
    sharpness = next(c for c in kept["columns"] if c["name"] == "sharpness")
    assert sharpness["unit"] and sharpness["backend"] and sharpness["step"] == "quality"

    blurry = story(next(r for r in rows if r["reason"] == "blurry"))
    last = blurry["decisions"][-1]
    assert (last["step"], last["reason"], last["column"]) == ("select", "blurry", "sharpness")
    assert float(last["value"]) < 60 and "60" in last["bound"] and blurry["export"] is None

    near = story(next(r for r in rows if r["reason"] == "duplicate_near"))
    keeper = near["duplicates"]["keeper"]
    assert keeper["id"] in near["told"] and int(keeper["distance"]) <= 32
    other = story(next(r for r in rows if r["id"].hex() == keeper["id"]))
    assert near["id"] in [d["id"] for d in other["duplicates"]["dropped"]]

    failed = story(next(r for r in rows if r["reason"] == "not_media"))
    assert failed["message"] and failed["message"] in failed["told"]

    known = {r["id"].hex() for r in rows}
    unknown = next(f"{i:032x}" for i in range(1, 100) if f"{i:032x}" not in known)
    cli("explain", unknown, "--run", "r", code=2)
    assert "no record" in cli.err and "nearest is" in cli.err and any(k in cli.err for k in known)
    digit = next(d for d in "0123456789abcdef" if sum(k.startswith(d) for k in known) > 1)
    cli("explain", digit, "--run", "r", code=2)
    assert "records start with" in cli.err and "more digits" in cli.err
    cli("explain", "no-id", "--run", "r", code=2)
    cli("explain", "00", "--run", "nowhere", code=2)
    assert "no run directory" in cli.err
