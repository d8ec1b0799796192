"""Writes what was measured into README.md: tables from `results/*.json` and the gas snapshots, and one picture.

Each table stands between two comments, `<!-- sign -->` and `<!-- /sign -->`; what is between them belongs to this
script. With `--check` nothing is written, and the exit status is 1 when README.md or the picture says something else
than the results.

Run: python -m benchmarks.readme [--check]
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
README: Final = ROOT / "README.md"
RESULTS: Final = ROOT / "benchmarks" / "results"
PICTURE: Final = RESULTS / "sign.svg"
GAS: Final = ROOT / "gamekit" / "contracts" / "snapshots" / "Gas.json"

SIGNERS: Final = {
    "limit": "libsecp256k1 in C, signing only",
    "coincurve": "coincurve, signing only",
    "gamekit_sign": "gamekit, one at a time",
    "gamekit_sign_many": "gamekit, 32 at a time",
    "eth_account": "eth-account",
    "viem": "viem",
    "zerodev": "ZeroDev session key",
}
"""The rows of `sign.json`, and what a reader calls them."""
DEMO: Final = {
    "players": "players, each with an account, a wallet and a websocket of its own",
    "seconds": "seconds of play",
    "offered_per_s": "actions offered per second",
    "actions_per_s": "**actions per second, settled end to end**",
    "accepted": "accepted (on disk)",
    "settled_ok": "settled ok",
    "settled_reverted": "settled reverted (the game's own refusals, asked for on purpose)",
    "refused": "accepted, then refused with a reason (the player who is revoked mid-run)",
    "lost": "**lost**",
    "duplicated": "**duplicated**",
    "accept_ms_p50": "accepted after, median, ms",
    "accept_ms_p99": "accepted after, 99th percentile, ms",
    "settle_ms_p50": "settled after, median, ms (blocks come every second)",
    "settle_ms_p99": "settled after, 99th percentile, ms",
    "calls_per_operation": "calls per operation",
    "operations_per_bundle": "operations per bundle",
    "gas_per_action": "gas per action",
    "escapes_tried": "escapes tried by the thief",
    "escapes_refused_on_chain": "escapes refused by the chain",
    "twins_passed": "honest twins executed",
}
"""The lines of `demo.json` that a reader wants, in order."""
WHEN: Final = {
    "setup": "first time",
    "demo": "after it",
    "demo_again": "again",
    "setup_again": "nothing to do",
    "test": "after it",
}
"""The rows of `fresh_clone.json`."""
HOW: Final = {
    "sign": "make bench",
    "pipeline": "make bench",
    "setup": "python -m benchmarks.fresh_clone --cold --test",
    "demo": 'make demo ARGS="--players 200 --seconds 20 --report benchmarks/results/demo.json"',
}
"""How to measure what may be missing."""
_SNAPSHOT: Final = re.compile(r"(?P<account>[a-z]+)_(?P<version>\d\d)_(?P<what>.+)_(?P<calls>\d+)_calls?_(?P<kind>\w+)")


def load(name: str) -> dict[str, Any]:
    """Read a result."""
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Lay a table out in Markdown; everything but the first column to the right."""
    lines = [list(head), ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def number(value: float) -> str:
    """Write a figure with as many places as its size deserves."""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.1f}"


def origin(result: Mapping[str, Any]) -> str:
    """Say when and where a result was measured."""
    machine, versions = result["machine"], result["versions"]
    return (
        f"Measured {result['at'][:10]} at commit {result['commit']} on {machine['cpu']}, {machine['cores']} cores, "
        f"Python {versions['python']}."
    )


def setup() -> str:
    """The table of the fresh clone."""
    result = load("fresh_clone")
    seconds = {row["name"]: f"{number(row['seconds'])} s" for row in result["rows"]}
    rows = [(f"`{row['command']}`", WHEN[row["name"]], seconds[row["name"]]) for row in result["rows"]]
    caches = "empty caches" if result["caches_empty"] else "caches as they were"
    disk = f"{result['disk_mb']:,} MB on disk, of which `.venv` {result['venv_mb']:,} MB"
    return f"{table(('command', 'when', 'time'), rows)}\n\n{disk}; {caches} of pip and npm. {origin(result)}"


def sign() -> str:
    """The table of signers."""
    result = load("sign")
    rows = [
        (
            SIGNERS[row["name"]],
            f"{row['us_median']:.1f}",
            f"{1e6 / row['us_median']:,.0f}",
            f"{row['ratio_to_limit']:.2f}",
        )
        for row in result["rows"]
    ]
    peers = result["peers"]
    versions = (
        f"viem {peers['viem']}, ZeroDev permissions {peers['@zerodev/permissions']}, Node {peers['node']}, "
        f"eth-account {result['versions']['eth-account']} ({peers['eth-keys backend']})"
    )
    head = ("signer", "µs per operation", "per second", "of the limit")
    method = f"Medians of {result['rounds']} interleaved rounds. Peers: {versions}."
    return f"{table(head, rows)}\n\n{origin(result)} {method}"


def pipeline() -> str:
    """The table of the pipeline."""
    result = load("pipeline")
    rows = [
        (
            f"{row['sessions']:,}",
            f"{row['accepted_per_s']:,.0f}",
            f"{row['signed_per_s']:,.0f}",
            number(row["accept_ms_p50"]),
            number(row["accept_ms_p99"]),
            number(row["calls_per_operation"]),
        )
        for row in result["rows"]
    ]
    head = ("sessions", "accepted on disk per second", "signed per second", "accept p50 ms", "p99 ms", "calls per op")
    return f"{table(head, rows)}\n\n{origin(result)}"


def demo() -> str:
    """The table of the demo's report."""
    result = load("demo")
    rows = [(words, number(result[name])) for name, words in DEMO.items()]
    return table(("one run of the demo", ""), rows)


def gas() -> str:
    """The table of the gas snapshots."""
    found: dict[tuple[str, str, int], dict[str, int]] = {}
    for name, used in json.loads(GAS.read_text(encoding="utf-8")).items():
        read = _SNAPSHOT.fullmatch(name)
        if read is not None:
            where = f"{read['account']}, EntryPoint 0.{int(read['version'])}"
            key = (where, read["what"].replace("_", " "), int(read["calls"]))
            found.setdefault(key, {})[read["kind"]] = int(used)
    rows = [
        (where, what, calls, f"{kinds['validation']:,}", f"{kinds['total']:,}", f"{kinds['total'] // calls:,}")
        for (where, what, calls), kinds in sorted(found.items())
        if {"validation", "total"} <= kinds.keys()
    ]
    return table(("account", "operation", "calls", "validation gas", "total gas", "total per call"), rows)


SECTIONS: Final[dict[str, Callable[[], str]]] = {
    "setup": setup,
    "sign": sign,
    "pipeline": pipeline,
    "demo": demo,
    "gas": gas,
}
"""What stands between the comments of each name."""

WIDTH, BAR, LEFT, ROW = 760, 400, 230, 30
_STYLE: Final = """\
  <style>
    text { font: 13px system-ui, sans-serif; fill: #24292f; }
    .bar { fill: #8c959f; } .ours { fill: #1a7f37; } .line { stroke: #8c959f; stroke-dasharray: 3 3; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; } .bar { fill: #6e7681; } .ours { fill: #3fb950; }
    }
  </style>"""


def picture() -> str:
    """Draw the signers' throughput as bars."""
    rows = load("sign")["rows"]
    most = max(1e6 / row["us_median"] for row in rows)
    size = f'width="{WIDTH}" height="{ROW * len(rows) + 40}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        "  <title>Signed user operations per second, by signer</title>",
        _STYLE,
        '  <text x="0" y="18">Signed user operations per second on one core</text>',
        f'  <line class="line" x1="{LEFT + BAR}" x2="{LEFT + BAR}" y1="28" y2="{ROW * len(rows) + 36}"/>',
    ]
    for place, row in enumerate(rows):
        rate, top = 1e6 / row["us_median"], 34 + ROW * place
        kind = "ours" if row["name"].startswith("gamekit") else "bar"
        width = BAR * rate / most
        parts += [
            f'  <text x="0" y="{top + 15}">{SIGNERS[row["name"]]}</text>',
            f'  <rect class="{kind}" x="{LEFT}" y="{top}" width="{width:.1f}" height="20"/>',
            f'  <text x="{LEFT + width + 6:.1f}" y="{top + 15}">{rate:,.0f}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def filled(text: str) -> str:
    """Give README.md's text with every section as the results have it.

    Raises: ValueError when a section has no place, or a place has no section.
    """
    places = re.findall(r"<!-- (\w+) -->", text)
    if sorted(places) != sorted(SECTIONS):
        raise ValueError(f"README.md has places for {places}, there are {list(SECTIONS)}")
    for name, write in SECTIONS.items():
        place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        try:
            written = write()
        except FileNotFoundError:
            written = f"Not measured yet: `{HOW[name]}`."
        text, count = place.subn(lambda found, written=written: f"{found[1]}{written}\n{found[2]}", text)  # type: ignore[misc]
        if count != 1:
            raise ValueError(f"README.md has no end for <!-- {name} -->")
    return text


def stale() -> list[str]:
    """Name the files that say something else than the results."""
    wanted = {README: filled(README.read_text(encoding="utf-8")), PICTURE: picture()}
    return [
        str(path.relative_to(ROOT))
        for path, text in wanted.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]


def main() -> None:
    """Write, or check."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail when something is out of date")
    if parser.parse_args().check:
        out_of_date = stale()
        if out_of_date:
            sys.exit(f"{', '.join(out_of_date)}: not what was measured; run python -m benchmarks.readme")
        return
    README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")
    PICTURE.write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    main()
