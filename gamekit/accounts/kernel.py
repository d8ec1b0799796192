"""Kernel 3.1, ZeroDev's account, on EntryPoint 0.7. Theirs, not ours: its code comes from npm, for the devnet only.

npm's build is not the live one: 28,581 bytes where the deployed contract has 22,784. No chain with a cap on code takes
it, only a devnet without. Its interfaces are those of 3.1; what is measured on it says so.

::

    nonce key    mode 1 (0: default) | validation type 1 | validator 20 | lane 2
                 sessions: type 1, a validator by its address; the owner: type 0 and address 0, the root validator
    initData     initialize(0x01 root validator 20, no hook, owner, no hook data, calls to itself)
    install      hook 20 | abi.encode(0x01 | owner validator 20, hook data, selector of execute)
    ERC-1271     0x01 | validator 20 | signature, over a hash of Kernel's own that wraps the digest
    failed call  TryExecuteUnsuccessful(batchExecutionindex, result)

The root validator is not allowed any selector under type 1 in 3.1, so the owner's operations name type 0. Modes 1 and
2, which install something within an operation, are neither written nor read here.

Source: zerodevapp/kernel, ValidationManager.sol, ValidationTypeLib.sol, Constants.sol; events and functions as in the
bytecode of @rhinestone/modulekit 0.5.9.
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
from gamekit.eth.abi import encode
from gamekit.eth.abi_text import parse_type
from gamekit.eth.block import Log
from gamekit.eth.calldata import EXECUTE_SELECTOR, Call, decode_execute
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import to_hex
from gamekit.eth.interface import Event, Function
from gamekit.eth.typed_data import Field, TypedData, typed_data_digest
from gamekit.units import Address, Hash32, NonceKey

CREATE_ACCOUNT: Final = Function.parse("createAccount(bytes data,bytes32 salt)", "address", "payable")
GET_ADDRESS: Final = Function.parse("getAddress(bytes data,bytes32 salt)", "address", "view")
INITIALIZE: Final = Function.parse(
    "initialize(bytes21 rootValidator,address hook,bytes validatorData,bytes hookData,bytes[] initConfig)"
)
INSTALL_MODULE: Final = Function.parse("installModule(uint256 moduleType,address module,bytes initData)")
TRY_EXECUTE_UNSUCCESSFUL: Final = Event.parse("TryExecuteUnsuccessful(uint256 batchExecutionindex,bytes result)")

_BYTES: Final = parse_type("bytes")
_VALIDATOR_TYPE: Final = 1
_MODULE_TYPE_VALIDATOR: Final = 1
_NO_HOOK: Final = Address(bytes(19) + b"\x01")
_LANE_BITS: Final = 16
_ADDRESS_BITS: Final = 160
_DOMAIN: Final = [
    Field("name", "string"),
    Field("version", "string"),
    Field("chainId", "uint256"),
    Field("verifyingContract", "address"),
]
_WRAPPER: Final = {"EIP712Domain": _DOMAIN, "Kernel": [Field("hash", "bytes32")]}


class KernelStack:
    """Kernel with the owner validator as its root and our session validator beside it."""

    name: Final = "kernel"
    entry_point_versions: Final = frozenset({EntryPointVersion.V07})
    lanes_max: Final = 1 << _LANE_BITS
    tells_equal_calls_apart: Final = True
    own_key_is_owner: Final = False
    limits: Final = StackLimits(
        enforced=(
            *ALL_LIMITS,
            "Only the entry point may make the account execute, and only after one of its validators has agreed.",
            "The session validator may start execute and no other function of the account.",
            "The owner's approvals are checked by the root validator alone; the session key can sign none of them.",
        ),
        not_enforced=(
            "Kernel can be upgraded by its owner: the new code may treat the session module in another way.",
            "The Kernel that was tested is npm's build of 3.1, which is larger than the one on live chains.",
        ),
        other_voices=(
            "The root validator speaks for the account without any limit, also over functions other than execute.",
            "Any other validator, permission, executor, hook or fallback handler that the owner installs has a voice.",
        ),
    )

    def nonce_key(self, validator: Address, lane: int) -> NonceKey:
        """Write the nonce key of a lane: default mode, the validator by its address.

        Raises ConfigInvalid for a lane beyond 16 bits.
        """
        require_lane(self.name, lane, self.lanes_max)
        identifier = _VALIDATOR_TYPE << _ADDRESS_BITS | int.from_bytes(validator, "big")
        return NonceKey(identifier << _LANE_BITS | lane)

    def read_nonce_key(self, key: NonceKey) -> tuple[Address, int]:
        """Read validator and lane again. Raises ConfigInvalid for a key of another mode or validation type."""
        if key >> (_LANE_BITS + _ADDRESS_BITS) != _VALIDATOR_TYPE:
            raise ConfigInvalid(f"not a nonce key of a kernel session: {key:#x}", nonce_key=key)
        validator = key >> _LANE_BITS & (1 << _ADDRESS_BITS) - 1
        return Address(validator.to_bytes(20, "big")), key & (1 << _LANE_BITS) - 1

    def owner_nonce_key(self, owner_validator: Address) -> NonceKey:
        """Write the key of the root validator, whichever it is: default mode, type 0, no address, lane 0."""
        del owner_validator
        return NonceKey(0)

    def execute(self, calls: Sequence[Call], try_mode: bool) -> bytes:
        """Encode the account's calldata."""
        return encode_execution(calls, try_mode)

    def signature(self, envelope: bytes) -> bytes:
        """Give the envelope as it is: the nonce names the validator."""
        return envelope

    def owner_signature(self, owner_validator: Address, signature: bytes) -> bytes:
        """Name the validator that is to check it, with its type."""
        return bytes((_VALIDATOR_TYPE,)) + owner_validator + signature

    def read_owner_signature(self, signature: bytes) -> tuple[Address | None, bytes]:
        """Read the validator behind its type. Raises EncodingInvalid for another type, such as the root validator."""
        return read_validator_prefix(signature, bytes((_VALIDATOR_TYPE,)))

    def owner_operation_signature(self, signature: bytes) -> bytes:
        """Give the signature as it is: the nonce names the root validator."""
        return signature

    def deployment(self, owner: Address, salt: int, contracts: StackContracts) -> Deployment:
        """Create the account with the owner validator as root, which then installs the session validator."""
        install = INSTALL_MODULE.encode_call(
            _MODULE_TYPE_VALIDATOR, contracts.session_validator, self.install_data(contracts.owner_validator)
        )
        root = bytes((_VALIDATOR_TYPE,)) + contracts.owner_validator
        arguments = (INITIALIZE.encode_call(root, _NO_HOOK, owner, b"", (install,)), salt.to_bytes(32, "big"))
        return Deployment(
            factory=contracts.factory,
            factory_data=CREATE_ACCOUNT.encode_call(*arguments),
            address_query=GET_ADDRESS.encode_call(*arguments),
        )

    def install_data(self, owner_validator: Address) -> bytes:
        """Write what installs the session validator: without a hook, allowed to start execute and nothing else.

        The session validator is told how Kernel wants the owner validator named in ERC-1271 signatures.
        """
        named = self.owner_signature(owner_validator, b"")
        return _NO_HOOK + encode((_BYTES, _BYTES, _BYTES), (named, b"", EXECUTE_SELECTOR))

    def call_outcomes(
        self, logs: Sequence[Log], *, account: Address, call_data: bytes, succeeded: bool, revert_reason: bytes
    ) -> tuple[CallOutcome, ...]:
        """Read the account's failure events, which name each call by its place."""
        count = len(decode_execute(call_data).calls)
        if not succeeded:
            return all_failed(count, revert_reason)
        return outcomes_by_place(logs, TRY_EXECUTE_UNSUCCESSFUL, account, count)

    def grant_request(self, typed_data: TypedData) -> WalletRequest:
        """Ask the owner's wallet for a hash: Kernel lets nobody sign anything but its own wrapping of the digest."""
        wrapped = wrap(typed_data_digest(typed_data), typed_data.domain["chainId"], typed_data.message["account"])
        return WalletRequest(
            "typed_data",
            wrapped,
            readable=False,
            note="Kernel wraps what is granted, so your wallet shows a hash. Compare it with the one on this page; or "
            "grant by an operation of your account, where the wallet shows the call.",
        )


def wrap(digest: Hash32, chain_id: object, account: object) -> TypedData:
    """Write what Kernel asks its validator about when it is asked, by ERC-1271, about a digest."""
    domain = {"name": "Kernel", "version": "0.3.1", "chainId": chain_id, "verifyingContract": account}
    return TypedData(_WRAPPER, "Kernel", domain, {"hash": to_hex(digest)})
