"""What commands print: words for people, one JSON value for scripts."""

import sys
from collections.abc import Iterable, Sequence

import msgspec


class Output:
    """Standard output of one command."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def put(self, value: object, words: str) -> None:
        """Print the value as JSON where that was asked for, else the words."""
        text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode() if self._as_json else words
        sys.stdout.write(text.rstrip("\n") + "\n")
        sys.stdout.flush()


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay rows out in columns."""
    lines = [tuple(columns), *(tuple(row) for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
