"""The report of a real run, in a real browser."""

import json
from collections import Counter

import pytest
from selenium.webdriver.common.by import By

from thresher.pipelines.runview import open_run

SCRIPT, QUOTES = "<script>alert('x')<img src=x onerror=alert(2)>.jpg", "\"quote' & amp.jpg"


@pytest.mark.acceptance("C15")
def test_the_page_of_a_run_opens_and_shows_its_story(cli, pool, recipe, browser, ledger_of, tmp_path):
    for old, new in (("copy", SCRIPT), ("astronaut-00", QUOTES), ("text", f"not an image {SCRIPT}")):
        (pool / f"{old}.jpg").rename(pool / new)
    bounds = 'blurry: "sharpness < 60"\n            noisy: "noise > quantile(noise, 0.95)"'
    done = cli.run(recipe(('blurry: "sharpness < 60"', bounds)), "--run", "r", "--local")
    page, driver = tmp_path / "r" / "report.html", browser(1280)
    rows = {row["id"].hex(): row for row in ledger_of(tmp_path / "r")}

    def shown(selector: str) -> list[list[str]]:
        """For each match the ids of the records in it."""
        tiles = "[...e.querySelectorAll('.tile')].map(t => t.dataset.id)"
        script = f"return [...document.querySelectorAll(arguments[0])].map(e => {tiles})"
        return driver.execute_script(script, selector)

    def texts(selector: str) -> list[str]:
        script = "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent.trim())"
        return driver.execute_script(script, selector)

    driver.get("about:blank")
    driver.get_log("browser"), driver.get_log("performance")
    driver.get(page.as_uri())
    driver.save_screenshot(str(tmp_path / "report-1280.png"))
    driver.execute_script("document.querySelectorAll('img').forEach(i => i.loading = 'eager')")
    pictures = "[...document.querySelectorAll('.tile img')]"
    driver.execute_async_script(f"Promise.all({pictures}.map(i => i.decode())).finally(arguments[0])")
    assert driver.execute_script(f"return {pictures}.filter(i => i.naturalWidth > 0).length") > 20

    # No request and no error.
    events = [json.loads(e["message"])["message"] for e in driver.get_log("performance")]
    sent = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    (tmp_path / "requests.json").write_text(json.dumps([url[:200] for url in sent]))
    assert [url for url in sent if not url.startswith("data:")] == [page.as_uri()]
    assert driver.get_log("browser") == []

    # The funnel adds up as the command said.
    steps = done["tables"]["images"]["funnel"]
    assert texts(".funnel .label") == [step["label"] for step in steps]
    assert texts(".funnel .n") == [str(step["kept"]) for step in steps]
    entered, kept, dropped, failed = (int(text.split()[0]) for text in texts(".totals dd"))
    assert entered == kept + dropped + failed == len(rows) and min(kept, dropped, failed) > 0

    # A histogram with its bound for each predicate column.
    for bound in open_run(tmp_path / "r").bounds("images"):
        card = f'.card[data-column="{bound.column}"]'
        assert texts(f"{card} svg.histogram path"), bound.column
        assert bound.expression in texts(f"{card} .bounds code")
        assert len(texts(f"{card} svg .bound text")) == 1
    assert texts('.card[data-column="sharpness"] .bound text') == ["< 60"]
    assert [t.endswith("calibrate") for t in texts(".card .calibrate")] == [True], "the quantile is marked"

    # Every status and reason has a gallery of its own records.
    assert {rows[i]["status"] for i in shown("#t0-kept")[0]} == {"kept"}
    found = Counter((row["status"], row["reason"]) for row in rows.values() if row["reason"])
    assert {reason for _, reason in found} >= {
        "blurry",
        "noisy",
        "duplicate_exact",
        "duplicate_near",
        "not_media",
    }
    for (status, reason), count in found.items():
        [ids] = shown(f'#t0-{status} [data-reason="{reason}"]')
        assert len(ids) == min(count, 12)
        assert {(rows[i]["status"], rows[i]["reason"]) for i in ids} == {(status, reason)}

    # Duplicates stand beside the record that stays, with their distance.
    groups = shown(".group")
    assert groups
    for (keeper, *members), text in zip(groups, texts(".group"), strict=True):
        assert members and all(rows[m]["keeper"].hex() == keeper for m in members)
        for member in (rows[m] for m in members):
            near = member["reason"] == "duplicate_near"
            assert (f"distance {member['value']}, " if near else f"equal {member['column']}") in text

    # At the near bound, where no kept record has a distance, stand the keepers.
    [(near, keepers)] = [
        (shown(f".edge:nth-of-type({i + 1}) .here")[0], shown(f".edge:nth-of-type({i + 1}) .kept")[0])
        for i, title in enumerate(texts(".edge h3 bdi"))
        if title == "duplicate_near"
    ]
    assert near and [rows[i]["keeper"].hex() for i in near] == keepers

    # Names are text, and nothing is wider than the window.
    assert {SCRIPT, QUOTES, f"not an image {SCRIPT}"} <= set(texts(".key"))
    assert len(driver.find_elements(By.TAG_NAME, "script")) == 1
    assert not driver.find_elements(By.CSS_SELECTOR, "[onerror], figcaption img")
    for width in (390, 1280):
        driver = browser(width)
        driver.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        for part in (".jump .wrap", "table.steps"):
            fits = "const e = document.querySelector(arguments[0]); return e.scrollWidth <= e.clientWidth"
            assert driver.execute_script(fits, part), f"{part} is cut off at {width} px"
        driver.save_screenshot(str(tmp_path / f"report-open-{width}.png"))
