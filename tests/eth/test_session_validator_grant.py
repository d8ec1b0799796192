"""Typed data of grants and revocations equals what the compiled module computes."""

import random

import pytest
from eth_account import Account
from msgspec import to_builtins

from gamekit.errors import EncodingInvalid
from gamekit.eth.hashing import keccak256, selector
from gamekit.eth.session_validator import revoke_digest
from gamekit.eth.session_validator_abi import GRANT_DIGEST
from gamekit.eth.session_validator_grant import grant_digest, grant_typed_data, revoke_typed_data
from gamekit.eth.typed_data import TypedData, typed_data_digest
from gamekit.units import Address, ChainId, PermissionId, UnixSeconds
from tests.eth.conftest import Module
from tests.eth.scopes import scope_bytes

ANVIL = ChainId(31337)
ACCOUNT = Address(b"\xac" * 20)
GAME = b"\x0a" * 20
FUNCTIONS = ("attack(uint256,uint16)", "rest()")
SCOPE = scope_bytes(entries=[GAME + selector(text) for text in FUNCTIONS], rules=1)


def grant(module: Address, functions: tuple[str, ...] = FUNCTIONS, scope: bytes = SCOPE) -> TypedData:
    return grant_typed_data(
        chain_id=ANVIL,
        module=module,
        account=ACCOUNT,
        scope=scope,
        functions=functions,
        epoch=1,
        deadline=UnixSeconds(99),
    )


def test_grant_digest_behavior_equals_deployed(module: Module) -> None:
    rng = random.Random("grants")
    for count in range(1, 7):
        functions = tuple(f"play{rng.getrandbits(32)}(uint256)" for _ in range(count))
        scope = scope_bytes(
            entries=[rng.randbytes(20) + selector(text) for text in functions],
            rules=rng.randrange(3),
            signer=rng.randbytes(20),
            revoker=rng.randbytes(20),
            valid_after=rng.getrandbits(48),
            valid_until=rng.getrandbits(48),
            uses_max=rng.getrandbits(32),
            gas_budget_wei=rng.getrandbits(128),
            value_total_wei_max=rng.getrandbits(128),
            paymaster=rng.randbytes(20),
        )
        said = module.call(GRANT_DIGEST.encode_call(ACCOUNT, scope, list(functions), [], 99))
        assert grant_digest(grant(module.address, functions, scope)) == said


def test_grant_typed_data_behavior_same_for_wallets() -> None:
    """A wallet that reads the JSON form signs the digest that the module checks."""
    typed_data = grant(Address(b"\x0d" * 20))
    signed = Account.sign_typed_data(keccak256(b"an owner"), full_message=to_builtins(typed_data))
    assert bytes(signed.message_hash) == grant_digest(typed_data)


def test_grant_typed_data_default() -> None:
    message = grant(Address(b"\x0d" * 20)).message
    calls = message["allowedCalls"]
    assert isinstance(calls, list)
    assert [call["functionSignature"] for call in calls] == list(FUNCTIONS)
    assert (message["validAfter"], message["validUntil"], message["deadline"]) == (10, 20, 99)
    assert message["gasBudgetWei"] == "1000000000000000000"


@pytest.mark.parametrize(
    ("functions", "scope", "message"),
    [
        (FUNCTIONS[:1], SCOPE, "2 entries, got 1"),
        ((*FUNCTIONS, "rest()"), SCOPE, "2 entries, got 3"),
        (("attack(uint256)", "rest()"), SCOPE, "has the selector"),
        (FUNCTIONS[::-1], SCOPE, "has the selector"),
        (FUNCTIONS, SCOPE[:-1], "its counts say"),
    ],
)
def test_grant_typed_data_error_scope(functions: tuple[str, ...], scope: bytes, message: str) -> None:
    with pytest.raises(EncodingInvalid, match=message):
        grant(Address(bytes(20)), functions, scope)


def test_revoke_typed_data_behavior_equals_digest() -> None:
    module, permission = Address(b"\x0d" * 20), PermissionId(b"\x0e" * 32)
    typed_data = revoke_typed_data(ANVIL, module, ACCOUNT, permission)
    assert typed_data_digest(typed_data) == revoke_digest(ANVIL, module, ACCOUNT, permission)
    signed = Account.sign_typed_data(keccak256(b"a session key"), full_message=to_builtins(typed_data))
    assert bytes(signed.message_hash) == typed_data_digest(typed_data)
