"""Rating captions in a real browser: a rating and the wrong claims of each text, on the disk at once."""

import csv
import re
import signal

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.captions.run_of_captions import HOSTILE, make_run
from tests.conftest import Cli


@pytest.fixture(scope="module")
def run(tmp_path_factory, photo_tiles):
    return make_run(tmp_path_factory.mktemp("rated"), photo_tiles, 8)


def lines(file):
    with open(file, newline="") as held:
        return list(csv.DictReader(held))


@pytest.mark.parametrize("width", [1280, 390])
def test_rate_a_text_and_mark_its_claims(run, browser, width):
    cli, driver, name = Cli(run.parent), browser(width), f"rated{width}"
    process = cli.popen("label", "r", "--name", name, "--caption", "other.en.short", "--classes", "1,2,3,4,5")
    try:
        url = re.search(r"http://127\S+", process.stdout.readline())[0]
        file = run / "labels" / f"{name}.csv"
        driver.get(url)
        wait = WebDriverWait(driver, 20, 0.02)
        picture = driver.find_element(By.ID, "picture")
        for n in range(3):
            shown = wait.until(lambda _: picture.get_attribute("data-id"))
            text = driver.find_element(By.ID, "text").text
            assert (
                HOSTILE in text
                and "Look." in text
                and not driver.find_elements(By.CSS_SELECTOR, "img[src=x]")
            )
            claims = driver.find_elements(By.CSS_SELECTOR, "#claims label")
            assert len(claims) == 4 and "judge" not in driver.find_element(By.ID, "said").text
            claims[1].click()
            if n == 1:
                claims[3].click()
            driver.switch_to.active_element.send_keys("24"[n % 2])
            wait.until(lambda _, shown=shown: picture.get_attribute("data-id") != shown)
            assert lines(file)[-1]["id"] == shown
            assert not driver.find_elements(By.CSS_SELECTOR, "#claims :checked"), "ticks are of one picture"
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        driver.switch_to.active_element.send_keys("q")
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0 and not err
    assert f"--columns other.en.short --labels {file}" in out
    held = lines(file)
    assert [row["label"] for row in held] == ["2", "4", "2"]
    assert [row["wrong"] for row in held] == ["c2", "c2 c4", "c2"]
    assert {row["column"] for row in held} == {"other.en.short"}


def test_what_cannot_be_rated_is_told(run):
    cli, found = Cli(run.parent), ["label", "r", "--name", "x", "--caption"]
    for options, told in (
        (["caption"], "'caption' has texts of several lengths and languages"),
        (["captoin"], "the run has no column 'captoin'. Did you mean 'caption'?"),
        (["width"], "the column 'width' holds no text"),
        (["caption.en.shrt"], "--caption: the run has no column 'caption.en.shrt'"),
        (["text", "--on", "width"], "Leave it out"),
        (["text", "--classes", "yes,no"], "the class 'yes' is no rating"),
    ):
        cli(*found, *options, code=2)
        assert told in cli.err, cli.err
    (run / "labels").mkdir(exist_ok=True)
    (run / "labels" / "x.csv").write_text(f"id,label,column,wrong\n{'0' * 32},good,text,\n")
    cli(*found, "caption.en.short", code=2)
    assert "x.csv:2: holds a rating of 'text'. Use another --name" in cli.err


def test_a_plain_text_can_be_rated(run):
    process = Cli(run.parent).popen("label", "r", "--name", "raw", "--caption", "text")
    try:
        assert "8 pictures, 0 labelled" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
