"""What differs between account stacks, on one screen.

An account stack is somebody's smart account: its factory, its way to name a validator in the nonce, its events. The
boundary is drawn by five real ones: our reference account over OpenZeppelin's, as a contract and at a person's own
address, Nexus, Safe7579 and Kernel. Nothing here reads a chain; where only the chain knows, an adapter gives the call
that asks.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Protocol, cast

from msgspec import Struct

from gamekit.errors import ConfigInvalid, EncodingInvalid
from gamekit.eth.block import Log
from gamekit.eth.calldata import BatchTemplate, Call, CallSlot, Mode, execute_single
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.interface import Event, Function
from gamekit.eth.typed_data import TypedData
from gamekit.units import Address, NonceKey, Wei


class CallOutcome(Struct, frozen=True, gc=False):
    """What became of one call of an included operation."""

    succeeded: bool
    revert_data: bytes | None = None
    """What it reverted with; None when nothing on chain says so."""
    inferred: bool = False
    """Whether the chain leaves room for another reading: a replay may tell."""


class Deployment(Struct, frozen=True):
    """What creates an account."""

    factory: Address
    factory_data: bytes
    """Calldata to the factory. Calling it again for an account that exists changes nothing."""
    address_query: bytes
    """Calldata to the factory that asks, without effect, for the account's address: it returns one word. Empty where
    nobody need be asked."""
    address: Address | None = None
    """The account's address, where it is known without asking."""
    delegate: Address | None = None
    """The contract that the account's own key must delegate to before the factory is called; None where the account is
    a contract of its own."""


class StackContracts(Struct, frozen=True):
    """Where the contracts of a stack stand on a chain."""

    factory: Address
    """What makes accounts; where a person's own address becomes the account, what it delegates to."""
    session_validator: Address
    owner_validator: Address
    """0 where the account's own key is the owner."""
    bootstrap: Address | None = None
    """What installs the first modules; of stacks that have one."""


class WalletRequest(Struct, frozen=True):
    """What the owner's wallet is asked to sign."""

    kind: str
    """`typed_data` for eth_signTypedData_v4."""
    typed_data: TypedData
    readable: bool
    """Whether the wallet shows what is granted in words, or only a hash."""
    note: str
    """What the player should know about what the wallet shows."""


class StackLimits(Struct, frozen=True):
    """What holds on chain on this stack, for the explanation that a player reads."""

    enforced: tuple[str, ...]
    """Sentences on what holds on chain here: which of the scope's limits, and what the account's own code refuses
    beside the session module."""
    not_enforced: tuple[str, ...]
    """Sentences on what no contract checks once the session is granted."""
    other_voices: tuple[str, ...]
    """Sentences on who else may speak for the account."""


VALIDATOR_MODULE: Final = 1
"""ERC-7579's number for modules that validate operations."""
IS_MODULE_INSTALLED: Final = Function.parse(
    "isModuleInstalled(uint256 moduleType,address module,bytes context)", "bool", "view"
)
ADDRESS_BYTES: Final = 20

ALL_LIMITS: Final = (
    "Every limit above holds on chain here: the account asks the session module before it does what the key signed.",
    "The module sees the whole operation: each call of a batch, its value, its gas, who pays and until when it counts.",
)
"""Which limits hold where the session module validates each operation of its nonce key, as on every stack so far."""


class AccountStack(Protocol):
    """One account stack; stateless."""

    @property
    def name(self) -> str:
        """As configuration and journal write it."""
        ...

    @property
    def entry_point_versions(self) -> frozenset[EntryPointVersion]:
        """Versions that this account is built for."""
        ...

    @property
    def lanes_max(self) -> int:
        """How many lanes an account has for one validator."""
        ...

    @property
    def tells_equal_calls_apart(self) -> bool:
        """Whether its events say which of two equal calls in a try batch failed. Where not, the outcome is inferred."""
        ...

    @property
    def own_key_is_owner(self) -> bool:
        """Whether the account is the owner's own address, so that no owner validator speaks for it."""
        ...

    @property
    def limits(self) -> StackLimits:
        """What holds on chain here, in words."""
        ...

    def nonce_key(self, validator: Address, lane: int) -> NonceKey:
        """Write the nonce key of a lane whose operations this validator checks.

        Raises: ConfigInvalid when the lane is below 0 or beyond `lanes_max - 1`.
        """
        ...

    def read_nonce_key(self, key: NonceKey) -> tuple[Address, int]:
        """Read validator and lane again.

        Raises: ConfigInvalid for a key that `nonce_key` does not write.
        """
        ...

    def owner_nonce_key(self, owner_validator: Address) -> NonceKey:
        """Write the nonce key of the operations that the owner's wallet signs."""
        ...

    def execute(self, calls: Sequence[Call], try_mode: bool) -> bytes:
        """Encode the account's calldata for 1 to 64 calls; with `try_mode` each may revert by itself."""
        ...

    def signature(self, envelope: bytes) -> bytes:
        """Give the operation's signature field for what the module is to see."""
        ...

    def owner_signature(self, owner_validator: Address, signature: bytes) -> bytes:
        """Give the ERC-1271 signature that the account checks by its owner validator, and no other."""
        ...

    def read_owner_signature(self, signature: bytes) -> tuple[Address | None, bytes]:
        """Read which validator an ERC-1271 signature names, as the account's own code does, and what that is to check.

        The validator is None where the account's own key answers.

        Raises: EncodingInvalid for what `owner_signature` does not write.
        """
        ...

    def owner_operation_signature(self, signature: bytes) -> bytes:
        """Give the signature field of an operation that the owner's wallet signed."""
        ...

    def deployment(self, owner: Address, salt: int, contracts: StackContracts) -> Deployment:
        """Say what creates an account with both validators installed.

        Args:
            owner: the externally owned account behind it.
            salt: tells several accounts of one owner apart, 0 to 2^256 - 1.
            contracts: of the chain.
        """
        ...

    def grant_request(self, typed_data: TypedData) -> WalletRequest:
        """Say what the owner's wallet signs to grant a session, and whether a person can read it there.

        Args:
            typed_data: the session module's grant, as eth_signTypedData_v4 takes it.
        """
        ...

    def call_outcomes(
        self, logs: Sequence[Log], *, account: Address, call_data: bytes, succeeded: bool, revert_reason: bytes
    ) -> tuple[CallOutcome, ...]:
        """Say what became of each call of an included operation, in order.

        Args:
            logs: all logs of the operation's execution, in order.
            account: whose events count; anybody may emit the same.
            call_data: the operation's, as `execute` wrote it.
            succeeded: what the entry point's UserOperationEvent says.
            revert_reason: what the entry point reports of a failed execution; empty when it says nothing.
        """
        ...


def encode_execution(calls: Sequence[Call], try_mode: bool) -> bytes:
    """Encode calls for an ERC-7579 account: one alone in the short form, several as a batch."""
    if len(calls) == 1:
        return execute_single(Mode.SINGLE_TRY if try_mode else Mode.SINGLE, *calls[0])
    template = _BATCH_TRY if try_mode else _BATCH
    return template.encode([_call_slot(target, value).element(data) for target, value, data in calls])


_BATCH: Final = BatchTemplate(Mode.BATCH)
_BATCH_TRY: Final = BatchTemplate(Mode.BATCH_TRY)


@lru_cache(maxsize=256)
def _call_slot(target: Address, value: Wei) -> CallSlot:
    """The constant bytes of calls to one contract; a server plays few of them."""
    return CallSlot(target, value)


def all_failed(count: int, revert_reason: bytes | None) -> tuple[CallOutcome, ...]:
    """Say that the execution as a whole was undone, so that no call has had any effect."""
    return (CallOutcome(succeeded=False, revert_data=revert_reason),) * count


def outcomes_by_place(logs: Sequence[Log], event: Event, emitter: Address, count: int) -> tuple[CallOutcome, ...]:
    """Read failure events that name each call by its place, and carry its revert data: `event(uint256, bytes)`.

    Raises: EncodingInvalid for a place that the operation does not have.
    """
    failed: dict[int, bytes] = {}
    for log in logs:
        if log.address == emitter and log.topics == (event.topic,):
            place, revert_data = cast("tuple[int, bytes]", event.decode(log).values.values())
            if place >= count:
                raise EncodingInvalid(f"the account reports call {place} of {count} as failed", found=place)
            failed[place] = revert_data
    return tuple(CallOutcome(place not in failed, failed.get(place)) for place in range(count))


def read_validator_prefix(signature: bytes, kind: bytes = b"") -> tuple[Address, bytes]:
    """Split a signature behind the 20 bytes of the validator that it names.

    Args:
        signature: as the account sees it.
        kind: what the account has to find in front of the address.

    Raises: EncodingInvalid when it is shorter, or begins otherwise.
    """
    end = len(kind) + ADDRESS_BYTES
    if len(signature) < end or not signature.startswith(kind):
        raise EncodingInvalid(f"the signature names no validator: 0x{signature[:end].hex()}", found=len(signature))
    return Address(signature[len(kind) : end]), signature[end:]


def require_lane(stack: str, lane: int, lanes_max: int) -> None:
    """Refuse a lane that the stack's nonce key has no room for. Raises ConfigInvalid."""
    if not 0 <= lane < lanes_max:
        raise ConfigInvalid(f"a lane on {stack} is 0 to {lanes_max - 1}, got {lane}", stack=stack, lane=lane)
