"""Holds the Markdown pages to short lines, links that lead somewhere, and the words of the field."""

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MOST_CHARACTERS = 120

MADE = {"build", "node_modules", "runs", "target"}

RETIRED = {
    "no command here repeats": "docs/experiments.md collects what no command repeats",
    "of the limit": "of the best product measured",
    "hung up": "cancelled, or closed the connection",
    "hang-ups": "cancellations",
    "crowd": "many callers at once",
    "passed over in silence": "ignored",
    "is waited for": "Softcall waits, or retries",
    "HangUpTest": "CancellationTest",
    "DividedTrunk": "PartitionedTrunk",
    "PatientBucket": "RetryingBucket",
}
"""Phrases that no page has any more, and what to say instead."""

FENCE = re.compile(r"\s*(```|~~~)")
CODE = re.compile(r"(`+)(?:(?!\1).)+\1")
LINK = re.compile(r"\]\(([^)\s]+)\)")
LINK_ALONE = re.compile(r"\s*(?:[-*] )?!?\[[^\]]*\]\(\S+\)[.,:]?")
HEADING = re.compile(r"#{1,6} +(.+?)\s*#*")
ELSEWHERE = re.compile(r"[a-z][a-z+.-]*:")


def pages() -> list[Path]:
    """Every Markdown page of the project. A copy without Git's history has the same ones."""
    return sorted(page for page in ROOT.rglob("*.md") if not _is_made(page.relative_to(ROOT)))


def _is_made(page: Path) -> bool:
    """Whether a page lies in a folder of environments, caches or build outputs."""
    return any(part.startswith(".") or part in MADE for part in page.parts[:-1])


def faults(page: Path) -> list[str]:
    """What is wrong with a page, each with its line."""
    found = []
    lines = [*_text_lines(page), (0, "")]
    for (number, line), (_, next_line) in itertools.pairwise(lines):
        reasons = [*_length(line), *_links(page, line), *_phrases(line, next_line)]
        found += [f"{page.name}:{number}: {reason}" for reason in reasons]
    return found


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives the page's headings."""
    names: set[str] = set()
    seen: Counter[str] = Counter()
    for _, line in _text_lines(page):
        if heading := HEADING.fullmatch(line):
            name = _anchor(heading[1])
            names.add(f"{name}-{seen[name]}" if seen[name] else name)
            seen[name] += 1
    return names


def _text_lines(page: Path) -> Iterator[tuple[int, str]]:
    """The lines outside code fences, with their numbers."""
    fenced = False
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        if FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            yield number, line


def _length(line: str) -> Iterator[str]:
    prose = not line.lstrip().startswith(("|", "<!--")) and not LINK_ALONE.fullmatch(line)
    if prose and len(line) > MOST_CHARACTERS:
        yield f"a line of {len(line)} characters; at most {MOST_CHARACTERS}"


def _links(page: Path, line: str) -> Iterator[str]:
    for target in LINK.findall(CODE.sub("code", line)):
        if ELSEWHERE.match(target):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists():
            yield f"{target}: no such file"
        elif anchor and anchor not in anchors(file):
            yield f"{target}: {file.name} has no heading {anchor}"


def _phrases(line: str, next_line: str) -> Iterator[str]:
    """Phrases that begin in this line; they may end in the next one."""
    both = f"{line} {next_line.lstrip()}".lower()
    for phrase, instead in RETIRED.items():
        if phrase.lower() in both and phrase.lower() not in next_line.lower():
            yield f"{phrase!r}: {instead}"


def _anchor(heading: str) -> str:
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
