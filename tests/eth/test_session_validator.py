"""Names, digests and envelopes equal what the compiled module computes."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gamekit.errors import EncodingInvalid
from gamekit.eth.hashing import keccak256
from gamekit.eth.scope_form import ScopeForm
from gamekit.eth.session_validator import (
    OPERATION_TYPEHASH,
    Envelope,
    decode_envelope,
    envelope,
    operation_digest,
    permission_id,
    revoke_digest,
)
from gamekit.eth.session_validator_abi import OPERATION_DIGEST, PERMISSION_ID_OF, REVOKE_DIGEST
from gamekit.units import UINT48_MAX, Address, ChainId, PermissionId, UnixSeconds, UserOpHash
from tests.eth.conftest import Module
from tests.eth.scopes import scope_bytes

ANVIL = ChainId(31337)
TIMES = st.integers(0, UINT48_MAX).map(UnixSeconds)


def word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def test_permission_id_behavior_equals_deployed(module: Module) -> None:
    rng = random.Random("permissions")
    for _ in range(20):
        account, entries, rules = Address(rng.randbytes(20)), rng.randrange(8), rng.randrange(4)
        if entries:
            tail = rng.randbytes(32 * entries + 64 * rules)
        else:
            leaves = rng.randrange(1, 9)
            tail = b"".join(rng.randbytes(25) + bytes((rules,)) + rng.randbytes(6 + 64 * rules) for _ in range(leaves))
        granted = rng.randbytes(54) + bytes((entries, rules if entries else 0)) + rng.randbytes(136) + tail
        said = module.call(PERMISSION_ID_OF.encode_call(account, granted))
        assert permission_id(ANVIL, module.address, account, ScopeForm(granted).signed) == said


def test_operation_digest_behavior_equals_deployed(module: Module) -> None:
    rng = random.Random("digests")
    for _ in range(20):
        user_op_hash, permission = UserOpHash(rng.randbytes(32)), PermissionId(rng.randbytes(32))
        times = UnixSeconds(rng.getrandbits(48)), UnixSeconds(rng.getrandbits(48))
        said = module.call(OPERATION_DIGEST.encode_call(user_op_hash, permission, *times))
        assert operation_digest(user_op_hash, permission, *times) == said


def test_revoke_digest_behavior_equals_deployed(module: Module) -> None:
    rng = random.Random("revocations")
    for _ in range(20):
        account, permission = Address(rng.randbytes(20)), PermissionId(rng.randbytes(32))
        said = module.call(REVOKE_DIGEST.encode_call(account, permission))
        assert revoke_digest(ANVIL, module.address, account, permission) == said


def test_operation_digest_default() -> None:
    text = b"SessionOperation(bytes32 userOpHash,bytes32 permissionId,uint96 claimedAtAndDeadline)"
    assert keccak256(text) == OPERATION_TYPEHASH
    expected = keccak256(OPERATION_TYPEHASH + b"\x01" * 32 + b"\x02" * 32 + word((3 << 48) | 4))
    found = operation_digest(UserOpHash(b"\x01" * 32), PermissionId(b"\x02" * 32), UnixSeconds(3), UnixSeconds(4))
    assert found == expected


@pytest.mark.parametrize("times", [(-1, 0), (0, -1), (UINT48_MAX + 1, 0), (0, UINT48_MAX + 1)])
def test_operation_digest_error_times(times: tuple[int, int]) -> None:
    claimed_at, deadline = map(UnixSeconds, times)
    with pytest.raises(EncodingInvalid, match="48 bits"):
        operation_digest(UserOpHash(bytes(32)), PermissionId(bytes(32)), claimed_at, deadline)
    with pytest.raises(EncodingInvalid, match="48 bits"):
        envelope(claimed_at, deadline, bytes(65), b"", b"")


@given(TIMES, TIMES, st.binary(min_size=65, max_size=65), st.binary(max_size=64), st.integers(1, 4), st.integers(0, 4))
def test_decode_envelope_behavior_inverts_envelope(
    claimed_at: UnixSeconds, deadline: UnixSeconds, signature: bytes, hints: bytes, entries: int, rules: int
) -> None:
    scope = scope_bytes(entries=[bytes(24)] * entries, rules=rules)
    data = envelope(claimed_at, deadline, signature, hints, scope)
    assert data[:12] == claimed_at.to_bytes(6, "big") + deadline.to_bytes(6, "big")
    assert data[12:77] == signature
    assert decode_envelope(data, len(hints)) == Envelope(claimed_at, deadline, signature, hints, scope)


def test_decode_envelope_of_a_long_list() -> None:
    leaf = b"\x01" * 24 + bytes(8)
    form = ScopeForm(scope_bytes() + leaf + b"\x02" + leaf[1:])
    hints, witnesses = form.show(form.places([1, 0, 1]))
    data = envelope(UnixSeconds(1), UnixSeconds(2), bytes(65), hints, form.signed, witnesses)
    assert decode_envelope(data, 3) == Envelope(
        UnixSeconds(1), UnixSeconds(2), bytes(65), b"\0\1\0", form.signed, witnesses
    )
    with pytest.raises(EncodingInvalid, match="of a long list 224"):
        decode_envelope(data[: 77 + 3 + 223], 3)


def test_envelope_error_signature() -> None:
    with pytest.raises(EncodingInvalid, match="65 bytes, got 64"):
        envelope(UnixSeconds(0), UnixSeconds(0), bytes(64), b"", b"")


@pytest.mark.parametrize("change", [-1, 1, 32])
def test_decode_envelope_error_length(change: int) -> None:
    data = envelope(UnixSeconds(1), UnixSeconds(2), bytes(65), b"\x00", scope_bytes(entries=[bytes(24)]))
    longer = data + bytes(32)
    with pytest.raises(EncodingInvalid, match="the scope has"):
        decode_envelope(longer[: len(data) + change], 1)
