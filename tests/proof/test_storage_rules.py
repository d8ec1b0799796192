"""Each rule of ERC-7562 that we judge by finds its violation in a trace that has it, and none in one that has not."""

import pytest
from msgspec.structs import replace

from gamekit.eth.hashing import keccak256
from gamekit.units import Address
from tests.proof.storage_rules import Rules, Trace, violations

ACCOUNT = Address(b"\xaa" * 20)
MODULE = Address(b"\xbb" * 20)
ENTRY_POINT = Address(b"\xee" * 20)
NOBODY = Address(b"\xcc" * 20)
PREIMAGE = ACCOUNT.rjust(32, b"\x00") + b"\x07" * 32
SLOT = int.from_bytes(keccak256(PREIMAGE), "big")
HERE, THERE = "0x" + ACCOUNT.hex(), "0x" + MODULE.hex()
RULES = Rules(ACCOUNT, ENTRY_POINT, {MODULE: b"\x01" * 32, NOBODY: keccak256(b"")})
CLEAN = Trace(
    steps=9,
    hashes=["0x" + PREIMAGE.hex()],
    slots=[(HERE, "SLOAD", "5"), (THERE, "SSTORE", f"{SLOT:x}"), (THERE, "SLOAD", f"{SLOT + 128:x}")],
    calls=[
        (HERE, "CALL", MODULE.hex(), "0", "0"),
        (THERE, "STATICCALL", "1", "0", "0"),
        (THERE, "CALL", ACCOUNT.hex(), "0", "0"),
    ],
)


def test_clean_trace() -> None:
    assert violations(CLEAN, RULES) == []


def test_slot_that_is_the_accounts_address() -> None:
    assert violations(replace(CLEAN, slots=[(THERE, "SLOAD", ACCOUNT.hex())]), RULES) == []


def test_account_pays_what_it_owes() -> None:
    assert violations(replace(CLEAN, calls=[(HERE, "CALL", ENTRY_POINT.hex(), "5", "0")]), RULES) == []


@pytest.mark.parametrize(
    ("rule", "trace"),
    [
        ("OP-011", replace(CLEAN, others=[(THERE, "TIMESTAMP")])),
        ("OP-011", replace(CLEAN, others=[(HERE, "CREATE")])),
        ("OP-012", replace(CLEAN, gas=[(THERE, "SWAP1")])),
        ("OP-013", replace(CLEAN, others=[(THERE, "UNKNOWN")])),
        ("OP-020", replace(CLEAN, faults=["CALL"])),
        ("OP-031", replace(CLEAN, others=[(THERE, "CREATE2")])),
        ("OP-041", replace(CLEAN, calls=[(THERE, "CALL", NOBODY.hex(), "0", "0")])),
        ("OP-041", replace(CLEAN, calls=[(THERE, "EXTCODESIZE", NOBODY.hex(), "0", "0")])),
        ("OP-041", replace(CLEAN, calls=[(THERE, "STATICCALL", "a", "0", "0")])),
        ("OP-054", replace(CLEAN, calls=[(THERE, "CALL", ENTRY_POINT.hex(), "0", "0")])),
        ("OP-054", replace(CLEAN, calls=[(HERE, "CALL", ENTRY_POINT.hex(), "0", "4")])),
        ("OP-054", replace(CLEAN, calls=[(HERE, "STATICCALL", ENTRY_POINT.hex(), "0", "0")])),
        ("OP-061", replace(CLEAN, calls=[(THERE, "CALL", MODULE.hex(), "1", "0")])),
        ("OP-080", replace(CLEAN, others=[(THERE, "BALANCE")])),
        ("STO-021", replace(CLEAN, slots=[(THERE, "SLOAD", "5")])),
        ("STO-021", replace(CLEAN, slots=[(THERE, "SLOAD", f"{SLOT + 129:x}")])),
        ("STO-021", replace(CLEAN, slots=[(THERE, "TLOAD", f"{SLOT - 1:x}")])),
        ("STO-021", replace(CLEAN, hashes=["0x" + (b"\x07" * 32 + ACCOUNT.rjust(32, b"\x00")).hex()])),
    ],
)
def test_violation_is_found(rule: str, trace: Trace) -> None:
    assert {each.partition(":")[0] for each in violations(trace, RULES)} == {rule}
