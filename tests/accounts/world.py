"""One account of a stack on a devnet, with its owner and an open session: the whole path, without gamekit's runtime."""

from collections.abc import Sequence
from typing import Self

import coincurve
from msgspec.structs import replace

from gamekit.accounts import stack
from gamekit.accounts.stack import CallOutcome, Deployment
from gamekit.chain.rpc import from_data, to_data
from gamekit.contracts import artifact
from gamekit.core.game import Game, build_game
from gamekit.core.manifest import parse_manifest
from gamekit.core.scope import Scope
from gamekit.core.setup import StackSetup, chain_setup
from gamekit.devnet import DevnetContracts, DevnetNode, deploy, fund
from gamekit.eth import session_validator
from gamekit.eth.block import Log
from gamekit.eth.calldata import Call
from gamekit.eth.entry_point import GET_NONCE, OperationLogs, encode_handle_ops, split_logs_by_operation
from gamekit.eth.hashing import selector
from gamekit.eth.interface import Function
from gamekit.eth.session_validator_abi import GRANT_SESSION_FOR
from gamekit.eth.session_validator_grant import grant_digest, grant_typed_data
from gamekit.eth.signature import public_key_address
from gamekit.eth.user_op_hash import user_op_hash
from gamekit.eth.user_operation import UserOperation
from gamekit.units import Address, ChainId, Gas, Hash32, NonceKey, UnixSeconds, Wei

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
        self.owner, self.key = Key(0xA11CE), Key(0x5E55)
        self.account = Address(bytes(20))
        self.scope: Scope | None = None
        self.game: Game = build_game(parse_manifest(MANIFEST), artifact("Arena").abi, contracts.arena)

    @classmethod
    async def create(cls, node: DevnetNode, name: str, version: str) -> Self:
        """Deploy everything, then the account by its adapter, and give it money."""
        contracts = await deploy(node)
        world = cls(node, contracts, chain_setup(contracts.chain_config(node.url, CHAIN_ID)).stack(name, version))
        plan = world.deployment()
        world.account = Address((await world.call(plan.factory, plan.address_query))[-20:])
        await world.transact(plan.factory, plan.factory_data)
        await fund(node, [world.account], Wei(10**18))
        return world

    def deployment(self, salt: int = 7) -> Deployment:
        return self.stack.deployment(self.owner.address, salt, self.where.contracts)

    async def call(self, to: Address, data: bytes) -> bytes:
        asked = {"to": to_data(to), "data": to_data(data)}
        return from_data(await self.node.request(str, "eth_call", asked, "latest"))

    async def transact(self, to: Address, data: bytes) -> tuple[Log, ...]:
        """Send from an unlocked account; gives the logs of what succeeded."""
        sender = (await self.node.unlocked_accounts())[0]
        sent = await self.node.send(sender, to, data, gas=8_000_000)
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
        module = self.contracts.session_validator
        now = await self.now()
        self.scope = self.game.unit("play_match").bind(
            account=self.account,
            signer=self.key.address,
            revoker=self.owner.address,
            nonce_key=self.stack.nonce_key(module, lane),
            valid_after=UnixSeconds(now - 1),  # EntryPoint 0.8 lets nothing in during the first second itself
        )
        packed, deadline = self.scope.pack(), UnixSeconds(now + 600)
        functions = [each.function for each in self.scope.calls.entries]
        request = self.stack.grant_request(
            grant_typed_data(
                chain_id=CHAIN_ID,
                module=module,
                account=self.account,
                scope=packed,
                functions=functions,
                epoch=1,
                deadline=deadline,
            )
        )
        signed = self.owner.sign(grant_digest(request.typed_data))
        grant = GRANT_SESSION_FOR.encode_call(self.account, packed, functions, (), deadline, signed)
        await self.transact(module, grant)

    async def play(self, calls: Sequence[Call], *, try_mode: bool) -> tuple[CallOutcome, ...]:
        """Land one operation of the session."""
        scope = self.scope
        assert scope is not None
        unsigned = await self._operation(calls, scope.nonce_key, try_mode=try_mode)
        packed, now = scope.pack(), await self.now()
        claimed_at, deadline = scope.time.valid_after, UnixSeconds(now + 60)
        permission = session_validator.permission_id(CHAIN_ID, self.contracts.session_validator, self.account, packed)
        user_op = user_op_hash(unsigned, self.where.version, self.where.entry_point, CHAIN_ID)
        digest = session_validator.operation_digest(user_op, permission, claimed_at, deadline)
        entries = [each.selector for each in scope.calls.entries]
        hints = bytes(entries.index(call.data[:4]) for call in calls)
        inner = session_validator.envelope(claimed_at, deadline, self.key.sign(digest), hints, packed)
        return await self._land(unsigned, self.stack.signature(inner))

    async def act_as_owner(self, calls: Sequence[Call]) -> tuple[CallOutcome, ...]:
        """Land one operation that the owner's wallet signed: the way of withdrawals."""
        key = self.stack.nonce_key(self.contracts.owner_validator, 0)
        unsigned = await self._operation(calls, key, try_mode=False)
        digest = user_op_hash(unsigned, self.where.version, self.where.entry_point, CHAIN_ID)
        return await self._land(unsigned, self.stack.owner_operation_signature(self.owner.sign(Hash32(digest))))

    async def _operation(self, calls: Sequence[Call], key: NonceKey, *, try_mode: bool) -> UserOperation:
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

    async def _land(self, unsigned: UserOperation, signature: bytes) -> tuple[CallOutcome, ...]:
        signed = replace(unsigned, signature=signature)
        bundle = encode_handle_ops([signed], self.owner.address, self.where.version)
        logs = await self.transact(self.where.entry_point, bundle)
        (found,) = split_logs_by_operation(logs, self.where.entry_point)
        return self._outcomes(found, unsigned.call_data)

    def _outcomes(self, found: OperationLogs, call_data: bytes) -> tuple[CallOutcome, ...]:
        return self.stack.call_outcomes(
            found.logs,
            account=self.account,
            call_data=call_data,
            succeeded=found.event.success,
            revert_reason=found.revert_reason,
        )
