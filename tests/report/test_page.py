"""The page in a real browser."""

import json
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
def page(pool: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(pool, path)
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


def requested(driver: Chrome) -> list[str]:
    """Every URL that the page asked for, one frame at a time."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    sent = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return [params["request"]["url"] for params in sent]


def texts(driver: Chrome, selector: str) -> list[str]:
    script = "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent.trim())"
    return driver.execute_script(script, selector)


@pytest.mark.acceptance("C15")
@pytest.mark.parametrize("width", WIDTHS)
def test_opens_from_disk_without_request_or_console_error(browser, page, width):
    driver = load(browser, page, width)
    pictures = "[...document.querySelectorAll('.tile img')]"
    driver.execute_async_script(f"Promise.all({pictures}.map(i => i.decode())).finally(arguments[0])")
    urls = requested(driver)
    assert page.as_uri() in urls
    assert [u for u in urls if u != page.as_uri() and not u.startswith("data:")] == []
    assert driver.get_log("browser") == []
    assert driver.execute_script(f"return {pictures}.length > 0 && {pictures}.every(i => i.naturalWidth > 0)")


@pytest.mark.acceptance("C15")
def test_no_other_address_stands_in_the_page(page):
    attributes = re.findall(r'\s(?:src|href|action|srcset|xlink:href)="([^"]*)"', page.read_text())
    assert attributes and all(a.startswith(("data:", "#")) for a in attributes)
    assert "url(" not in page.read_text() and "@import" not in page.read_text()


@pytest.mark.acceptance("C15")
@pytest.mark.parametrize("width", WIDTHS)
def test_fits_the_window(browser, page, width):
    driver = load(browser, page, width)
    scroll, inner = driver.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert scroll <= inner == width


@pytest.mark.acceptance("C15")
def test_funnel_shows_every_step_and_count(browser, page, pool):
    driver = load(browser, page, 1280)
    steps = pool.funnel("images")
    assert texts(driver, ".funnel .label") == [step.label for step in steps]
    assert texts(driver, ".funnel .n") == [str(step.kept) for step in steps]
    rows = [re.split(r"\s{2,}|\n", row) for row in texts(driver, ".steps tbody tr")]
    for step, row in zip(steps, rows, strict=True):
        numbers = [str(n) if n else "·" for n in (step.entered, step.kept, step.dropped, step.failed)]
        assert [cell for cell in row if cell][2:6] == numbers
    entered, kept, dropped, failed = (int(t.split()[0]) for t in texts(driver, ".totals dd"))
    assert entered == kept + dropped + failed == len(pool.pools["images"].rows)


@pytest.mark.acceptance("C15")
def test_every_predicate_column_has_a_histogram_with_its_bound(browser, page, pool):
    driver = load(browser, page, 1280)
    for bound in pool.bounds("images"):
        card = f'.card[data-column="{bound.column}"]'
        assert texts(driver, f"{card} svg.histogram path"), bound.column
        sign = bound.operator.replace("<=", "≤")
        assert f"{sign} {bound.value:g}" in texts(driver, f"{card} svg .bound text")
        assert bound.expression in texts(driver, f"{card} .bounds code")
        described = pool.columns("images")[bound.column]
        fine = " ".join(texts(driver, f"{card} .meta"))
        assert described.meaning in fine and f"{described.backend} {described.revision}" in fine
    marked = texts(driver, '.card[data-column="noise"] .calibrate')
    assert marked == ["= 7.25 calibrate"]
    assert texts(driver, '.card[data-column="sharpness"] .calibrate') == []


@pytest.mark.acceptance("C15")
def test_galleries_show_kept_dropped_failed_and_duplicates(browser, page, pool):
    driver = load(browser, page, 1280)
    rows = {row["id"].hex(): row for row in pool.pools["images"].rows}

    def shown(selector: str) -> list[dict[str, Any]]:
        tiles = driver.find_elements(By.CSS_SELECTOR, f"{selector} .tile")
        return [rows[tile.get_attribute("data-id")] for tile in tiles]

    assert {row["status"] for row in shown("#t0-kept")} == {"kept"}
    for status in ("dropped", "failed"):
        reasons = {row["reason"] for row in rows.values() if row["status"] == status}
        for reason in reasons:
            gallery = shown(f'#t0-{status} [data-reason="{reason}"]')
            assert gallery and all(row["reason"] == reason for row in gallery)
    groups = driver.find_elements(By.CSS_SELECTOR, ".group")
    assert groups
    for group in groups:
        keeper, *members = [
            rows[t.get_attribute("data-id")] for t in group.find_elements(By.CSS_SELECTOR, ".tile")
        ]
        assert members and all(member["keeper"] == keeper["id"] for member in members)
        for member in members:
            near = member["reason"] == "duplicate_near"
            found = f"distance {member['value']}" if near else "equal bytes_sha"
            assert found in group.text.replace("\u202f", " ")
    messages = texts(driver, "#t0-failed .message")
    assert "JPEG marker <b>0x12</b> missing" in messages
    assert not driver.find_elements(By.CSS_SELECTOR, "#t0-failed img"), "a failed file was decoded"


@pytest.mark.acceptance("C15")
def test_names_that_look_like_code_are_text(browser, page, pool):
    driver = load(browser, page, 1280)
    assert len(driver.find_elements(By.TAG_NAME, "script")) == 1
    keys = texts(driver, ".key")
    assert "<script>alert(1)</script>.jpg" in keys
    assert "\"quote' & amp.jpg" in keys
    titles = [e.get_attribute("title") for e in driver.find_elements(By.CSS_SELECTOR, ".key")]
    assert titles == keys
    assert driver.find_element(By.TAG_NAME, "h1").text == "photos <i>2026</i>"
    assert not driver.find_elements(By.CSS_SELECTOR, "h1 i, .meta b, .message b, .problems b")


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


def test_wide_pool_stays_small_and_fits(browser, wide_pool, tmp_path):
    path = tmp_path / "report.html"
    write_report(wide_pool, path)
    assert path.stat().st_size < 20_000_000
    assert "left out to keep the page small" in path.read_text(), "the pool is too small to test the budget"
    driver = load(browser, path, 390)
    scroll, inner = driver.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert scroll <= inner == 390
    assert "80 rarer reasons" in driver.find_element(By.ID, "t0").text
