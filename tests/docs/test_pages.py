"""Pages point at things that exist."""

import re

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def _anchors(text: str) -> set[str]:
    """Link targets of a page's headings, as Markdown viewers make them."""
    return {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in _HEADING.findall(text)}


def test_links_lead_somewhere(pages):
    dead = []
    for page in pages:
        for link in _LINK.findall(page.read_text("utf-8")):
            if "://" in link:
                continue
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            there = target.exists() and (not anchor or anchor in _anchors(target.read_text("utf-8")))
            dead += [] if there else [f"{page.name}: {link}"]
    assert dead == []


def test_the_picture_of_the_report_is_small(root):
    assert (root / "docs" / "images" / "report.png").stat().st_size < 300_000


def test_make_knows_the_commands_of_the_readme(root, blocks):
    lines = "".join(blocks("README.md", "sh")).splitlines()
    asked = {line.split()[1] for line in lines if line.startswith("make ")}
    assert asked == {"demo", "test"}
    assert asked <= set(re.findall(r"^(\w+):", (root / "Makefile").read_text(), re.MULTILINE))
