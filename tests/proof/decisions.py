"""Which lines of the audited sources decide something, so that a bug is planted in each.

A line decides if, comments and texts aside, it has a condition, a loop, a revert, a requirement, a comparison, an
operator of logic, a choice between two values, or the modifier that admits only the owner. A bare `else {` belongs to
its `if`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

_DECIDES: Final = re.compile(
    r"\b(?:if|else(?! \{)|for|while|do|break|continue|revert|require|assert|try|catch|onlyOwner)\b"
    r"|\b_?(?:require|refuse)[A-Z]\w*\(|\b_refuse\("
    r"|[=!]=|&&|\|\||!(?!=)| \? "
    r"|(?<![<=>-])[<>](?![<>])"
    r"|\b(?:lt|gt|slt|sgt|eq|iszero)\("
)
_ASIDE: Final = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:[^\"\\\n]|\\.)*\"", re.DOTALL)
_NEVER: Final = re.compile(r"^\s*(?:function|import|pragma|using|mapping|event|error)\b(?!.*\bonlyOwner\b)")
"""A definition decides nothing but who may call: what it does stands in its body."""


class Line(NamedTuple):
    """One line of a source."""

    file: str
    number: int
    """From 1."""
    text: str


class Change(NamedTuple):
    """A text of a source that some bug changes."""

    file: str
    old: str


def deciding(file: str, source: str) -> Iterator[Line]:
    """Give the lines that decide, in order."""
    bare = _ASIDE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), source).split("\n")
    for number, (line, text) in enumerate(zip(bare, source.split("\n"), strict=True), start=1):
        if _DECIDES.search(line) and not _NEVER.search(line):
            yield Line(file, number, text.strip())


def touched(source: str, old: str) -> set[int]:
    """Give the numbers of the lines on which `old` stands; it stands there exactly once, or nowhere."""
    at = source.find(old)
    if at < 0 or not old.strip():
        return set()
    start = at + len(old) - len(old.lstrip())
    end = at + len(old.rstrip())
    first = source.count("\n", 0, start) + 1
    return set(range(first, first + source.count("\n", start, end) + 1))


def uncovered(sources: Mapping[str, str], changes: Iterable[Change]) -> list[Line]:
    """Give the deciding lines that no change touches."""
    reached: dict[str, set[int]] = {file: set() for file in sources}
    for change in changes:
        reached[change.file] |= touched(sources[change.file], change.old)
    return [
        line
        for file, source in sorted(sources.items())
        for line in deciding(file, source)
        if line.number not in reached[file]
    ]
