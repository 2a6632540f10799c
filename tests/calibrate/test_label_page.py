"""Labelling in a real browser, by keyboard: each answer on the disk at once, undone, resumed; and nobody
else's requests."""

import json
import os
import re
import shutil
import signal
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import numpy as np
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.calibrate.conftest import space
from thresher.pipelines.label.answers import Answers
from thresher.pipelines.label.queue import Queue
from thresher.schemas.errors import UsageError


@contextmanager
def serving(cli, run, name, *options, end="q"):
    """(address, file of answers); at the end the command must have ended well and say what is next."""
    process = cli.popen("label", str(run), "--name", name, *options)
    try:
        line = process.stdout.readline()
        found = re.search(r"(\d+) pictures, (\d+) labelled. Open (http://127.0.0.1:\d+/#[\w-]{32})\n", line)
        assert found, line + (process.stderr.read() if process.poll() is not None else "")
        serving.pictures, serving.labelled = int(found[1]), int(found[2])
        yield found[3], run / "labels" / f"{name}.csv"
        if end == "SIGINT":
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0 and not err, err
        assert f"Next: thresher calibrate {run} --head {name} --on classical --positive" in out
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()  # not for its output, which a child of it may hold open


class Page:
    """The page as a person at the keyboard sees it."""

    def __init__(self, driver, url):
        self.driver = driver
        driver.get(url)
        self.wait(lambda: self.id)

    @property
    def id(self):
        return self.driver.find_element(By.ID, "picture").get_attribute("data-id")

    @property
    def progress(self):
        return self.driver.find_element(By.ID, "progress").text

    def wait(self, true):
        return WebDriverWait(self.driver, 20, 0.02).until(lambda _: true())

    def press(self, key, labelled=None):
        """Press a key; wait until so many are labelled, or until another picture is shown."""
        before = self.id
        self.driver.switch_to.active_element.send_keys(key)
        if labelled is None:
            self.wait(lambda: self.id != before)
        else:
            self.wait(lambda: self.progress.startswith(f"{labelled} labelled"))


def request(address, data=None, **headers):
    """(status, body) of a request that no browser sends."""
    sent = {key.replace("_", "-"): value for key, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(address, data, sent), timeout=20) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def lines(file):
    return [line.split(",") for line in file.read_text().splitlines()[1:]]


def test_twelve_pictures_by_keyboard(cli, browser, run, ids):
    """Label 12, undo, skip, reload; end with q; go on after a restart where one was."""
    shutil.rmtree(run / "labels", ignore_errors=True)
    key_of = {i: key for key, i in ids.items()}
    driver = browser(1280)
    driver.get_log("browser"), driver.get_log("performance")
    with serving(cli, run, "unclear", "--classes", "clear,unclear") as (url, file):
        page, asked = Page(driver, url), []
        assert driver.execute_script("return document.getElementById('picture').naturalWidth") == 160
        for n in range(12):
            asked.append(page.id)
            page.press("2" if space(key_of[page.id]) == "bad" else "1", labelled=n + 1)
            assert lines(file)[-1] == [asked[-1], "unclear" if space(key_of[asked[-1]]) == "bad" else "clear"]
        assert len(set(asked)) == 12 and page.progress.endswith(f", {serving.pictures - 12} left")
        shown = page.id
        driver.refresh()
        page.wait(lambda: page.id)
        assert page.id == shown and page.progress.startswith("12 labelled")
        page.press("u", labelled=11)
        assert page.id == asked[-1] and len(lines(file)) == 11
        page.press("1", labelled=12)
        page.press("s")
        passed = page.id
        page.press("u")
        assert page.id == shown != passed and len(lines(file)) == 12
        page.press("s")
        driver.switch_to.active_element.send_keys("5", "x")
        time.sleep(0.3)
        assert len(lines(file)) == 12, "keys of no class do nothing"
        driver.switch_to.active_element.send_keys("q")
        page.wait(lambda: "You can close this page" in driver.find_element(By.ID, "end").text)
    assert [m for m in driver.get_log("browser") if m["level"] == "SEVERE"] == []
    asked_for = {
        json.loads(entry["message"])["message"]["params"]["request"]["url"]
        for entry in driver.get_log("performance")
        if json.loads(entry["message"])["message"]["method"] == "Network.requestWillBeSent"
    }
    assert all(a.startswith((url.partition("#")[0], "data:")) for a in asked_for), asked_for

    with open(file, "ab") as torn:
        torn.write(b"0123,un")  # a crash while a line was written
    with serving(cli, run, "unclear", "--classes", "clear,unclear", end="SIGINT") as (url, _):
        assert serving.labelled == 12
        page = Page(driver, url)
        assert page.id not in [record for record, _ in lines(file)]
        last = lines(file)[-1][0]
        page.press("u", labelled=11)
        assert page.id == last
        page.press("2", labelled=12)
        driver.get("about:blank")
    assert lines(file)[-1] == [last, "unclear"] and len({i for i, _ in lines(file)}) == len(lines(file)) == 12


def test_from_labels_to_a_head(cli, browser, run, ids):
    """Enough answers: unsure pictures come first, and `calibrate` finds the file by the head's name."""
    key_of = {i: key for key, i in ids.items()}
    driver, chosen = browser(390), []
    with serving(cli, run, "space", end="SIGINT") as (url, _):
        page = Page(driver, url)
        for n in range(50):
            chosen.append(driver.find_element(By.ID, "how").text)
            page.press("2" if space(key_of[page.id]) == "bad" else "1", labelled=n + 1)
        scroll = driver.execute_script("return document.documentElement.scrollWidth")
        assert scroll <= 390
        driver.get("about:blank")
        driver.get(url.partition("#")[0])
        page.wait(lambda: "Open the whole address" in driver.find_element(By.ID, "error").text)
        assert not driver.find_element(By.ID, "picture").is_displayed()
        driver.get("about:blank")
    assert set(chosen[:20]) == {"spread"} and chosen.count("least sure") > 8 and "spread" in chosen[-8:]
    cli("calibrate", str(run), "--head", "space", "--on", "classical", "--positive", "bad")
    assert "50 labels in" in cli.out and (cli.cwd / "space.head.json").exists()


def test_a_picture_that_cannot_be_opened_costs_itself(cli, browser, own_run):
    for i, path in enumerate(sorted((own_run.parent / "photos").iterdir())):
        if i % 3:
            path.write_bytes(b"no picture any more")
    with serving(cli, own_run, "x") as (url, file):
        page = Page(browser(1280), url)
        for n in range(5):
            page.press("1", labelled=n + 1)
        assert re.search(r"\d+ cannot be shown", page.progress) and len(lines(file)) == 5
        page.driver.switch_to.active_element.send_keys("q")


def test_a_picture_that_takes_for_ever_costs_itself(cli, own_run, impatient):
    def first():
        """The picture that is shown when the page is opened."""
        with serving(cli, own_run, "x", end="SIGINT") as (address, _):
            url, _, key = address.partition("#")
            status, body = request(url + "state", X_Thresher_Token=key)
            assert status == 200
            return json.loads(body)

    shown = first()
    path = own_run.parent / shown["name"]
    path.unlink()
    os.mkfifo(path)
    after = first()
    assert after["picture"] and after["id"] != shown["id"]
    assert after["hidden"] == 1 and after["left"] == shown["left"] - 1


def test_requests_of_other_pages_are_refused(cli, run):
    def ask(path, data=None, **headers):
        return request(url + path, data, **headers)

    with serving(cli, run, "guarded", end="SIGINT") as (address, file):
        url, _, token = address.partition("#")
        status, page = ask("")
        assert status == 200 and token not in page and "photos" not in page, "nothing for who has no key"
        state = json.loads(ask("state", X_Thresher_Token=token)[1])
        assert state["title"] == "guarded: photos"
        body = json.dumps({"id": state["id"], "label": "bad"}).encode()
        good = {"X_Thresher_Token": token}
        for path, data, headers in (
            ("", None, {"Host": "evil.example"}),
            ("state", None, {}),
            ("state", None, {"X_Thresher_Token": token[:-1]}),
            ("state", None, good | {"Host": "evil.example:80"}),
            ("answer", body, {}),
            ("answer", body, {"X_Thresher_Token": token[:-1] + "!"}),
            ("answer", body, good | {"Origin": "http://evil.example"}),
            ("answer", body, good | {"Origin": "null"}),
            ("answer", body, good | {"Host": "evil.example"}),
            ("quit", b"{}", {"Origin": "http://evil.example"}),
        ):
            assert ask(path, data, **headers)[0] in (403, 404), (path, headers)
        assert ask("answer", b"x" * 2000, **good)[0] == 400 and ask("answer", b"[]", **good)[0] == 400
        assert ask("answer", json.dumps({"id": "0" * 32, "label": "bad"}).encode(), **good)[0] == 409
        assert ask("answer", json.dumps({"id": state["id"], "label": "x,y"}).encode(), **good)[0] == 409
        assert lines(file) == []
        assert "Open the whole address" in ask("state")[1]
        assert ask("answer", body, **good, Origin=url.rstrip("/"))[0] == 200 and len(lines(file)) == 1
        assert ask("answer", body, **good)[0] == 409, "the same answer twice, as two quick keys would"
        cli("label", str(run), "--name", "guarded", code=2)
        assert "another `thresher label` is at work on this file" in cli.err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--name", "A b"], "'A b' cannot name a head"),
        (["--name", "x", "--classes", "one"], "'one' are no classes"),
        (["--name", "x", "--classes", "a,a"], "'a,a' are no classes"),
        (["--name", "x", "--on", "clasical"], "Did you mean 'classical'?"),
        (["--name", "old", "--classes", "new,newer"], "old.csv:2: holds the label 'bad'"),
    ],
)
def test_what_cannot_be_labelled_is_told(cli, run, ids, options, told):
    (run / "labels").mkdir(exist_ok=True)
    (run / "labels" / "old.csv").write_text(f"id,label\n{min(ids.values())},bad\n")
    cli("label", str(run), *options, code=2)
    assert told in cli.err, cli.err


def test_answers_outlive_a_kill(tmp_path):
    file = tmp_path / "a.csv"
    one = Answers(file, ["a", "b"])
    for i in range(3):
        one.add(bytes([i]) * 16, "ab"[i % 2])
    with pytest.raises(UsageError, match="at work"):
        Answers(file, ["a", "b"])
    one.close()
    two = Answers(file, ["a", "b"])
    assert list(two.of.values()) == ["a", "b", "a"] and two.undo() == bytes([2]) * 16
    two.close()
    assert file.read_text().count("\n") == 3
    file.write_text(file.read_text() + "00" * 16 + ",b\n")
    with pytest.raises(UsageError, match=r"a.csv:4: holds 0+ twice"):
        Answers(file, ["a", "b"])


def test_the_queue_asks_what_the_head_doubts(run, ids):
    from thresher.pipelines.calibrate.records import gathered
    from thresher.pipelines.runview import open_run

    tiles = {bytes.fromhex(i): key for key, i in ids.items() if "-" in key}
    queue = Queue(gathered(open_run(run), "images", ["classical"], tiles), ["good", "bad", "odd"], True, 7)
    answers = {}
    while queue.doubts(answers) is None:
        place, why = queue.next(answers)
        assert why == "spread"
        answers[queue.records.ids[place]] = space(tiles[queue.records.ids[place]])
    assert sorted(map(list(answers.values()).count, ("good", "bad")))[0] == 10
    queue.doubt = queue.doubts(answers)
    answers[next(i for i in queue.records.ids if i not in answers)] = "good"
    if len(answers) % 4 == 0:
        answers[next(i for i in queue.records.ids if i not in answers)] = "good"
    place, why = queue.next(answers)
    unknown = [i for i, record in enumerate(queue.records.ids) if record not in answers]
    assert why == "least sure" and queue.doubt[place] == queue.doubt[unknown].max() > np.median(queue.doubt)
