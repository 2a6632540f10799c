"""The same run from Python."""

import thresher


def test_python_and_yaml_give_the_same_export(cli, pool, recipe, tmp_path, monkeypatch, tree_digest):
    cli.run(recipe(), "--run", "yaml", "--local")
    monkeypatch.chdir(tmp_path)
    select = {"select": {"drop": {"blurry": "sharpness < 60"}}}
    images = {
        "ingest": {"folder": "photos"},
        "steps": ["quality", "dedupe.exact", "dedupe.near", select],
        "export": {"shard_size": "100KB"},
    }
    made = thresher.Recipe(name="photos", seed=7, tables={"images": images})
    summary = thresher.run(made, "python", local=True, quiet=True)
    both = [(tmp_path / r / "export/images/latest").resolve() for r in ("yaml", "python")]
    assert both[0].name == both[1].name, "equal fingerprints"
    assert tree_digest(both[0]) == tree_digest(both[1])
    assert summary.tables[0].export == both[1]
