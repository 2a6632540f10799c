"""Label files with faults: what is wrong, with names and counts."""

import pytest

from tests.calibrate.conftest import space


def _calibrate(cli, run, file, *more, code=2):
    return cli(
        "calibrate", str(run), "entropy", "--labels", str(file), "--precision", "0.5", *more, code=code
    )


def test_starts_of_ids_and_repeats_are_understood(cli, run, write_labels, ids):
    whole = write_labels(space)
    _calibrate(cli, run, whole, code=0)
    wanted = cli.out.splitlines()[1:]
    lines = whole.read_text().splitlines()
    short = [lines[0]] + [f"{line[:10].upper()}, {line[33:]}" for line in lines[1:]]
    whole.write_text("\ufeff" + "\r\n".join([*short, lines[1]]) + "\r\n")
    _calibrate(cli, run, whole, code=0)
    assert cli.out.splitlines()[1:] == wanted and "96 labels in" in cli.out and ", 1 said twice:" in cli.out


def test_unknown_ids_are_named_and_counted(cli, run, write_labels):
    unknown = [f"{i:032x},bad" for i in range(7)]
    _calibrate(cli, run, write_labels(space, *unknown))
    assert (
        f"7 of 103 ids are of no record of images: {0:032x}, {1:032x}" in cli.err and "and 2 more" in cli.err
    )


def test_contradictions_are_named_with_their_lines(cli, run, write_labels, ids):
    one = ids["rocket-03.jpg"]
    _calibrate(cli, run, write_labels(space, f"{one[:12]},bad"))
    assert f"1 records have labels that contradict each other; {one} has 'good' (line" in cli.err
    assert "'bad' (line 98)" in cli.err


def test_a_start_of_two_ids_is_not_guessed(cli, run, write_labels, ids):
    twice = next(c for c in "0123456789abcdef" if sum(i.startswith(c) for i in ids.values()) > 1)
    _calibrate(cli, run, write_labels(space, f"{twice},bad"))
    assert f"1 ids are the start of more than one record's: {twice}" in cli.err


@pytest.mark.parametrize(
    ("rule", "more", "options", "told"),
    [
        (lambda k: "bad", (), (), "every record has the label 'bad': the other class is empty"),
        (lambda k: "good", (), ("--positive", "bad"), "no record has the label 'bad'. Its classes are good"),
        (lambda k: None, (), (), "holds no labels"),
        (lambda k: None, ("zzz,bad",), (), "1 of 1 ids are of no record of images: zzz"),
        (lambda k: None, ("abc",), (), "labels.csv:2: has no label"),
        (lambda k: space(k)[0], (), (), "which of the classes b, g is to be found? Say --positive CLASS"),
        (lambda k: "bad" if k.startswith("retina-0") and k < "retina-02" else "good", (), (),
         "the class 'bad' has 2 independent groups of records, of 3 at least"),
    ],
)  # fmt: skip
def test_other_faults(cli, run, write_labels, rule, more, options, told):
    _calibrate(cli, run, write_labels(rule, *more), *options)
    assert told in cli.err, cli.err


def test_a_file_without_a_header(cli, run, tmp_path):
    (tmp_path / "l.csv").write_text("abc,bad\n")
    _calibrate(cli, run, tmp_path / "l.csv")
    assert "its first line is 'abc,bad'. Begin it with the names of the columns: id,label" in cli.err
    (tmp_path / "l.csv").write_text("id,class\nabc,bad\n")
    _calibrate(cli, run, tmp_path / "l.csv")
    assert "its first line is 'id,class'. Begin it with the names of the columns: id,label" in cli.err


HEADED = ("--head", "space", "--on", "classical")


@pytest.mark.parametrize("what", [("entropy",), HEADED])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "labels.csv: cannot be read: No such file or directory. Give a CSV with the columns id,label"),
        (b"", "labels.csv: is empty. Write lines `id,label`"),
        (b"\xef\xbb\xbf\n", "labels.csv: is empty. Write lines `id,label`"),
        (b"id,label\nabc,bad\nabd,sch\xf6n\n", "labels.csv:3: is not UTF-8 text. Save it as UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0", "labels.csv:1: is not UTF-8 text"),
        (b"label\nbad\n", "its first line is 'label'. Begin it with the names of the columns: id,label"),
        (b"id,label\n", "labels.csv: holds no labels. Write lines `id,label` below that header"),
        (b"id,label\nzzz,bad\nyyy,good\n", "2 of 2 ids are of no record of images: yyy, zzz. Remove those"),
    ],
)
def test_files_that_say_nothing(cli, run, tmp_path, what, content, told):
    if content is not None:
        (tmp_path / "labels.csv").write_bytes(content)
    cli("calibrate", str(run), *what, "--labels", "labels.csv", code=2)
    assert told in cli.err and cli.err.count("\n") == 1, cli.err
    assert not (tmp_path / "space.head.json").exists()


@pytest.mark.parametrize(
    ("rule", "more", "told"),
    [
        (lambda k: "bad", [], "every record has the label 'bad': the other class is empty. Label some"),
        (lambda k: "bad" if k == "retina-00.jpg" else "good", [], "the class 'bad' has 1 independent groups"),
        (space, ["0" * 32 + ",bad"], "1 of 97 ids are of no record of images: 0000"),
        (space, ["ROCKET,bad"], "1 records have labels that contradict each other"),
    ],
)  # fmt: skip
def test_labels_that_make_no_head(cli, run, write_labels, ids, rule, more, told):
    labels = write_labels(rule, *(line.replace("ROCKET", ids["rocket-03.jpg"]) for line in more))
    cli("calibrate", str(run), *HEADED, "--labels", str(labels), code=2)
    assert told in cli.err and not (cli.cwd / "space.head.json").exists(), cli.err


def test_a_labelled_record_that_failed_is_left_out_and_counted(cli, run, write_labels, ids):
    _calibrate(cli, run, write_labels(space, f"{ids['empty.jpg']},bad", f"{ids['text.jpg']},good"), code=0)
    assert "2 labelled records left out: no value" in cli.out
