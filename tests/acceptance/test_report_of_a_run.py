"""The report of a real run, in a real browser."""

import json

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-sync", "--disable-background-networking", "--disable-component-update"),
)


@pytest.fixture
def browser(tmp_path):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in [*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, Service("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


@pytest.mark.acceptance("C15")
def test_the_page_of_a_run_opens_and_shows_its_story(cli, pool, recipe, browser, tmp_path):
    (pool / "coffee-00.jpg").rename(pool / "<script>alert('x')<script>.jpg")
    done = cli.run(recipe(), "--run", "r", "--local")
    browser.set_window_size(1280, 900)
    browser.get((tmp_path / "r" / "report.html").as_uri())
    browser.save_screenshot(str(tmp_path / "report.png"))
    events = [json.loads(e["message"])["message"] for e in browser.get_log("performance")]
    sent = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
    requests = [p["request"]["url"] for p in sent if not p["documentURL"].startswith("chrome://")]
    (tmp_path / "requests.json").write_text(json.dumps(requests))
    assert requests and all(u.startswith(("file://", "data:")) for u in requests), requests
    assert browser.get_log("browser") == []
    text = browser.find_element(By.TAG_NAME, "body").text
    for step in done["tables"]["images"]["funnel"]:
        assert step["label"] in text
    for shown in ("sharpness", "< 60", "blurry", "duplicate_near", "duplicate_exact", "not_media"):
        assert shown in text, shown
    assert len(browser.find_elements(By.TAG_NAME, "img")) > 20
    assert len(browser.find_elements(By.TAG_NAME, "svg")) > 10
    for width in (390, 1280):
        browser.set_window_size(width, 900)
        inner = browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
        assert inner, f"the page is wider than {width} px"
