"""What the small commands say, and how they end."""

import signal
import time


def test_help_and_operators(cli):
    assert cli().startswith("Usage: thresher") and cli.err == ""
    assert "Example: thresher explain cat.jpg" in cli("explain", "-h") and cli("-h") == cli("--help")
    for wrong, said in (
        (("explain", "x"), "Missing option '--run'. See `thresher explain --help`."),
        (("explain",), "Missing argument 'record'. See `thresher explain --help`."),
        (("plan", "demo", "--limit", "-3"), "Invalid value for '--limit': Input should be greater than or"),
        (("explan", "x"), "No such command 'explan'. Did you mean 'explain', 'plan'? See `thresher --help`."),
        (("run", "demo", "--rnu", "r"), "No such option: --rnu (Possible options: --run)."),
    ):
        cli(*wrong, code=2)
        assert cli.err.startswith(f"thresher: {said}"), cli.err
    assert cli("--version") == "thresher 0.1.0\n"
    assert "\ningest " in cli("operators") and "\nquality " in cli.out
    assert "| `parquet` | `None` |" in cli("operators", "ingest")
    cli("operators", "dedupe.nera", code=2)
    assert "'dedupe.nera'. Did you mean 'dedupe.near'?" in cli.err
    cli("operators", "nope", code=2)
    assert "there is no operator 'nope'. Known are: ingest, aesthetic, aigc, balance.captions," in cli.err
    cli("schema", "recip", code=2)
    assert "Did you mean 'recipe'?" in cli.err
    cli("verify", ".", code=1)
    assert "no finished export" in cli.err


def test_a_run_from_its_kill_to_its_end(cli, pool, recipe, tmp_path):
    """`status` knows a killed run from one at work; `plan` and `verify` find what a finished one has."""
    path = recipe()
    assert "opened once for each of these passes: quality + hash" in cli("plan", str(path), "--run", "r")
    assert "0 records known, 100 new files" in cli.out
    (pool / "notes.pdf").write_text("no image")
    process = cli.popen("run", str(path), "--run", "r", "--local")
    for _ in range(3000):
        if (tmp_path / "r/log/running.json").exists():
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGSTOP)  # so that it does not end before it is killed
    assert f"photos: running, process {process.pid} on " in cli("status", "r")
    process.kill()
    process.communicate()
    assert "photos: stopped; what was finished is kept. Go on with" in cli("status", "r")
    assert "--run r`" in cli.out and "waiting" not in cli.out and "running" not in cli.out
    cli("run", str(path), "--run", "r", "--local")
    assert "*.pdf: 1 file with extension .pdf not entered" in cli.out and "page: 1 record, " in cli.err
    assert "photos: finished\n" in cli("status", "r")
    cli.env["PYTHONPROFILEIMPORTTIME"] = "1"
    cli.run(path, "--run", "r", "--local")
    del cli.env["PYTHONPROFILEIMPORTTIME"]
    loaded = {line.rpartition("|")[2].strip() for line in cli.err.splitlines()}
    heavy = {"ray", "cv2", "PIL", "jinja2", "thresher.pipelines.report", "thresher.operators.views.decoder"}
    assert "thresher.pipelines.execute.run" in loaded and not heavy & loaded, (
        "nothing to open, nothing to draw"
    )
    assert "Everything is cached." in cli("plan", str(path), "--run", "r") and "opened once" not in cli.out
    export = (tmp_path / "r/export/images/latest").resolve()
    assert f"{export}: " in cli("verify", "r") and " 0 faults" in cli.out
    shard = next(export.glob("*.tar"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    cli("verify", "r", code=1)
    assert (
        shard.name in cli.out and "1 fault\nTo mend it, delete the files that are named, and run" in cli.out
    )
    shard.unlink()
    cli.run(path, "--run", "r", "--local")
    for folder in (export, export.parent):
        assert f"{export}: " in cli("verify", str(folder)) and " 0 faults" in cli.out
        assert f"verify {export.name}: " in cli.err
    cli.run(recipe(("    export: {shard_size: 100KB}\n", "")), "--run", "r", "--local")
    cli("verify", "r", code=2)
    assert "has no export" in cli.err
