"""One account of a stack on a devnet, with its owner and an open session: the whole path, without gamekit's runtime."""

from collections.abc import Sequence
from typing import Self

import coincurve
import pytest
from msgspec.structs import replace

from gamekit.accounts import kernel, stack
from gamekit.accounts.replay import Question, is_told, replay
from gamekit.accounts.stack import CallOutcome, Deployment
from gamekit.chain.rpc import from_data, to_data
from gamekit.contracts import artifact
from gamekit.core.game import Game, build_game
from gamekit.core.manifest import parse_manifest
from gamekit.core.scope import Scope
from gamekit.core.setup import StackSetup, chain_setup
from gamekit.devnet import DevnetContracts, DevnetNode, deploy, fund
from gamekit.errors import CallReverted
from gamekit.eth import session_validator
from gamekit.eth.block import Log
from gamekit.eth.calldata import Call, decode_execute
from gamekit.eth.entry_point import (
    GET_NONCE,
    OperationLogs,
    decode_failed_op,
    encode_handle_ops,
    split_logs_by_operation,
)
from gamekit.eth.hashing import selector
from gamekit.eth.interface import Function
from gamekit.eth.session_opener import encode_open
from gamekit.eth.session_validator_abi import (
    ACCOUNT_OF,
    GRANT_SESSION,
    GRANT_SESSION_FOR,
    SESSION_VALIDATOR,
    decode_account,
)
from gamekit.eth.session_validator_grant import grant_typed_data
from gamekit.eth.signature import public_key_address
from gamekit.eth.transaction import (
    Authorization,
    SignedAuthorization,
    Transaction,
    authorization_hash,
    signing_hash,
    with_signature,
)
from gamekit.eth.typed_data import typed_data_digest
from gamekit.eth.user_op_hash import user_op_hash
from gamekit.eth.user_operation import UserOperation
from gamekit.units import Address, ChainId, Gas, Hash32, NonceKey, PermissionId, UnixSeconds, Wei

CHAIN_ID = ChainId(31337)
IS_MODULE_INSTALLED = Function.parse("isModuleInstalled(uint256 kind,address module,bytes context)", "bool", "view")
IS_VALID_SIGNATURE = Function.parse("isValidSignature(bytes32 hash,bytes signature)", "bytes4", "view")

MANIFEST = """
name = "arena"
chain_id = 31337
abi = "Arena"
[function.move]
play = true
meaning = "walk"
[function.attack]
play = true
meaning = "attack"
[unit.play_match]
meaning = "play"
functions = ["move", "attack"]
gas_budget_wei = 1_000_000_000_000_000_000
"""


class Key:
    """A private key and its address."""

    def __init__(self, seed: int) -> None:
        self._key = coincurve.PrivateKey.from_int(seed)
        self.address = public_key_address(self._key.public_key.format(compressed=False))

    def sign(self, digest: Hash32) -> bytes:
        signature = self._key.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes((27 + signature[64],))


class World:
    """An account on a chain."""

    def __init__(self, node: DevnetNode, contracts: DevnetContracts, where: StackSetup) -> None:
        self.node = node
        self.contracts = contracts
        self.where = where
        self.stack = stack(where.name)
        self.owner, self.key, self.revoker, self.relayer = Key(0xA11CE), Key(0x5E55), Key(0x4E40), Key(0x4E1A)
        self.account = Address(bytes(20))
        self.scope: Scope | None = None
        self.told: tuple[CallOutcome, ...] = ()
        """What the account's own events said of the operation that landed last."""
        self.game: Game = build_game(parse_manifest(MANIFEST), artifact("Arena").abi, contracts.arena)

    @classmethod
    async def plan(cls, node: DevnetNode, name: str, version: str) -> Self:
        """Deploy everything but the account, and find out where that will be; Kernel only where code is not capped."""
        contracts = await deploy(node, code_size_capped=name != "kernel")
        world = cls(node, contracts, chain_setup(contracts.chain_config(node.url, CHAIN_ID)).stack(name, version))
        plan = world.deployment()
        world.account = plan.address or Address((await world.call(plan.factory, plan.address_query))[-20:])
        await fund(node, [world.relayer.address], Wei(10**19))
        return world

    @classmethod
    async def create(cls, node: DevnetNode, name: str, version: str) -> Self:
        """Deploy everything, then the account by its adapter, and give it money."""
        world = await cls.plan(node, name, version)
        plan = world.deployment()
        await world.relay(plan.factory, plan.factory_data, authorizations=await world._needed_authorizations())
        await fund(node, [world.account], Wei(10**18))
        return world

    def deployment(self, salt: int | None = None) -> Deployment:
        default = 0 if self.stack.own_key_is_owner else 7
        return self.stack.deployment(self.owner.address, default if salt is None else salt, self.where.contracts)

    async def relay(
        self,
        to: Address,
        data: bytes,
        *,
        value: Wei = Wei(0),
        authorizations: Sequence[SignedAuthorization] = (),
    ) -> tuple[Log, ...]:
        """Send from a relayer of ours, signed here."""
        transaction = Transaction(
            chain_id=CHAIN_ID,
            nonce=await self._transaction_count(self.relayer.address),
            max_priority_fee_per_gas=Wei(1),
            max_fee_per_gas=Wei(10**11),
            gas_limit=Gas(8_000_000),
            to=to,
            value=value,
            data=data,
            authorizations=tuple(authorizations),
        )
        raw, sent = with_signature(transaction, self.relayer.sign(signing_hash(transaction)))
        await self.node.request(str, "eth_sendRawTransaction", to_data(raw))
        return await self._logs(sent)

    async def authorization(self, delegate: Address | None = None, chain_id: ChainId = CHAIN_ID) -> SignedAuthorization:
        """What the owner's wallet signs so that its address delegates: to what the stack's accounts delegate to."""
        chosen = self.deployment().delegate if delegate is None else delegate
        assert chosen is not None
        nonce = await self._transaction_count(self.owner.address)
        unsigned = Authorization(chain_id=chain_id, delegate=chosen, nonce=nonce)
        return SignedAuthorization(unsigned, self.owner.sign(authorization_hash(unsigned)))

    async def _needed_authorizations(self) -> tuple[SignedAuthorization, ...]:
        """One, if the account is the owner's address and that does not delegate yet."""
        is_missing = self.deployment().delegate is not None and await self.code() == "0x"
        return (await self.authorization(),) if is_missing else ()

    async def _transaction_count(self, address: Address) -> int:
        return int(await self.node.request(str, "eth_getTransactionCount", to_data(address), "latest"), 16)

    async def call(self, to: Address, data: bytes) -> bytes:
        asked = {"to": to_data(to), "data": to_data(data)}
        return from_data(await self.node.request(str, "eth_call", asked, "latest"))

    async def transact(self, to: Address, data: bytes, *, sender: Address | None = None) -> tuple[Log, ...]:
        """Send from an unlocked account, or as anybody; gives the logs of what succeeded."""
        if sender is not None:
            await self.node.request_optional(object, "anvil_impersonateAccount", to_data(sender))
        by = sender or (await self.node.unlocked_accounts())[0]
        return await self._logs(await self.node.send(by, to, data, gas=8_000_000))

    async def code(self) -> str:
        return await self.node.request(str, "eth_getCode", to_data(self.account), "latest")

    async def epoch(self) -> int:
        """The account's epoch in the session validator."""
        asked = ACCOUNT_OF.encode_call(self.account)
        return decode_account(await self.call(self.contracts.session_validator, asked)).epoch

    def asked(self, digest: Hash32) -> Hash32:
        """What the owner's wallet signs where the account is asked, by ERC-1271, about a digest."""
        if self.where.name != "kernel":
            return digest
        return typed_data_digest(kernel.wrap(digest, CHAIN_ID, to_data(self.account)))

    def found(self, *outcomes: CallOutcome) -> tuple[CallOutcome, ...]:
        """How outcomes of a try batch look here: replayed and so inferred, or as the account tells them."""
        return tuple(replace(each, inferred=self.where.name == "safe7579") for each in outcomes)

    def refused(self, error: str) -> tuple[str, str]:
        """What the entry point reports when the module refuses: a Safe's adapter puts its own error in its place."""
        return "AA23", "" if self.where.name == "safe7579" else error

    async def _logs(self, sent: Hash32) -> tuple[Log, ...]:
        """Wait for a transaction, which must succeed, and read its logs."""
        await self.node.require_success(sent)
        receipt = await self.node.request(dict[str, object], "eth_getTransactionReceipt", to_data(sent))
        logs = receipt["logs"]
        assert isinstance(logs, list)
        return tuple(
            Log(
                address=Address(from_data(each["address"])),
                topics=tuple(Hash32(from_data(topic)) for topic in each["topics"]),
                data=from_data(each["data"]),
                index=index,
            )
            for index, each in enumerate(logs)
        )

    async def now(self) -> UnixSeconds:
        block = await self.node.request(dict[str, object], "eth_getBlockByNumber", "latest", False)
        return UnixSeconds(int(str(block["timestamp"]), 16))

    async def has_validator(self, module: Address) -> bool:
        asked = IS_MODULE_INSTALLED.encode_call(1, module, b"")
        return IS_MODULE_INSTALLED.decode_result(await self.call(self.account, asked)) == (True,)

    async def accepts_signature(self, sender: Address, digest: bytes, signature: bytes) -> bool:
        """Ask the account by ERC-1271, as `sender` would."""
        asked = {
            "from": to_data(sender),
            "to": to_data(self.account),
            "data": to_data(IS_VALID_SIGNATURE.encode_call(digest, signature)),
        }
        answer = from_data(await self.node.request(str, "eth_call", asked, "latest"))
        return answer[:4] == selector("isValidSignature(bytes32,bytes)")

    async def open_session(self, lane: int) -> None:
        """Grant by the owner's signature over what the wallet shows."""
        await self.propose(lane)
        assert self.scope is not None
        functions, deadline = self._functions(), UnixSeconds(await self.now() + 600)
        signed = await self.sign_grant(deadline)
        grant = GRANT_SESSION_FOR.encode_call(self.account, self.scope.pack(), functions, [], deadline, signed)
        await self.transact(self.contracts.session_validator, grant)

    async def grant_by_account(self, lane: int) -> None:
        """Grant by an operation that the owner's wallet signs."""
        await self.propose(lane)
        assert self.scope is not None
        grant = GRANT_SESSION.encode_call(self.scope.pack(), [])
        outcome = await self.act_as_owner([Call(self.contracts.session_validator, Wei(0), grant)])
        assert outcome == (CallOutcome(succeeded=True),)

    async def open_newcomer(self, lane: int) -> None:
        """Everything in one relayed transaction: the account, its modules, its deposit and the grant."""
        await self.propose(lane)
        await self.relay(
            self.contracts.session_opener,
            await self.opening(),
            value=Wei(10**18),
            authorizations=await self._needed_authorizations(),
        )

    async def opening(self) -> bytes:
        """The calldata that makes the account, if it is missing, and grants the proposed session."""
        assert self.scope is not None
        deadline = UnixSeconds(await self.now() + 600)
        plan = self.deployment()
        return encode_open(
            account=self.account,
            factory=plan.factory,
            factory_data=plan.factory_data,
            validator=self.contracts.session_validator,
            scope=self.scope.pack(),
            functions=self._functions(),
            deadline=deadline,
            signature=await self.sign_grant(deadline),
            entry_point=self.where.entry_point,
        )

    async def grant_by_transaction(self) -> None:
        """Grant the proposed session as the account itself: of a person's own address, by a plain transaction."""
        assert self.scope is not None
        grant = GRANT_SESSION.encode_call(self.scope.pack(), [])
        await self.transact(self.contracts.session_validator, grant, sender=self.account)

    async def propose(self, lane: int) -> None:
        """Choose the scope that is to be granted."""
        self.scope = self.game.unit("play_match").bind(
            account=self.account,
            signer=self.key.address,
            revoker=self.revoker.address,
            nonce_key=self.stack.nonce_key(self.contracts.session_validator, lane),
            # EntryPoint 0.8 lets nothing in during the first second itself.
            valid_after=UnixSeconds(await self.now() - 1),
        )

    async def sign_grant(self, deadline: UnixSeconds) -> bytes:
        """What the owner's wallet gives for what it is shown."""
        assert self.scope is not None
        typed_data = grant_typed_data(
            chain_id=CHAIN_ID,
            module=self.contracts.session_validator,
            account=self.account,
            scope=self.scope.pack(),
            functions=self._functions(),
            epoch=1,
            deadline=deadline,
        )
        return self.owner.sign(typed_data_digest(self.stack.grant_request(typed_data).typed_data))

    def _functions(self) -> list[str]:
        assert self.scope is not None
        return [each.function for each in self.scope.calls.entries]

    async def play(self, calls: Sequence[Call], *, try_mode: bool) -> tuple[CallOutcome, ...]:
        """Land one operation of the session."""
        return await self.land(await self.session_operation(calls, try_mode=try_mode))

    async def session_operation(self, calls: Sequence[Call], *, try_mode: bool) -> UserOperation:
        """Sign one operation with the session key."""
        assert self.scope is not None
        return await self.sealed(await self.unsigned(calls, self.scope.nonce_key, try_mode=try_mode))

    async def sealed(self, unsigned: UserOperation) -> UserOperation:
        """Sign whatever operation with the session key."""
        scope = self.scope
        assert scope is not None
        packed, now = scope.pack(), await self.now()
        claimed_at, deadline = scope.time.valid_after, UnixSeconds(now + 60)
        user_op = user_op_hash(unsigned, self.where.version, self.where.entry_point, CHAIN_ID)
        digest = session_validator.operation_digest(user_op, self.permission_id(), claimed_at, deadline)
        entries = [each.selector for each in scope.calls.entries]
        hints = bytes(entries.index(call.data[:4]) for call in decode_execute(unsigned.call_data).calls)
        inner = session_validator.envelope(claimed_at, deadline, self.key.sign(digest), hints, packed)
        return replace(unsigned, signature=self.stack.signature(inner))

    def permission_id(self) -> PermissionId:
        assert self.scope is not None
        module = self.contracts.session_validator
        return session_validator.permission_id(CHAIN_ID, module, self.account, self.scope.pack())

    async def refusal(self, signed: UserOperation) -> tuple[str, str]:
        """Ask the entry point about an operation that it must refuse: its code, and the name of the module's error."""
        bundle = encode_handle_ops([signed], self.relayer.address, self.where.version)
        asked = {
            "from": to_data(self.relayer.address),
            "to": to_data(self.where.entry_point),
            "data": to_data(bundle),
            "gas": hex(8_000_000),
        }
        with pytest.raises(CallReverted) as caught:
            await self.node.request(str, "eth_call", asked, "latest")
        failed = decode_failed_op(caught.value.data)
        assert failed is not None, caught.value.data.hex()
        return failed.reason[:4], SESSION_VALIDATOR.decode_revert(failed.inner).name

    async def act_as_owner(self, calls: Sequence[Call]) -> tuple[CallOutcome, ...]:
        """Land one operation that the owner's wallet signed: the way of withdrawals."""
        key = self.stack.owner_nonce_key(self.where.contracts.owner_validator)
        return await self.land(self.signed_by(self.owner, await self.unsigned(calls, key, try_mode=False)))

    def signed_by(self, key: Key, unsigned: UserOperation) -> UserOperation:
        """Sign an operation as an owner's wallet would."""
        digest = user_op_hash(unsigned, self.where.version, self.where.entry_point, CHAIN_ID)
        return replace(unsigned, signature=self.stack.owner_operation_signature(key.sign(Hash32(digest))))

    async def unsigned(self, calls: Sequence[Call], key: NonceKey, *, try_mode: bool) -> UserOperation:
        asked = GET_NONCE.encode_call(self.account, key)
        nonce = int.from_bytes(await self.call(self.where.entry_point, asked), "big")
        assert nonce >> 64 == key
        return UserOperation(
            sender=self.account,
            nonce=nonce,
            call_data=self.stack.execute(calls, try_mode),
            call_gas_limit=Gas(1_000_000),
            verification_gas_limit=Gas(1_000_000),
            pre_verification_gas=Gas(100_000),
            max_fee_per_gas=Wei(4 * 10**9),
            max_priority_fee_per_gas=Wei(1),
        )

    async def land(self, signed: UserOperation) -> tuple[CallOutcome, ...]:
        """Bundle one operation, which must be included, and say what became of its calls; replayed if need be."""
        before = hex(await self.node.block_number())
        bundle = encode_handle_ops([signed], self.relayer.address, self.where.version)
        logs = await self.transact(self.where.entry_point, bundle)
        (found,) = split_logs_by_operation(logs, self.where.entry_point)
        self.told = self.stack.call_outcomes(
            found.logs,
            account=self.account,
            call_data=signed.call_data,
            succeeded=found.event.success,
            revert_reason=found.revert_reason,
        )
        return self.told if is_told(self.told) else await self._replayed(signed.call_data, found, before)

    async def _replayed(self, call_data: bytes, found: OperationLogs, block: str) -> tuple[CallOutcome, ...]:
        asking = replay(
            self.stack,
            self.told,
            call_data=call_data,
            account=self.account,
            entry_point=self.where.entry_point,
            undone=not found.event.success,
        )
        try:
            question = next(asking)
            while True:
                question = asking.send(await self._ask(question, block))
        except StopIteration as stopped:
            return tuple(stopped.value)

    async def _ask(self, question: Question, block: str) -> bytes | None:
        asked = {"from": to_data(question.sender), "to": to_data(question.to), "data": to_data(question.data)}
        try:
            await self.node.request(str, "eth_call", asked, block)
        except CallReverted as reverted:
            return reverted.data
        return None
