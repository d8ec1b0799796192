"""Nexus 1.0.0, Biconomy's account, on EntryPoint 0.7. Theirs, not ours: its code comes from npm, for the devnet only.

::

    nonce key    lane 3 | mode 1 (0: validate) | validator 20
    initData     abi.encode(bootstrap, initNexusScoped(validators, no hook, no registry, no attesters, 0))
    failed call  TryExecuteUnsuccessful(callData, result): the call's own data, not its place in the batch

So two calls with equal data in one try batch cannot always be told apart; `call_outcomes` says where it had to choose.

Source: bcnmy/nexus, Nexus.sol, NonceLib.sol, NexusBootstrap.sol, NexusAccountFactory.sol; event and factory as in the
bytecode of @rhinestone/modulekit 0.5.9.
"""

from collections.abc import Sequence
from typing import Final, cast

from gamekit.accounts.stack import (
    ALL_LIMITS,
    CallOutcome,
    Deployment,
    StackContracts,
    StackLimits,
    WalletRequest,
    all_failed,
    encode_execution,
    read_validator_prefix,
    require_lane,
)
from gamekit.errors import ConfigInvalid, EncodingInvalid
from gamekit.eth.abi import ADDRESS, encode
from gamekit.eth.abi_text import parse_type
from gamekit.eth.block import Log
from gamekit.eth.calldata import Call, decode_execute
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.interface import Event, Function
from gamekit.eth.typed_data import TypedData
from gamekit.units import ZERO_ADDRESS, Address, NonceKey

CREATE_ACCOUNT: Final = Function.parse("createAccount(bytes initData,bytes32 salt)", "address", "payable")
COMPUTE_ACCOUNT_ADDRESS: Final = Function.parse("computeAccountAddress(bytes initData,bytes32 salt)", "address", "view")
INIT_NEXUS_SCOPED: Final = Function.parse(
    "initNexusScoped((address module,bytes data)[] validators,(address module,bytes data) hook,"
    "address registry,address[] attesters,uint8 threshold)"
)
TRY_EXECUTE_UNSUCCESSFUL: Final = Event.parse("TryExecuteUnsuccessful(bytes callData,bytes result)")

_BYTES: Final = parse_type("bytes")
_LANE_BITS: Final = 24
_MODE_BITS: Final = 8
_ADDRESS_BITS: Final = 160
_NO_HOOK: Final = (ZERO_ADDRESS, b"")


class NexusStack:
    """Nexus with our two validators."""

    name: Final = "nexus"
    entry_point_versions: Final = frozenset({EntryPointVersion.V07})
    lanes_max: Final = 1 << _LANE_BITS
    tells_equal_calls_apart: Final = False
    own_key_is_owner: Final = False
    limits: Final = StackLimits(
        enforced=(
            *ALL_LIMITS,
            "Only the entry point may make the account execute, and only after one of its validators has agreed.",
            "The owner's approvals are checked by the owner validator alone; the session key can sign none of them.",
        ),
        not_enforced=("Nexus can be upgraded by its owner: the new code may treat the session module in another way.",),
        other_voices=(
            "Any other validator, executor, hook or fallback handler that the owner installs speaks for the account.",
        ),
    )

    def nonce_key(self, validator: Address, lane: int) -> NonceKey:
        """Write the nonce key of a lane. Raises ConfigInvalid for a lane beyond 24 bits."""
        require_lane(self.name, lane, self.lanes_max)
        return NonceKey(lane << (_MODE_BITS + _ADDRESS_BITS) | int.from_bytes(validator, "big"))

    def read_nonce_key(self, key: NonceKey) -> tuple[Address, int]:
        """Read validator and lane again. Raises ConfigInvalid for a key of another mode."""
        lane, mode = key >> (_MODE_BITS + _ADDRESS_BITS), key >> _ADDRESS_BITS & 0xFF
        if mode or not 0 <= lane < self.lanes_max:
            raise ConfigInvalid(f"not a nonce key of a nexus session: {key:#x}", nonce_key=key)
        return Address((key & (1 << _ADDRESS_BITS) - 1).to_bytes(20, "big")), lane

    def owner_nonce_key(self, owner_validator: Address) -> NonceKey:
        """Write the first lane of the owner validator."""
        return self.nonce_key(owner_validator, 0)

    def execute(self, calls: Sequence[Call], try_mode: bool) -> bytes:
        """Encode the account's calldata."""
        return encode_execution(calls, try_mode)

    def signature(self, envelope: bytes) -> bytes:
        """Give the envelope as it is: the nonce names the validator."""
        return envelope

    def owner_signature(self, owner_validator: Address, signature: bytes) -> bytes:
        """Name the validator that is to check it."""
        return owner_validator + signature

    def read_owner_signature(self, signature: bytes) -> tuple[Address | None, bytes]:
        """Read the first 20 bytes as the validator. Raises EncodingInvalid for fewer."""
        return read_validator_prefix(signature)

    def owner_operation_signature(self, signature: bytes) -> bytes:
        """Give the signature as it is: the nonce names the validator."""
        return signature

    def deployment(self, owner: Address, salt: int, contracts: StackContracts) -> Deployment:
        """Create the account with the owner validator and the session validator, and nothing else.

        The session validator is told which validator speaks for the owner. Raises ConfigInvalid without a bootstrap.
        """
        if contracts.bootstrap is None:
            raise ConfigInvalid("nexus needs the address of its bootstrap")
        validators = (
            (contracts.owner_validator, bytes(owner)),
            (contracts.session_validator, bytes(contracts.owner_validator)),
        )
        init = INIT_NEXUS_SCOPED.encode_call(validators, _NO_HOOK, ZERO_ADDRESS, (), 0)
        init_data = encode((ADDRESS, _BYTES), (contracts.bootstrap, init))
        arguments = (init_data, salt.to_bytes(32, "big"))
        return Deployment(
            factory=contracts.factory,
            factory_data=CREATE_ACCOUNT.encode_call(*arguments),
            address_query=COMPUTE_ACCOUNT_ADDRESS.encode_call(*arguments),
        )

    def call_outcomes(
        self, logs: Sequence[Log], *, account: Address, call_data: bytes, succeeded: bool, revert_reason: bytes
    ) -> tuple[CallOutcome, ...]:
        """Match the account's failure events with calls by their data, in order."""
        calls = decode_execute(call_data).calls
        if not succeeded:
            return all_failed(len(calls), revert_reason)
        return _match([call.data for call in calls], _failures(logs, account))

    def grant_request(self, typed_data: TypedData) -> WalletRequest:
        """Ask the owner's wallet: the account passes the digest on unchanged, so the wallet can show the fields."""
        return WalletRequest("typed_data", typed_data, readable=True, note="")


def _failures(logs: Sequence[Log], account: Address) -> list[tuple[bytes, bytes]]:
    """Read data and revert data of each failed call, in order."""
    return [
        cast("tuple[bytes, bytes]", tuple(TRY_EXECUTE_UNSUCCESSFUL.decode(log).values.values()))
        for log in logs
        if log.address == account and log.topics == (TRY_EXECUTE_UNSUCCESSFUL.topic,)
    ]


def _match(calls: Sequence[bytes], failures: Sequence[tuple[bytes, bytes]]) -> tuple[CallOutcome, ...]:
    """Assign failures to calls.

    Both stand in the order of execution, so a failure may belong to any call with its data that stands between the
    earliest place of the failure before it and the latest place of the one after it. Where that is one place the
    assignment is certain; else the last is chosen, since the first of two equal actions is the likelier to succeed,
    and every call that could also be meant is marked inferred.

    Raises: EncodingInvalid if the failures cannot be those of these calls.
    """
    earliest = _places(calls, failures)
    latest = [len(calls) - 1 - place for place in reversed(_places(calls[::-1], failures[::-1]))]
    uncertain: set[int] = set()
    for index, (data, _) in enumerate(failures):
        low = earliest[index - 1] + 1 if index else 0
        high = latest[index + 1] if index + 1 < len(failures) else len(calls)
        candidates = [place for place in range(low, high) if calls[place] == data]
        if len(candidates) > 1:
            uncertain.update(candidates)
    failed = {place: revert_data for place, (_, revert_data) in zip(latest, failures, strict=True)}
    return tuple(
        CallOutcome(place not in failed, failed.get(place), inferred=place in uncertain) for place in range(len(calls))
    )


def _places(calls: Sequence[bytes], failures: Sequence[tuple[bytes, bytes]]) -> list[int]:
    """Give the earliest place of each failure among the calls."""
    places: list[int] = []
    at = 0
    for data, _ in failures:
        while at < len(calls) and calls[at] != data:
            at += 1
        if at == len(calls):
            raise EncodingInvalid("the account reports failures of calls that the operation does not have")
        places.append(at)
        at += 1
    return places
