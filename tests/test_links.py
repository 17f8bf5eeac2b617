"""Every link and picture of the Markdown files leads to a file, and to a heading if it has one."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")]
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchors(text: str) -> set[str]:
    """The headings as GitHub names them: lower case, words joined by hyphens, no other signs."""
    headings = HEADING.findall(re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: Path) -> list[str]:
    """The links of the page that lead nowhere; those to other servers are not followed."""
    links = LINK.findall(CODE.sub("", page.read_text()))
    return [link for link in links if "://" not in link and not leads_somewhere(page, link)]


def leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = unquote(link).partition("#")
    target = page.parent / path if path else page
    return target.exists() and (not anchor or anchor in anchors(target.read_text()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    assert broken(page) == []


def test_every_picture_is_shown():
    texts = [page.read_text() for page in PAGES]
    pictures = [path.name for kind in ("jpg", "webp") for path in ROOT.glob(f"docs/**/*.{kind}")]
    assert pictures and [p for p in pictures if not any(f"{p})" in text for text in texts)] == []


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    (tmp_path / "other.md").write_text("# One *more*, heading\n```\n# no heading\n```\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Here\n[a](other.md) [b](other.md#one-more-heading) [c](#here) [d](https://x.org/)\n"
        "`[code](none.md)`\n[e](none.md) [f](other.md#no-heading) ![g](none.jpg) [h](#there)\n"
    )
    assert broken(page) == ["none.md", "other.md#no-heading", "none.jpg", "#there"]
