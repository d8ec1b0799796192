"""Safe 1.4.1 with Rhinestone's adapter Safe7579 1.0.0, on EntryPoint 0.7. Theirs, not ours: from npm, for the devnet.

::

    nonce key    validator 20 | lane 4; a validator that is not installed means the Safe's owners instead
    address      from owner and salt, by our Safe7579Factory: one owner, threshold 1, both validators installed
    ERC-1271     validator 20 | signature: the adapter passes the digest on unchanged
    one call     the Safe's ExecutionFromModuleSuccess or ExecutionFromModuleFailure: no revert data
    try batch    ExecutionFromModuleSuccess, whatever became of its calls
    reverted     ExecutionFailed(), whatever a call or a module reverted with

So a try batch of several calls leaves no trace of which succeeded, and no failure its reason: outcomes are marked
inferred, and `replay.py` finds them out.

Source: rhinestonewtf/safe7579, Safe7579.sol, ExecutionHelper.sol, Safe7579Launchpad.sol;
safe-global/safe-smart-account, ModuleManager.sol; what is said of events was seen in the bytecode of
@rhinestone/modulekit 0.5.9.
"""

from collections.abc import Sequence
from typing import Final

from gamekit.accounts.reference import ACCOUNT_ADDRESS, CREATE_ACCOUNT
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
from gamekit.eth.block import Log
from gamekit.eth.calldata import Call, Mode, decode_execute
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.interface import CustomError, Event
from gamekit.eth.typed_data import TypedData
from gamekit.units import Address, NonceKey

EXECUTION_SUCCESS: Final = Event.parse("ExecutionFromModuleSuccess(address indexed module)")
EXECUTION_FAILURE: Final = Event.parse("ExecutionFromModuleFailure(address indexed module)")
EXECUTION_FAILED: Final = CustomError.parse("ExecutionFailed()").encode()
"""What the adapter reverts with, whatever it was that failed."""

_LANE_BITS: Final = 32


class Safe7579Stack:
    """A Safe with the adapter and our two validators; its one owner is the owner validator's."""

    name: Final = "safe7579"
    entry_point_versions: Final = frozenset({EntryPointVersion.V07})
    lanes_max: Final = 1 << _LANE_BITS
    tells_equal_calls_apart: Final = False
    own_key_is_owner: Final = False
    limits: Final = StackLimits(
        enforced=(
            *ALL_LIMITS,
            "Only the entry point may make the adapter execute, and only after one of its validators has agreed.",
            "The owner's approvals are checked by the owner validator or by the Safe; the session key can sign none.",
        ),
        not_enforced=(
            "The Safe's owners can change its code and its adapter: new ones may treat the session module differently.",
            "Which calls of a batch succeeded is not written on the chain: it is found out by running them again.",
        ),
        other_voices=(
            "The Safe's owners speak for it directly, without any operation, module or limit.",
            "An operation that names a validator which is not installed needs the signatures of the Safe's owners.",
            "Any other Safe module, validator, executor, hook or fallback handler that they install speaks for it.",
        ),
    )

    def nonce_key(self, validator: Address, lane: int) -> NonceKey:
        """Write the nonce key of a lane. Raises ConfigInvalid for a lane beyond 32 bits."""
        require_lane(self.name, lane, self.lanes_max)
        return NonceKey(int.from_bytes(validator, "big") << _LANE_BITS | lane)

    def read_nonce_key(self, key: NonceKey) -> tuple[Address, int]:
        """Read validator and lane again. Raises ConfigInvalid for what is no 192-bit key."""
        if not 0 <= key < 1 << 192:
            raise ConfigInvalid(f"not a nonce key: {key:#x}", nonce_key=key)
        return Address((key >> _LANE_BITS).to_bytes(20, "big")), key & (1 << _LANE_BITS) - 1

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
        """Create the Safe with the adapter and both validators, whole in one transaction."""
        arguments = (owner, salt.to_bytes(32, "big"))
        return Deployment(
            factory=contracts.factory,
            factory_data=CREATE_ACCOUNT.encode_call(*arguments),
            address_query=ACCOUNT_ADDRESS.encode_call(*arguments),
        )

    def call_outcomes(
        self, logs: Sequence[Log], *, account: Address, call_data: bytes, succeeded: bool, revert_reason: bytes
    ) -> tuple[CallOutcome, ...]:
        """Say what the Safe's own events tell: all of a single call, nothing of a try batch.

        Raises: EncodingInvalid when the Safe reports no execution.
        """
        execution = decode_execute(call_data)
        count = len(execution.calls)
        if not succeeded:
            return all_failed(count, None if revert_reason == EXECUTION_FAILED else revert_reason)
        if execution.mode is Mode.BATCH_TRY:
            return (CallOutcome(succeeded=True, inferred=True),) * count
        if execution.mode is Mode.SINGLE_TRY:
            return (CallOutcome(_executed(logs, account)),)
        return (CallOutcome(succeeded=True),) * count

    def grant_request(self, typed_data: TypedData) -> WalletRequest:
        """Ask the owner's wallet: the adapter passes the digest on unchanged, so the wallet can show the fields."""
        note = "Your wallet asks for your own address, which owns the Safe; the Safe's own app has nothing to sign."
        return WalletRequest("typed_data", typed_data, readable=True, note=note)


def _executed(logs: Sequence[Log], account: Address) -> bool:
    """Whether the operation's one execution succeeded.

    The last event counts: one of another module, that the call itself set off, stands before it.
    """
    topics = (EXECUTION_SUCCESS.topic, EXECUTION_FAILURE.topic)
    told = [log.topics[0] for log in logs if log.address == account and log.topics and log.topics[0] in topics]
    if not told:
        raise EncodingInvalid("the account reports no execution")
    return told[-1] == EXECUTION_SUCCESS.topic
