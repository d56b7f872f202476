"""The pages are fit to read, and each check refuses what it is there to refuse."""

from pathlib import Path

import pages
import pytest

ALL = pages.pages()
LONG = "word " * 25


def test_there_are_pages() -> None:
    assert pages.ROOT / "README.md" in ALL
    assert pages.ROOT / "docs/README.md" in ALL


@pytest.mark.parametrize("page", ALL, ids=lambda page: str(page.relative_to(pages.ROOT)))
def test_page_is_fit_to_read(page: Path) -> None:
    assert pages.faults(page) == []


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (LONG, "125 characters"),
        (f"- {LONG}", "127 characters"),
        ("[a page](missing.md)", "missing.md: no such file"),
        ("[![a picture](missing.svg)](other.md)", "missing.svg: no such file"),
        ("[a heading](#missing)", "page.md has no heading missing"),
        ("[a heading](other.md#missing)", "other.md has no heading missing"),
        ("[a heading](other.md#in-a-fence)", "other.md has no heading in-a-fence"),
        ("A phrase over no command\nhere repeats.", "no command here repeats"),
        *((f"It says {phrase}.", phrase) for phrase in pages.RETIRED),
    ],
)
def test_fault_is_refused(tmp_path: Path, text: str, named: str) -> None:
    faults = pages.faults(_page(tmp_path, text))

    assert len(faults) == 1
    assert faults[0].startswith("page.md:3: ")
    assert named in faults[0]


@pytest.mark.parametrize(
    "text",
    [
        f"| {LONG} |",
        f"```\n{LONG}\n[no link](missing.md)\n```",
        f"![{LONG}](other.md)",
        "[elsewhere](https://example.org/missing.md)",
        "`[no link](missing.md)`",
        "[a heading](other.md#a-code-two), [again](other.md#twice-1), [here](#page)",
    ],
)
def test_what_is_allowed(tmp_path: Path, text: str) -> None:
    assert pages.faults(_page(tmp_path, text)) == []


def _page(folder: Path, text: str) -> Path:
    (folder / "other.md").write_text(
        "# A `code`, [two](x.md)\n\n## Twice\n\n## Twice\n\n```\n# In a fence\n```\n"
    )
    page = folder / "page.md"
    page.write_text(f"# Page\n\n{text}\n")
    return page
