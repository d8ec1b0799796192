"""Writes what was measured into README.md: tables from `results/*.json`, and two pictures.

Each table stands between two comments, `<!-- sign -->` and `<!-- /sign -->`; what is between them belongs to this
script. With `--check` nothing is written, and the exit status is 1 when README.md or a picture says something else
than the results.

Run: python -m benchmarks.readme [--check]
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
README: Final = ROOT / "README.md"
RESULTS: Final = ROOT / "benchmarks" / "results"
PICTURE: Final = RESULTS / "sign.svg"
GAS_PICTURE: Final = RESULTS / "gas.svg"

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
    "gas": "make bench",
    "setup": "python -m benchmarks.fresh_clone --cold --test",
    "demo": 'make demo ARGS="--players 200 --seconds 20 --report benchmarks/results/demo.json"',
}
"""How to measure what may be missing."""
GAS_ACCOUNTS: Final = {
    "nexus": "Nexus 1.0",
    "safe7579": "Safe7579 1.0",
    "kernel": "Kernel 3.1 of npm",
    "reference_7702": "reference, EIP-7702",
    "thirdweb Account": "thirdweb",
    "MetaMask EIP7702StatelessDeleGator": "MetaMask",
}
"""What a reader calls the accounts of `gas.json`. npm's Kernel is not the build that is deployed."""
GAS_DRAWN: Final = (
    ("externally owned account", None, "its own key"),
    ("SimpleAccount", "0.7", "owner"),
    ("nexus", "0.7", "owner"),
    ("nexus", "0.7", "session"),
    ("nexus", "0.7", "session, every check"),
    ("nexus", "0.7", "SmartSession (old interface), merged + rules"),
    ("nexus", "0.7", "SmartSession (old interface), separate + rules"),
    ("reference", "0.8", "session, every check"),
    ("reference_7702", "0.8", "session, every check"),
    ("safe7579", "0.7", "session, every check"),
    ("kernel", "0.7", "session, every check"),
    ("thirdweb Account", "0.6", "session key"),
    ("MetaMask EIP7702StatelessDeleGator", None, "delegation, 5 caveats"),
)
"""The rows of `gas.json` that are drawn: account, entry point, signer."""


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
    """The tables of gas: who, each check, longer lists, data."""
    result = load("gas")
    figures = gas_figures(result)
    head = (
        "account, EntryPoint, signer",
        "validation, 1 call",
        "total, 1 call",
        "total per call of 25",
        "per call of 25, 10 players",
        "bytes per call, 1",
        "of 25",
    )
    rows = []
    for who in dict.fromkeys(key[:3] for key in figures):
        one, many, all_ = (figures.get((*who, *shape)) for shape in ((1, 1), (25, 1), (25, 10)))
        cells = [
            one and f"{one['validation_gas']:,}",
            one and f"{one['total_gas']:,}",
            many and f"{many['total_gas'] / 25:,.0f}",
            all_ and f"{all_['total_gas'] / 250:,.0f}",
            one and f"{one['calldata_bytes']:,}",
            many and f"{many['calldata_bytes'] / 25:,.0f}",
        ]
        rows.append((gas_name(*who), *(cell or "" for cell in cells)))
    checks = [
        (row["check"], f"{row['gas_one_call']:,}", f"{row['gas_each_further_call']:,.0f}") for row in result["checks"]
    ]
    lists = [
        (row["entries"], row["form"], *(f"{row[name]:,}" for name in ("validation_gas", "total_gas", "calldata_bytes")))
        for row in result["lists"]
    ]
    data = [
        (
            f"{row['calls']} x {row['operations']}",
            *(f"{row[name]:,.0f}" for name in ("bytes_per_action", "data_gas_per_action", "deflated_bytes_per_action")),
            f"{row['compact_saves_data_gas_per_action']:,.0f}",
            f"{row['compact_saves_deflated_bytes_per_action']:,.1f}",
        )
        for row in result["calldata"]
    ]
    tables = (
        table(head, rows),
        table(("each check by itself", "gas, 1 call", "each further call"), checks),
        table(("functions in the scope", "form", "validation, 1 call", "total", "bytes"), lists),
        table(
            ("calls x players", "bytes per call", "their gas", "deflated", "compact would save, gas", "deflated bytes"),
            data,
        ),
    )
    return "\n\n".join((*tables, origin(result)))


def gas_figures(result: Mapping[str, Any]) -> dict[tuple[str, str | None, str, int, int], dict[str, Any]]:
    """Find the rows of gas by account, entry point, signer, calls, operations."""
    names = ("account", "entry_point_version", "signer", "calls", "operations")
    return {tuple(row[name] for name in names): row for row in result["rows"]}


def gas_name(account: str, version: str | None, signer: str) -> str:
    """Say who it is that was measured."""
    account = GAS_ACCOUNTS.get(account, account)
    return f"{account}{f', {version}' if version else ''}: {signer}"


SECTIONS: Final[dict[str, Callable[[], str]]] = {
    "setup": setup,
    "sign": sign,
    "pipeline": pipeline,
    "demo": demo,
    "gas": gas,
}
"""What stands between the comments of each name."""

WIDTH, BAR, LEFT, ROW = 760, 400, 230, 30
GAS_LEFT, GAS_BAR, GAS_ROW = 430, 220, 24
_STYLE: Final = """\
  <style>
    text { font: 13px system-ui, sans-serif; fill: #24292f; }
    .bar { fill: #8c959f; } .ours { fill: #1a7f37; } .line { stroke: #8c959f; stroke-dasharray: 3 3; }
    .rest { fill: #8c959f; opacity: 0.4; }
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


def gas_picture() -> str:
    """Draw the gas of one action, alone and as one of 25: what deciding takes, and the rest."""
    figures = gas_figures(load("gas"))
    height = 2 * (GAS_ROW * len(GAS_DRAWN) + 50)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" role="img">',
        "  <title>Gas of one action, by account and signer</title>",
        _STYLE,
    ]
    for block, calls in enumerate((1, 25)):
        top = block * (GAS_ROW * len(GAS_DRAWN) + 50)
        what = "one action in one operation" if calls == 1 else f"each of {calls} actions in one operation"
        parts.append(f'  <text x="0" y="{top + 18}">Gas of {what}: validation, and the rest of the transaction</text>')
        drawn = [(who, figures[*who, calls, 1]) for who in GAS_DRAWN if (*who, calls, 1) in figures]
        # What is far off the others is cut, and says so; else nothing could be told of the others.
        most = min(max(row["total_gas"] for _, row in drawn), 3 * median(row["total_gas"] for _, row in drawn))
        for place, (who, row) in enumerate(drawn):
            at = top + 34 + GAS_ROW * place
            kind = "ours" if who[2].startswith("session,") or who[2] == "session" else "bar"
            whole = GAS_BAR * min(row["total_gas"] / most, 1)
            part = whole * row["validation_gas"] / row["total_gas"]
            cut = "» " if row["total_gas"] > most else ""
            parts += [
                f'  <text x="0" y="{at + 13}">{gas_name(*who)}</text>',
                f'  <rect class="{kind}" x="{GAS_LEFT}" y="{at}" width="{part:.1f}" height="16"/>',
                f'  <rect class="rest" x="{GAS_LEFT + part:.1f}" y="{at}" width="{whole - part:.1f}" height="16"/>',
                f'  <text x="{GAS_LEFT + whole + 6:.1f}" y="{at + 13}">{cut}{row["total_gas"] / calls:,.0f}</text>',
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
    wanted = {
        README: filled(README.read_text(encoding="utf-8")),
        PICTURE: picture(),
        GAS_PICTURE: gas_picture(),
    }
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
    GAS_PICTURE.write_text(gas_picture(), encoding="utf-8")


if __name__ == "__main__":
    main()
