"""One process, several passes: what one of them met is not laid to the others."""

from tests.models.test_no_memory import PROBE as HUNGRY
from tests.models.test_resident import PROBE, _model_events

TABLES = """
thresher: 1
name: photos
tables:
  slow:
    ingest: {folder: ./slow}
    steps: [probe]
  fast:
    ingest: {folder: ./photos}
    steps: [probe]
"""


def test_two_tables_with_the_same_model_are_told_apart(cli, pool, recipe, plugin):
    plugin("probe", PROBE)
    (cli.cwd / "p.yaml").write_text("batch: 16\n")
    (cli.cwd / "slow").mkdir()
    for path in sorted(pool.glob("retina*")):
        path.rename(cli.cwd / "slow" / f"slow-{path.name}")
    cli.run(recipe(text=TABLES), "--run", "r", "--profile", "./p.yaml", "--local")
    first, second = _model_events(cli.cwd / "r")
    assert first["halvings"] == 1 and second["halvings"] == 0
    assert first["forward_per_s"] < 20 and second["forward_per_s"] > 1000


def test_one_new_record_that_does_not_fit_does_not_stop_a_run_for_good(cli, pool, recipe, plugin):
    plugin("probe", HUNGRY)
    cli.env["HUNGRY"] = "new.jpg"
    path = recipe(("      - quality\n", "      - quality\n      - probe\n"))
    cli.run(path, "--run", "r", "--local")
    from PIL import Image

    Image.open(pool / "rocket-01.jpg").rotate(90).save(pool / "new.jpg")
    cli.run(path, "--run", "r", "--local")


def test_one_record_that_does_not_fit_leaves_the_batch_of_the_others(cli, pool, recipe, plugin):
    plugin("probe", HUNGRY)
    cli.env["HUNGRY"] = "coffee-02.jpg"
    (cli.cwd / "p.yaml").write_text("batch: 16\n")
    cli.run(
        recipe(("      - quality\n", "      - quality\n      - probe\n")),
        "--run",
        "r",
        "--local",
        "--profile",
        "./p.yaml",
    )
    (used,) = _model_events(cli.cwd / "r")
    assert used["batch"] > 1
