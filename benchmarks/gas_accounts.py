"""Who is measured, part one: our session, the account's own owner, and SimpleAccount.

Each contestant opens some players' accounts, warms them up with one action each, and then writes transactions: so many
operations, one a player, of so many calls each.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from benchmarks.gas_chain import CHAIN_ID, Chain, Key, Sent, game_call, validation_gas
from gamekit.accounts import stack
from gamekit.contracts import build
from gamekit.core.policy import (
    ArgumentRule,
    CallEntry,
    CallPolicy,
    Condition,
    GasPolicy,
    RateLimitPolicy,
    SpendingLimitPolicy,
    TimeFramePolicy,
    UsageLimitPolicy,
    ValueLimitPolicy,
)
from gamekit.core.scope import Scope
from gamekit.core.setup import StackSetup
from gamekit.eth import session_validator
from gamekit.eth.calldata import Call
from gamekit.eth.entry_point import DEPOSIT_TO, GET_NONCE, encode_handle_ops
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import checksum_address, keccak256, selector, to_hex
from gamekit.eth.interface import Function
from gamekit.eth.scope_form import ScopeForm
from gamekit.eth.session_validator_abi import GRANT_SESSION
from gamekit.eth.typed_data import Field, TypedData, typed_data_digest
from gamekit.eth.user_op_hash import user_op_hash
from gamekit.eth.user_operation import UserOperation
from gamekit.units import Address, Gas, Hash32, NonceKey, UnixSeconds, UserOpHash, Wei

VERIFICATION_GAS: Final = Gas(3_000_000)
CALL_GAS: Final = Gas(4_000_000)
PRE_VERIFICATION_GAS: Final = Gas(1_000_000)
FEE: Final = Wei(4 * 10**9)
DEPOSIT: Final = Wei(10**20)
CALLS_MAX: Final = 64
AMPLE: Final = 1_000_000
GAS_WEI_MAX: Final = Wei(10**18)
"""What one operation of a session may cost, where that is limited: 30 times what it does."""
DURATION_S: Final = 24 * 3600
DEADLINE_S: Final = 90

ALWAYS_ON: Final = ("function", "time", "deadline", "uses", "gas budget", "nonce key", "paymaster", "no value")
"""What every session of ours enforces."""
EVERY_CHECK: Final = (*ALWAYS_ON, "rate", "2 argument rules", "cumulative cap")

DELEGATION: Final = b"\xef\x01\x00"
"""Stands before the address in the code of an account that delegates. Source: EIP-7702."""
VALIDATE_06: Final = selector(
    "validateUserOp((address,uint256,bytes,bytes,uint256,uint256,uint256,uint256,uint256,bytes,bytes),bytes32,uint256)"
)
VALIDATE: Final = selector(
    "validateUserOp((address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes),bytes32,uint256)"
)
"""Of EntryPoint 0.7 and later."""


class Asked(Struct, frozen=True):
    """One operation that is wanted."""

    place: int
    """Of which player."""
    calls: int
    now: UnixSeconds
    """The second of the head."""


class Contestant(Protocol):
    """One way to have players' accounts act."""

    account: str
    entry_point_version: str | None
    """None when no entry point is involved."""
    signer: str
    limits: tuple[str, ...]
    """What is enforced on chain whoever holds the key; empty for full power."""
    note: str

    async def open(self, chain: Chain, players: int) -> None:
        """Create so many accounts, each used once."""
        ...

    async def transaction(self, calls: int, operations: int) -> tuple[Address, bytes]:
        """Write the transaction of the first so many players: whom it calls, and with what."""
        ...

    def validation(self, sent: Sent, operations: int) -> int:
        """Read from the trace what deciding took, over all operations."""
        ...

    async def executed(self, place: int) -> int:
        """Ask the game how many calls of a player it has executed so far."""
        ...


class Operations(ABC):
    """What all have in common who act by user operations."""

    account: str = ""
    signer: str = ""
    limits: tuple[str, ...] = ()
    note: str = ""
    chain: Chain
    """Where it is open."""
    paymaster: Address | None = None
    fee: Wei = FEE
    lane: int = 7
    """Of a session's nonce key."""
    uses_max: int = AMPLE
    """Calls that a session may make, where that is limited."""
    sum_max: int = AMPLE
    """Strength that a session's attacks may have in all, where that is limited."""

    def __init__(self, version: EntryPointVersion) -> None:
        self.version = version
        self.entry_point_version: str | None = version.value
        self.entry_point = version.canonical_address
        self.players: list[Address] = []
        self.owners: list[Key] = []
        self.bend: Callable[[Call], Call] = lambda call: call
        """What becomes of a call before it is sent."""

    async def open(self, chain: Chain, players: int) -> None:
        """Create accounts, pay their deposits, and land one action of each."""
        self.chain = chain
        self.owners = [Key(self.salt(number)) for number in range(players)]
        for number in range(players):
            self.players.append(await self.create(number))
        for account in self.players:
            await chain.act(chain.bundler, self.entry_point, DEPOSIT_TO.encode_call(account), DEPOSIT)
        await self.prepare()
        to, data = await self.transaction(1, players)
        await chain.act(chain.bundler, to, data)

    async def transaction(self, calls: int, operations: int) -> tuple[Address, bytes]:
        """Bundle one operation of each of the first players."""
        now = await self.chain.now()
        signed = []
        for place in range(operations):
            asked = Asked(place, calls, now)
            op = await self.unsigned(asked)
            signed.append(replace(op, signature=self.sign(asked, op)))
        return self.entry_point, encode_handle_ops(signed, self.chain.bundler, self.version)

    def validation(self, sent: Sent, operations: int) -> int:
        """Add up the accounts' validateUserOp."""
        function = VALIDATE if self.version.is_packed else VALIDATE_06
        return validation_gas(sent.trace, self.entry_point, self.players[:operations], function)

    async def executed(self, place: int) -> int:
        """Ask the game."""
        return await self.chain.actions_of(self.players[place])

    async def unsigned(self, asked: Asked) -> UserOperation:
        """Write one player's next operation, with the same gas limits in every row."""
        account = self.players[asked.place]
        question = GET_NONCE.encode_call(account, self.nonce_key())
        return UserOperation(
            sender=account,
            nonce=int.from_bytes(await self.chain.call(self.entry_point, question), "big"),
            call_data=self.call_data([self.bend(call) for call in self.game_calls(asked)]),
            call_gas_limit=CALL_GAS,
            verification_gas_limit=VERIFICATION_GAS,
            pre_verification_gas=PRE_VERIFICATION_GAS,
            max_fee_per_gas=self.fee,
            max_priority_fee_per_gas=Wei(1),
            paymaster=self.paymaster,
            paymaster_verification_gas_limit=Gas(100_000 if self.paymaster else 0),
        )

    def game_calls(self, asked: Asked) -> list[Call]:
        """Give one player's calls: the same in every row."""
        return [Call(self.chain.contracts.arena, Wei(0), game_call(index)) for index in range(asked.calls)]

    def salt(self, number: int) -> int:
        """Tell a player's accounts apart: each contestant has its own."""
        return int.from_bytes(keccak256(f"{self.account} {self.signer} {number}".encode())[:8], "big")

    @abstractmethod
    async def create(self, number: int) -> Address:
        """Create one player's account."""

    async def prepare(self) -> None:  # noqa: B027 - most have nothing to do
        """Do what the accounts need before their first action; nothing by default."""

    @abstractmethod
    def nonce_key(self) -> NonceKey:
        """Say where an account's operations are numbered."""

    @abstractmethod
    def call_data(self, calls: Sequence[Call]) -> bytes:
        """Encode calls for the account."""

    @abstractmethod
    def sign(self, asked: Asked, op: UserOperation) -> bytes:
        """Write the operation's signature field."""

    def hash(self, op: UserOperation) -> UserOpHash:
        """Hash an operation as the entry point does."""
        return user_op_hash(op, self.version, self.entry_point, CHAIN_ID)


class OnStack(Operations):
    """Accounts that an adapter of ours knows how to create."""

    def __init__(self, where: StackSetup) -> None:
        super().__init__(where.version)
        self.where = where
        self.stack = stack(where.name)
        self.account = where.name

    async def create(self, number: int) -> Address:
        """Create it as the adapter says, with our validators."""
        # An own address is one account.
        salt = 0 if self.stack.own_key_is_owner else self.salt(number)
        plan = self.stack.deployment(self.owners[number].address, salt, self.where.contracts)
        account = plan.address or Address((await self.chain.call(plan.factory, plan.address_query))[-20:])
        if plan.delegate is not None:
            await self.chain.node.set_code(account, DELEGATION + plan.delegate)
        await self.chain.act(self.chain.bundler, plan.factory, plan.factory_data)
        return account

    def call_data(self, calls: Sequence[Call]) -> bytes:
        """Encode independent calls, as gamekit sends them."""
        return self.stack.execute(calls, True)


class Owner(OnStack):
    """The owner's plain operation: the least that an account can ask."""

    signer = "owner"

    def __init__(self, where: StackSetup, *, note: str = "") -> None:
        super().__init__(where)
        by = "the account's own key" if self.stack.own_key_is_owner else "OwnerValidator, which is ours"
        self.note = "; ".join(filter(None, (f"signed over the bare hash, checked by {by}", note)))

    def nonce_key(self) -> NonceKey:
        """Where the owner's wallet acts."""
        return self.stack.owner_nonce_key(self.where.contracts.owner_validator)

    def sign(self, asked: Asked, op: UserOperation) -> bytes:
        """Sign the hash as it is: the cheaper of the two forms that OwnerValidator takes."""
        return self.stack.owner_operation_signature(self.owners[asked.place].sign(self.hash(op)))


class SafeOwner(OnStack):
    """The Safe's own owner: the adapter asks the Safe itself when the nonce names no validator.

    ::

        signature   valid after 6 | valid until 6 | the owners' signatures over the Safe's own typed data

    Source: rhinestonewtf/safe7579, SafeOp.sol.
    """

    signer = "owner of the Safe"
    note = "checked by the Safe itself, over typed data of its own"
    _FIELDS: Final = [
        Field("safe", "address"),
        Field("nonce", "uint256"),
        Field("initCode", "bytes"),
        Field("callData", "bytes"),
        Field("verificationGasLimit", "uint128"),
        Field("callGasLimit", "uint128"),
        Field("preVerificationGas", "uint256"),
        Field("maxPriorityFeePerGas", "uint128"),
        Field("maxFeePerGas", "uint128"),
        Field("paymasterAndData", "bytes"),
        Field("validAfter", "uint48"),
        Field("validUntil", "uint48"),
        Field("entryPoint", "address"),
    ]
    _DOMAIN: Final = [Field("chainId", "uint256"), Field("verifyingContract", "address")]

    def nonce_key(self) -> NonceKey:
        """Name no validator."""
        return NonceKey(0)

    def sign(self, asked: Asked, op: UserOperation) -> bytes:
        """Sign what a Safe's owner signs, without an end."""
        message: dict[str, object] = {
            "safe": checksum_address(op.sender),
            "nonce": op.nonce,
            "initCode": "0x",
            "callData": to_hex(op.call_data),
            "verificationGasLimit": op.verification_gas_limit,
            "callGasLimit": op.call_gas_limit,
            "preVerificationGas": op.pre_verification_gas,
            "maxPriorityFeePerGas": op.max_priority_fee_per_gas,
            "maxFeePerGas": op.max_fee_per_gas,
            "paymasterAndData": "0x",
            "validAfter": 0,
            "validUntil": 0,
            "entryPoint": checksum_address(self.entry_point),
        }
        adapter = checksum_address(self.chain.contracts.safe7579_adapter)
        domain: dict[str, object] = {"chainId": CHAIN_ID, "verifyingContract": adapter}
        types = {"EIP712Domain": self._DOMAIN, "SafeOp": self._FIELDS}
        digest = typed_data_digest(TypedData(types, "SafeOp", domain, message))
        return bytes(12) + self.owners[asked.place].sign(digest)


class Shape(Struct, frozen=True):
    """What a session is limited to, beside what always is."""

    rules: tuple[ArgumentRule | SpendingLimitPolicy, ...] = ()
    rate: RateLimitPolicy | None = None
    value: ValueLimitPolicy = ValueLimitPolicy()
    entries: int = 1
    """Functions allowed; the one that is called stands in the middle."""


ONE_ENTRY: Final = Shape()
AT_LEAST_ONE: Final = ArgumentRule(0, Condition.AT_LEAST, 1)
AT_MOST_STAMINA: Final = ArgumentRule(1, Condition.AT_MOST, 100)
STRENGTH_IN_ALL: Final = SpendingLimitPolicy(argument=1, total_max=AMPLE, lane=1)
PACE: Final = RateLimitPolicy(interval_ms=1, burst=1000)
ALL_ON: Final = Shape(rules=(AT_LEAST_ONE, AT_MOST_STAMINA, STRENGTH_IN_ALL), rate=PACE)


class Session(OnStack):
    """A session of ours."""

    def __init__(
        self,
        where: StackSetup,
        shape: Shape = ONE_ENTRY,
        signer: str = "session",
        limits: tuple[str, ...] = ALWAYS_ON,
        *,
        note: str = "",
    ) -> None:
        super().__init__(where)
        self.note = note
        self.shape = shape
        self.signer = signer
        self.limits = limits
        self.keys: list[Key] = []
        self.forms: list[ScopeForm] = []
        self.hint = 0

    async def prepare(self) -> None:
        """Grant each player's session, by the account itself."""
        now = await self.chain.now()
        for place in range(len(self.players)):
            self.keys.append(Key(place))
            scope = self._scope(place, now)
            self.hint = [entry.selector for entry in scope.calls.entries].index(self.function())
            self.forms.append(ScopeForm(self.granted(scope.pack())))
            # Targets whose code may change are accepted by name; there are none here.
            grant = GRANT_SESSION.encode_call(self.forms[place].granted, ())
            await self.chain.act(self.players[place], self.where.contracts.session_validator, grant)

    def granted(self, packed: bytes) -> bytes:
        """Choose the form of the scope that is granted: as gamekit does, by the length of the list."""
        return packed

    def nonce_key(self) -> NonceKey:
        """One of the session validator's."""
        return self.stack.nonce_key(self.where.contracts.session_validator, self.lane)

    def sign(self, asked: Asked, op: UserOperation) -> bytes:
        """Write the envelope: the digest binds hash, permission, claimed time and deadline."""
        form, deadline = self.forms[asked.place], UnixSeconds(asked.now + DEADLINE_S)
        module = self.where.contracts.session_validator
        permission = session_validator.permission_id(CHAIN_ID, module, self.players[asked.place], form.signed)
        digest = session_validator.operation_digest(self.hash(op), permission, asked.now, deadline)
        hints, witnesses = form.show(form.places([self.hint] * asked.calls))
        signed = self.keys[asked.place].sign(digest)
        envelope = session_validator.envelope(asked.now, deadline, signed, hints, form.signed, witnesses)
        return self.stack.signature(envelope)

    def function(self) -> bytes:
        """The selector of the function that is called."""
        return game_call(0)[:4]

    def target(self) -> Address:
        """The contract that is called."""
        return self.chain.contracts.arena

    def _scope(self, place: int, now: UnixSeconds) -> Scope:
        target, played = self.target(), self.function()
        others = sorted(keccak256(b"function" + bytes([number]))[:4] for number in range(self.shape.entries - 1))
        rules = tuple(
            replace(rule, total_max=self.sum_max) if isinstance(rule, SpendingLimitPolicy) else rule
            for rule in self.shape.rules
        )
        entries = [CallEntry(target, each) for each in others] + [CallEntry(target, played, rules=rules)]
        return Scope(
            signer=self.keys[place].address,
            revoker=self.owners[place].address,
            nonce_key=self.nonce_key(),
            calls_max=CALLS_MAX,
            time=TimeFramePolicy(UnixSeconds(now - 60), UnixSeconds(now + DURATION_S)),
            calls=CallPolicy(tuple(sorted(entries, key=lambda entry: entry.selector))),
            usage=UsageLimitPolicy(self.uses_max),
            gas=GasPolicy(Wei(10**24), GAS_WEI_MAX, self.paymaster),
            rate=self.shape.rate,
            value=self.shape.value,
        )


class SimpleAccount(Operations):
    """The entry points' own example account: one owner, no modules."""

    account = "SimpleAccount"
    signer = "owner"
    _CREATE: Final = Function.parse("createAccount(address owner,uint256 salt)", "address")
    _ADDRESS: Final = Function.parse("getAddress(address owner,uint256 salt)", "address", "view")
    _SENDER_CREATOR: Final = Function.parse("senderCreator()", "address", "view")
    _EXECUTE: Final = Function.parse("execute(address dest,uint256 value,bytes func)")
    _BATCH_07: Final = Function.parse("executeBatch(address[] dest,uint256[] value,bytes[] func)")
    _BATCH_08: Final = Function.parse("executeBatch((address target,uint256 value,bytes data)[] calls)")

    def __init__(self, version: EntryPointVersion) -> None:
        super().__init__(version)
        self.factory = Address(bytes(20))

    async def create(self, number: int) -> Address:
        """Create it by its factory, which since 0.8 obeys the entry point's helper only."""
        if number == 0:
            package = "aa07" if self.version is EntryPointVersion.V07 else "aa08"
            path = build.PACKAGES / package / "artifacts" / "SimpleAccountFactory.json"
            code = bytes.fromhex(json.loads(path.read_text())["bytecode"][2:])
            self.factory = await self.chain.create(code + bytes(12) + self.entry_point)
        sender = self.chain.bundler
        if self.version is not EntryPointVersion.V07:
            sender = Address((await self.chain.call(self.entry_point, self._SENDER_CREATOR.encode_call()))[-20:])
        owner, salt = self.owners[number].address, self.salt(number)
        await self.chain.act(sender, self.factory, self._CREATE.encode_call(owner, salt))
        return Address((await self.chain.call(self.factory, self._ADDRESS.encode_call(owner, salt)))[-20:])

    def nonce_key(self) -> NonceKey:
        """The first."""
        return NonceKey(0)

    def call_data(self, calls: Sequence[Call]) -> bytes:
        """Encode one call or several: the first that reverts undoes all."""
        if len(calls) == 1:
            return self._EXECUTE.encode_call(*calls[0])
        if self.version is EntryPointVersion.V07:
            return self._BATCH_07.encode_call(*(list(column) for column in zip(*calls, strict=True)))
        return self._BATCH_08.encode_call(list(calls))

    def sign(self, asked: Asked, op: UserOperation) -> bytes:
        """Sign as a personal message, and since 0.8 as it is."""
        hashed = self.hash(op)
        return self.owners[asked.place].sign(hashed if self.version.is_typed_data else personal(hashed))


def personal(hashed: bytes) -> Hash32:
    """What a wallet signs for 32 bytes that a person is shown. Source: EIP-191, version 0x45."""
    return keccak256(b"\x19Ethereum Signed Message:\n32" + hashed)
