"""The page in a real browser, of a run told by hand: see `test_of_a_run.py` for a real one."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By

from thresher.pipelines.report import write_report

WIDTHS = (390, 1280)


@pytest.fixture(scope="module")
def page(view: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(view, path)
    return path


def load(browser: Callable[[int], Chrome], path: Path, width: int) -> Chrome:
    """Open the page with empty logs and everything unfolded."""
    driver = browser(width)
    driver.get("about:blank")
    driver.get_log("browser"), driver.get_log("performance")
    driver.get(path.as_uri())
    driver.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    driver.execute_script("document.querySelectorAll('img').forEach(i => i.loading = 'eager')")
    return driver


def texts(driver: Chrome, selector: str) -> list[str]:
    script = "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent.trim())"
    return driver.execute_script(script, selector)


def test_no_other_address_stands_in_the_page(page):
    attributes = re.findall(r'\s(?:src|href|action|srcset|xlink:href)="([^"]*)"', page.read_text())
    assert attributes and all(a.startswith(("data:", "#")) for a in attributes)
    assert "url(" not in page.read_text() and "@import" not in page.read_text()


@pytest.mark.parametrize("width", WIDTHS)
def test_fits_the_window(browser, page, width):
    driver = load(browser, page, width)
    scroll, inner = driver.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert scroll <= inner == width


def test_names_that_look_like_code_are_text(browser, page):
    driver = load(browser, page, 1280)
    assert len(driver.find_elements(By.TAG_NAME, "script")) == 1
    keys = texts(driver, ".key")
    assert "<script>alert(1)</script>.jpg" in keys
    assert "\"quote' & amp.jpg" in keys
    titles = [e.get_attribute("title") for e in driver.find_elements(By.CSS_SELECTOR, ".key")]
    assert titles == keys
    assert driver.find_element(By.TAG_NAME, "h1").text == "photos <i>2026</i>"
    assert not driver.find_elements(By.CSS_SELECTOR, "h1 i, .meta b, .message b, .problems b")


def test_sources_as_sets(browser, page):
    driver = load(browser, page, 1280)
    assert texts(driver, "#t0-sources tbody th") == ["<i>far</i>", "few"]
    assert texts(driver, "#t0-sources .chip") == ["2 px"]
    assert [row.split() for row in texts(driver, "#t0-sources tbody tr")] == [
        ["<i>far</i>", "900", "200", "0.5000", "0.0100", "0.4900", "2", "px"],
        ["few", "3", "–", "needs", "192", "pictures"],
    ]
    (lead,) = texts(driver, "#t0-sources .lead")
    assert "Of sets." in lead and "The run has changed since" in lead


def test_rows_that_a_step_counted_are_a_table(browser, page):
    driver = browser(1280)
    driver.get(page.as_uri())
    script = "return [...arguments[0].querySelectorAll('tr')].map(r => [...r.cells].map(c => c.textContent))"
    title = driver.find_element(By.XPATH, "//h3[normalize-space()='balance.sources: sources']")
    rows = driver.execute_script(script, title.find_element(By.XPATH, "following-sibling::div[1]"))
    assert rows[0] == ["source", "n", "share", "dropped"]
    assert rows[1:] == [["<a>", "200", "0.3", "yes"], ["b", "200", "0.3", "no"]]


def test_picture_opens_with_keys_and_goes_through_its_gallery(browser, page):
    driver = load(browser, page, 1280)
    pictures = driver.find_elements(By.CSS_SELECTOR, "#t0-kept img")
    pictures[0].send_keys(Keys.ENTER)
    dialog = driver.find_element(By.TAG_NAME, "dialog")
    large = dialog.find_element(By.TAG_NAME, "img")
    assert dialog.is_displayed() and large.get_attribute("src") == pictures[0].get_attribute("src")
    driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert large.get_attribute("src") == pictures[1].get_attribute("src")
    driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not dialog.is_displayed()


def test_without_script_the_page_is_whole(browser, page):
    driver = browser(1280)
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        driver.get(page.as_uri())
        assert driver.find_element(By.CSS_SELECTOR, ".funnel").is_displayed()
        assert driver.find_element(By.CSS_SELECTOR, "#t0-kept img").is_displayed()
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_every_picture_has_a_text(browser, page):
    driver = load(browser, page, 1280)
    pictures = driver.find_elements(By.CSS_SELECTOR, ".tile img, svg.histogram")
    assert pictures
    assert all(p.get_attribute("alt") or p.get_attribute("aria-label") for p in pictures)


def test_wide_pool_stays_small_and_fits(browser, wide_view, tmp_path):
    path = tmp_path / "report.html"
    write_report(wide_view, path)
    assert path.stat().st_size < 20_000_000
    assert "left out to keep the page small" in path.read_text(), "the pool is too small to test the budget"
    driver = load(browser, path, 390)
    scroll, inner = driver.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert scroll <= inner == 390
    assert "80 rarer reasons" in driver.find_element(By.ID, "t0").text
