"""The reference account: a thin account of ours over OpenZeppelin's ERC-7579 account, on EntryPoint 0.7 and 0.8.

::

    nonce key    validator 20 | lane 4
    address      from owner and salt: who the owner is stands in the account's own code
    failed call  ERC7579TryExecuteFail(batchExecutionIndex, returndata)

Source: OpenZeppelin Contracts 5.7, draft-AccountERC7579.sol, draft-ERC7579Utils.sol and Errors.sol;
ReferenceAccount.sol and ReferenceAccountFactory.sol, which are ours.
"""

from collections.abc import Sequence
from typing import Final

from gamekit.accounts.stack import (
    ALL_LIMITS,
    CallOutcome,
    Deployment,
    StackContracts,
    StackLimits,
    WalletRequest,
    all_failed,
    encode_execution,
    outcomes_by_place,
    read_validator_prefix,
    require_lane,
)
from gamekit.errors import ConfigInvalid
from gamekit.eth.block import Log
from gamekit.eth.calldata import Call, decode_execute
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.interface import CustomError, Event, Function
from gamekit.eth.typed_data import TypedData
from gamekit.units import Address, NonceKey

TRY_EXECUTE_FAIL: Final = Event.parse("ERC7579TryExecuteFail(uint256 batchExecutionIndex,bytes returndata)")
FAILED_CALL: Final = CustomError.parse("FailedCall()").encode()
"""What the account reverts with where a call of an atomic batch failed and said nothing, for want of gas mostly."""
CREATE_ACCOUNT: Final = Function.parse("createAccount(address owner,bytes32 salt)", "address account")
ACCOUNT_ADDRESS: Final = Function.parse("accountAddress(address owner,bytes32 salt)", "address", "view")

_LANE_BITS: Final = 32


class ReferenceStack:
    """Our reference account with our two validators."""

    name: str = "reference"
    entry_point_versions: frozenset[EntryPointVersion] = frozenset({EntryPointVersion.V07, EntryPointVersion.V08})
    lanes_max: Final = 1 << _LANE_BITS
    tells_equal_calls_apart: Final = True
    own_key_is_owner: bool = False
    limits: StackLimits = StackLimits(
        enforced=(
            *ALL_LIMITS,
            "Only the entry point may make the account execute, and only after one of its validators has agreed.",
            "The owner's approvals are checked by the owner validator alone; the session key can sign none of them.",
        ),
        not_enforced=(),
        other_voices=(
            "Any other validator, executor or fallback handler that the owner installs speaks for the account.",
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
        """Create the account with the owner validator and the session validator, both of the factory's choice."""
        arguments = (owner, salt.to_bytes(32, "big"))
        return Deployment(
            factory=contracts.factory,
            factory_data=CREATE_ACCOUNT.encode_call(*arguments),
            address_query=ACCOUNT_ADDRESS.encode_call(*arguments),
        )

    def call_outcomes(
        self, logs: Sequence[Log], *, account: Address, call_data: bytes, succeeded: bool, revert_reason: bytes
    ) -> tuple[CallOutcome, ...]:
        """Read the account's failure events, which name each call by its place."""
        count = len(decode_execute(call_data).calls)
        if not succeeded:
            return all_failed(count, b"" if revert_reason == FAILED_CALL else revert_reason)
        return outcomes_by_place(logs, TRY_EXECUTE_FAIL, account, count)

    def grant_request(self, typed_data: TypedData) -> WalletRequest:
        """Ask the owner's wallet: the account passes the digest on unchanged, so the wallet can show the fields."""
        return WalletRequest("typed_data", typed_data, readable=True, note="")
