"""Who is measured, part two: what others call a session.

SmartSession's core comes from @rhinestone/modulekit, in an older form than the one its authors deploy today, and
without its policies; those are minimal ones of ours (gamekit/contracts/test/benchmark). thirdweb's account and
MetaMask's delegation come as creation code in packages that only this benchmark installs (benchmarks/node). Nothing of
theirs is in this repository.

Source: erc7579/smartsessions, SmartSession.sol, IdLib.sol, EncodeLib.sol; thirdweb-dev/contracts, AccountCore.sol,
IAccountPermissions.sol; MetaMask/delegation-framework, DelegationManager.sol, Types.sol and the enforcers' terms.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks.gas_accounts import (
    AMPLE,
    DELEGATION,
    DURATION_S,
    GAS_WEI_MAX,
    Asked,
    OnStack,
    Operations,
    personal,
)
from benchmarks.gas_calldata import intrinsic_gas
from benchmarks.gas_chain import CHAIN_ID, Chain, Key, Sent, benchmark_contract, game_call
from benchmarks.peers import FOLDER
from gamekit.chain.rpc import from_quantity, to_data
from gamekit.contracts import build
from gamekit.core.setup import StackSetup
from gamekit.eth.abi import ADDRESS, encode
from gamekit.eth.abi_text import parse_type
from gamekit.eth.calldata import Call
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import checksum_address, keccak256, parse_address, selector, to_hex
from gamekit.eth.interface import Function
from gamekit.eth.typed_data import Field, TypedData, typed_data_digest
from gamekit.eth.user_operation import UserOperation
from gamekit.units import Address, NonceKey, UnixSeconds, Wei

_BYTES: Final = parse_type("bytes")
_BYTES32: Final = parse_type("bytes32")
_DOMAIN: Final = [
    Field("name", "string"),
    Field("version", "string"),
    Field("chainId", "uint256"),
    Field("verifyingContract", "address"),
]

# ------------------------------------------------------------------------------------------------------ SmartSession

SMART_SESSION: Final = parse_address("0x0000000071727De22e5E9D8bAF0EDAc6F37da034")
"""Where the package puts it."""
SMART_SESSION_SOURCE: Final = (
    build.PACKAGES / "@rhinestone/modulekit/src/deployment/precompiles/SmartSessionsPrecompiles.sol"
)
REGISTRY: Final = parse_address("0x000000000069E2a187AEFFb852bF3cCdC95151B2")
"""The core asks it about policies when they are enabled. One STOP byte there agrees to everything."""
INSTALL_MODULE: Final = Function.parse("installModule(uint256 kind,address module,bytes data)", "", "payable")
ENABLE_SESSIONS: Final = Function.parse(
    "enableSessions((address sessionValidator,bytes sessionValidatorInitData,bytes32 salt,"
    "(address policy,bytes initData)[] userOpPolicies,"
    "(string[] contents,(address policy,bytes initData)[] policies) erc7739Policies,"
    "(bytes4 selector,address target,(address policy,bytes initData)[] policies)[] actions)[] sessions)",
    "bytes32[] permissionIds",
)
OLD_CORE: Final = "SmartSession core of npm (old interface); policies and signer minimal ones of ours"
SUDO, SHIPPED, SEPARATE, MERGED = "sudo", "time + uses + value", "separate", "merged"
"""Policies of a SmartSession: none; those of its authors' example; one for each of our limits; all of those in two."""
ONE_ENTRY_HELD: Final = ("function", "time", "uses", "gas budget", "nonce key", "paymaster", "no value")
"""Ours but for the deadline of each operation."""


class SmartSession(OnStack):
    """A SmartSession of the same account."""

    note = OLD_CORE

    def __init__(self, where: StackSetup, form: str, *, arguments: bool = False) -> None:
        super().__init__(where)
        self.form, self.arguments = form, arguments
        held = {SUDO: ("function",), SHIPPED: ("function", "time", "uses", "no value")}.get(form, ONE_ENTRY_HELD)
        # Nothing tells a policy a time that it could trust, so there is no rate limit to compare with.
        self.limits = (*held, "2 argument rules", "cumulative cap") if arguments else held
        self.signer = f"SmartSession (old interface), {form}{' + rules' if arguments else ''}"
        self.keys: list[Key] = []
        self.permissions: list[bytes] = []

    async def prepare(self) -> None:
        """Put the core in place, install it in each account, enable one session there."""
        found = re.search(r'DEPLOYED_BYTECODE\s*=\s*hex"([0-9a-f]+)"', SMART_SESSION_SOURCE.read_text())
        if found is None:
            raise SystemExit(f"{SMART_SESSION_SOURCE.name} has no core")
        await self.chain.node.set_code(SMART_SESSION, bytes.fromhex(found[1]))
        await self.chain.node.set_code(REGISTRY, b"\x00")
        deployed = {}
        for name in (
            *("MinimalSigner", "SudoPolicy", "TimePolicy", "UsagePolicy", "ValuePolicy", "ArgumentPolicy"),
            *("GasPolicy", "MergedUserOpPolicy", "MergedActionPolicy"),
        ):
            deployed[name] = await self.chain.create(benchmark_contract("SmartSessionPolicies", name))
        now = await self.chain.now()
        for place, account in enumerate(self.players):
            key = Key(place)
            self.keys.append(key)
            operation_policies, call_policies = self._policies(deployed, now)
            action = (game_call(0)[:4], self.chain.contracts.arena, call_policies)
            signer = deployed["MinimalSigner"]
            session = (signer, bytes(key.address), bytes(32), operation_policies, ((), ()), (action,))
            await self.chain.act(account, account, INSTALL_MODULE.encode_call(1, SMART_SESSION, b""))
            await self.chain.act(account, SMART_SESSION, ENABLE_SESSIONS.encode_call((session,)))
            named = encode((ADDRESS, _BYTES, _BYTES32), (signer, bytes(key.address), bytes(32)))
            self.permissions.append(keccak256(named))

    def call_data(self, calls: Sequence[Call]) -> bytes:
        """Encode calls that stand or fall together: this core admits no other mode."""
        return self.stack.execute(calls, False)

    def nonce_key(self) -> NonceKey:
        """One of the core's."""
        return self.stack.nonce_key(SMART_SESSION, self.lane)

    def sign(self, asked: Asked, op: UserOperation) -> bytes:
        """Write mode 0 (use) | permission 32 | the ABI-encoded signature, compressed."""
        encoded = encode((_BYTES,), (self.keys[asked.place].sign(self.hash(op)),))
        return self.stack.signature(b"\x00" + self.permissions[asked.place] + literal_fastlz(encoded))

    def _policies(
        self, deployed: dict[str, Address], now: UnixSeconds
    ) -> tuple[list[tuple[Address, bytes]], list[tuple[Address, bytes]]]:
        """Give the policies of an operation and of a call, each with its data."""
        frame = (now + DURATION_S).to_bytes(6, "big") + (now - 60).to_bytes(6, "big")
        uses = self.uses_max.to_bytes(16, "big")
        lane = int(self.nonce_key()).to_bytes(24, "big") + (GAS_WEI_MAX // 10**9).to_bytes(8, "big")
        gas = (10**24).to_bytes(16, "big") + lane
        rules = b""
        if self.arguments:
            rules = b"".join(
                bytes((argument, condition)) + value.to_bytes(32, "big")
                for argument, condition, value in ((0, 3, 1), (1, 2, 100), (1, 6, self.sum_max))
            )
        if self.form == SUDO:
            return [], [(deployed["SudoPolicy"], b"")]
        if self.form == MERGED:
            return [(deployed["MergedUserOpPolicy"], gas + frame)], [(deployed["MergedActionPolicy"], uses + rules)]
        of_operation = [(deployed["TimePolicy"], frame)]
        of_call = [(deployed["UsagePolicy"], uses), (deployed["ValuePolicy"], bytes(16))]
        if self.form == SEPARATE:
            of_operation.append((deployed["GasPolicy"], gas))
        if rules:
            of_call.append((deployed["ArgumentPolicy"], rules))
        return of_operation, of_call


def literal_fastlz(data: bytes) -> bytes:
    """Write data as a FastLZ stream without matches: runs of up to 32 bytes, each behind its length less 1."""
    return b"".join(bytes((len(data[at : at + 32]) - 1,)) + data[at : at + 32] for at in range(0, len(data), 32))


# ---------------------------------------------------------------------------------------------------------- thirdweb


class Thirdweb(Operations):
    """thirdweb's account on EntryPoint 0.6, by its owner or by a session key."""

    account = "thirdweb Account"
    _CREATE: Final = Function.parse("createAccount(address admin,bytes data)", "address")
    _ADDRESS: Final = Function.parse("getAddress(address admin,bytes data)", "address", "view")
    _PERMIT: Final = Function.parse(
        "setPermissionsForSigner((address signer,uint8 isAdmin,address[] approvedTargets,"
        "uint256 nativeTokenLimitPerTransaction,uint128 permissionStartTimestamp,uint128 permissionEndTimestamp,"
        "uint128 reqValidityStartTimestamp,uint128 reqValidityEndTimestamp,bytes32 uid) req,bytes signature)"
    )
    _REQUEST: Final = [
        Field("signer", "address"),
        Field("isAdmin", "uint8"),
        Field("approvedTargets", "address[]"),
        Field("nativeTokenLimitPerTransaction", "uint256"),
        Field("permissionStartTimestamp", "uint128"),
        Field("permissionEndTimestamp", "uint128"),
        Field("reqValidityStartTimestamp", "uint128"),
        Field("reqValidityEndTimestamp", "uint128"),
        Field("uid", "bytes32"),
    ]
    _EXECUTE: Final = Function.parse("execute(address target,uint256 value,bytes data)")
    _BATCH: Final = Function.parse("executeBatch(address[] target,uint256[] value,bytes[] data)")

    def __init__(self, *, session: bool) -> None:
        super().__init__(EntryPointVersion.V06)
        self.session = session
        self.signer = "session key" if session else "owner"
        self.limits: tuple[str, ...] = ("target", "time", "value per call") if session else ()
        self.note = "reads the clock in validation, which strict bundlers refuse" if session else ""
        self.keys: list[Key] = []
        self.factory = Address(bytes(20))

    async def create(self, number: int) -> Address:
        """Create it by its factory."""
        if number == 0:
            path = FOLDER / "node_modules/@thirdweb-dev/contracts/abi/AccountFactory.json"
            stored = json.loads(path.read_text())["bytecode"]
            code = bytes.fromhex((stored if isinstance(stored, str) else stored["object"]).removeprefix("0x"))
            arguments = encode((ADDRESS, ADDRESS), (self.chain.bundler, self.entry_point))
            self.factory = await self.chain.create(code + arguments)
        salt = self.salt(number).to_bytes(8, "big")
        owner = self.owners[number].address
        await self.chain.act(self.chain.bundler, self.factory, self._CREATE.encode_call(owner, salt))
        return Address((await self.chain.call(self.factory, self._ADDRESS.encode_call(owner, salt)))[-20:])

    async def prepare(self) -> None:
        """Give each account's session key its permission, signed by the owner."""
        self.keys = [Key(place) if self.session else self.owners[place] for place in range(len(self.players))]
        if not self.session:
            return
        now = await self.chain.now()
        for place, account in enumerate(self.players):
            key, arena, since, until = self.keys[place].address, self.chain.contracts.arena, now - 60, now + DURATION_S
            times = (since, until, since, until)
            values = [checksum_address(key), 0, [checksum_address(arena)], 0, *times, to_hex(bytes(32))]
            domain: dict[str, object] = {
                "name": "Account",
                "version": "1",
                "chainId": CHAIN_ID,
                "verifyingContract": checksum_address(account),
            }
            types = {"EIP712Domain": _DOMAIN, "SignerPermissionRequest": self._REQUEST}
            message: dict[str, object] = dict(zip((field.name for field in self._REQUEST), values, strict=True))
            digest = typed_data_digest(TypedData(types, "SignerPermissionRequest", domain, message))
            permit = self._PERMIT.encode_call((key, 0, [arena], 0, *times, bytes(32)), self.owners[place].sign(digest))
            await self.chain.act(self.chain.bundler, account, permit)

    def nonce_key(self) -> NonceKey:
        """The first."""
        return NonceKey(0)

    def call_data(self, calls: Sequence[Call]) -> bytes:
        """Encode one call or several."""
        if len(calls) == 1:
            return self._EXECUTE.encode_call(*calls[0])
        return self._BATCH.encode_call(*(list(column) for column in zip(*calls, strict=True)))

    def sign(self, asked: Asked, op: UserOperation) -> bytes:
        """Sign as a personal message."""
        return self.keys[asked.place].sign(personal(self.hash(op)))


# ---------------------------------------------------------------------------------------------------------- MetaMask

REDEEM: Final = Function.parse("redeemDelegations(bytes[] contexts,bytes32[] modes,bytes[] executions)")
EXECUTE_FROM_EXECUTOR: Final = selector("executeFromExecutor(bytes32,bytes)")
_DELEGATIONS: Final = parse_type("(address,address,bytes32,(address,bytes,bytes)[],uint256,bytes)[]")
ROOT_AUTHORITY: Final = b"\xff" * 32


class Delegation:
    """MetaMask's delegation: the server's own key redeems what a player's delegated account signed off self.chain.

    No entry point is involved. Its enforcers admit one call at a time, so a batch is as many redemptions.
    """

    account = "MetaMask EIP7702StatelessDeleGator"
    entry_point_version: str | None = None
    chain: Chain
    uses_max: int = AMPLE

    def __init__(self, *, caveats: bool) -> None:
        self.caveats = caveats
        self.signer = f"delegation, {'5 caveats' if caveats else 'no caveat'}"
        self.limits: tuple[str, ...] = ("function", "time", "uses", "value per call") if caveats else ()
        self.note = "validation: all of the transaction but its data, 21,000 and the executions"
        self.players: list[Address] = []
        self.contexts: list[bytes] = []
        self.bend: Callable[[Call], Call] = lambda call: call
        self.manager = Address(bytes(20))

    async def open(self, chain: Chain, players: int) -> None:
        """Deploy the framework, delegate each player's code, have each sign, and redeem once."""
        self.chain = chain
        self.manager = await self.chain.create(_metamask("DelegationManager") + bytes(12) + self.chain.bundler)
        arguments = encode((ADDRESS, ADDRESS), (self.manager, EntryPointVersion.V07.canonical_address))
        account = await self.chain.create(_metamask("EIP7702StatelessDeleGator") + arguments)
        caveats = await self._caveats() if self.caveats else []
        for place in range(players):
            owner = Key(int.from_bytes(keccak256(f"{self.signer} {place}".encode())[:8], "big"))
            await self.chain.node.set_code(owner.address, DELEGATION + account)
            self.players.append(owner.address)
            self.contexts.append(self._context(owner, self.chain.bundler, caveats))
        await self.chain.act(self.chain.bundler, *await self.transaction(1, players))

    async def transaction(self, calls: int, operations: int) -> tuple[Address, bytes]:
        """Redeem once for each call of each player."""
        played = [self.bend(Call(self.chain.contracts.arena, Wei(0), game_call(index))) for index in range(calls)]
        executions = [call.target + call.value.to_bytes(32, "big") + call.data for call in played] * operations
        contexts = [context for context in self.contexts[:operations] for _ in range(calls)]
        return self.manager, REDEEM.encode_call(contexts, [bytes(32)] * len(executions), executions)

    def validation(self, sent: Sent, operations: int) -> int:
        """Take the executions and what any transaction costs from the total."""
        manager, function = to_data(self.manager), to_data(EXECUTE_FROM_EXECUTOR)
        executed = [
            from_quantity(frame.gas_used)
            for frame in sent.trace.walk()
            if frame.sender == manager and frame.input.startswith(function)
        ]
        if not executed or len(executed) % operations:
            raise ValueError(f"{len(executed)} executions of {operations} players in the trace")
        return sent.total_gas - intrinsic_gas(sent.data) - sum(executed)

    async def executed(self, place: int) -> int:
        """Ask the game."""
        return await self.chain.actions_of(self.players[place])

    async def _caveats(self) -> list[tuple[Address, bytes]]:
        """Deploy the enforcers; give each with its terms."""
        now = await self.chain.now()
        terms = {
            "AllowedTargetsEnforcer": bytes(self.chain.contracts.arena),
            "AllowedMethodsEnforcer": game_call(0)[:4],
            "TimestampEnforcer": (now - 60).to_bytes(16, "big") + (now + DURATION_S).to_bytes(16, "big"),
            "LimitedCallsEnforcer": self.uses_max.to_bytes(32, "big"),
            "ValueLteEnforcer": bytes(32),
        }
        return [(await self.chain.create(_metamask(name)), value) for name, value in terms.items()]

    def _context(self, owner: Key, delegate: Address, caveats: list[tuple[Address, bytes]]) -> bytes:
        """Sign a delegation; give it as it is redeemed."""
        types = {
            "EIP712Domain": _DOMAIN,
            "Caveat": [Field("enforcer", "address"), Field("terms", "bytes")],
            "Delegation": [
                Field("delegate", "address"),
                Field("delegator", "address"),
                Field("authority", "bytes32"),
                Field("caveats", "Caveat[]"),
                Field("salt", "uint256"),
            ],
        }
        domain: dict[str, object] = {
            "name": "DelegationManager",
            "version": "1",
            "chainId": CHAIN_ID,
            "verifyingContract": checksum_address(self.manager),
        }
        message: dict[str, object] = {
            "delegate": checksum_address(delegate),
            "delegator": checksum_address(owner.address),
            "authority": to_hex(ROOT_AUTHORITY),
            "caveats": [{"enforcer": checksum_address(each), "terms": to_hex(terms)} for each, terms in caveats],
            "salt": 0,
        }
        signature = owner.sign(typed_data_digest(TypedData(types, "Delegation", domain, message)))
        written = [(enforcer, terms, b"") for enforcer, terms in caveats]
        delegation = (delegate, owner.address, ROOT_AUTHORITY, written, 0, signature)
        return encode((_DELEGATIONS,), ([delegation],))


def _metamask(name: str) -> bytes:
    """Read creation code."""
    path = FOLDER / "node_modules/@metamask/delegation-abis/dist/bytecode" / f"{name}.mjs"
    found = re.search(r'bytecode\s*=\s*"0x([0-9a-f]+)"', path.read_text())
    if found is None:
        raise SystemExit(f"{path.name} has no bytecode")
    return bytes.fromhex(found[1])
