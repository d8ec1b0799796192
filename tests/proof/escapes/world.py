"""One account of the suite on a chain: its sessions, its enemies, and what it may lose."""

from collections.abc import Mapping, Sequence
from typing import Self

from gamekit.chain.rpc import from_data, from_quantity, to_data, to_quantity
from gamekit.core.scope import Scope
from gamekit.core.setup import StackSetup
from gamekit.demo import forgery
from gamekit.demo.forgery import Attempt, Forger
from gamekit.demo.loot import Loot
from gamekit.devnet import DevnetContracts, DevnetNode, deposit, fund
from gamekit.devnet.sponsor import fill_paymaster, set_game
from gamekit.errors import CallReverted
from gamekit.eth import session_validator
from gamekit.eth.block import Log
from gamekit.eth.calldata import Call
from gamekit.eth.entry_point import GET_NONCE
from gamekit.eth.hashing import to_hex
from gamekit.eth.interface import Function
from gamekit.eth.scope_form import ScopeForm
from gamekit.eth.session_validator_abi import GRANT_SESSION, SESSION_OF, SessionRecord, decode_session
from gamekit.eth.user_operation import UserOperation
from gamekit.units import Address, Hash32, PermissionId, UnixSeconds, Wei
from tests.accounts import world as accounts
from tests.accounts.world import CHAIN_ID
from tests.proof.escapes.sessions import (
    MOVE,
    Asked,
    Session,
    asked_sessions,
    make_scope,
    secret_of,
)
from tests.proof.escapes.strangers import Strangers, deploy_strangers
from tests.proof.escapes.vouchers import SPONSOR, SPONSORED_GAME, voucher

FEE_WEI = 10**9
"""Highest fee per gas of an operation; 1 gwei."""
DEPOSIT_WEI = 10**18
AGE_S = 200
"""How long ago the sessions were granted when the first row runs."""
WELCOME = Function.parse("welcome(address player)")


class Base(accounts.World):
    """An account on a node that mines when it is told to."""

    async def _logs(self, sent: Hash32) -> tuple[Log, ...]:
        await self.node.mine_pending()
        return await super()._logs(sent)


class World:
    """An account, and everybody who is after it. Every row starts from the same block."""

    def __init__(self, base: accounts.World, strangers: Strangers, neighbour: Address, thief: Address) -> None:
        self.base = base
        self.node: DevnetNode = base.node
        self.contracts: DevnetContracts = base.contracts
        self.where: StackSetup = base.where
        self.stack = base.stack
        self.account, self.neighbour, self.thief = base.account, neighbour, thief
        self.strangers = strangers
        self.sessions: dict[str, Session] = {}
        """Also such as a row makes up, granted or not."""
        self.granted: tuple[Session, ...] = ()
        """Those that are there when the first row begins."""
        self.item_id = 0
        self.signs_deadline = True
        """Whether session keys sign what the real session validator asks for."""
        self.deposit_wei = 0
        """The account's deposit before the step that counts."""
        self.now = UnixSeconds(0)
        self.validator_code = b""
        """What stands at the session validator's address; a planted bug changes it."""

    @property
    def name(self) -> str:
        """As the table writes it: `reference 0.8`."""
        return f"{self.where.name} {self.where.version.value}"

    @property
    def module(self) -> Address:
        """The session validator."""
        return self.contracts.session_validator

    @classmethod
    async def create(cls, node: DevnetNode, name: str) -> Self:
        """Build the world of an account such as `nexus 0.7`."""
        stack, _, version = name.partition(" ")
        base = await Base.create(node, stack, version)
        thief, relayer = (await node.unlocked_accounts())[1:3]
        strangers = await deploy_strangers(node, base.contracts, thief)
        world = cls(base, strangers, await _neighbour(base), thief)
        await world._furnish(relayer)
        await world._grant_all()
        await world._vouch()
        await node.request_optional(object, "evm_mine", {"timestamp": to_quantity(await world.tick() + AGE_S)})
        await world.tick()
        return world

    async def tick(self) -> UnixSeconds:
        """Read the head's time."""
        self.now = await self.base.now()
        return self.now

    async def call(self, to: Address, data: bytes, sender: Address | None = None, time: int = 0) -> bytes:
        """Ask by eth_call; a revert raises CallReverted."""
        asked = {
            "from": to_data(sender or self.thief),
            "to": to_data(to),
            "data": to_data(data),
            "gas": hex(16_000_000),
        }
        overrides = ({}, {"time": to_quantity(time)}) if time else ()
        return from_data(await self.node.request(str, "eth_call", asked, "latest", *overrides))

    async def ends(self, to: Address, data: bytes, sender: Address | None = None) -> bytes | None:
        """Ask by eth_call; gives the revert data, None if it did not revert."""
        try:
            await self.call(to, data, sender)
        except CallReverted as reverted:
            return reverted.data
        return None

    # What steps are built from.

    def play(self, x: int = 1, y: int = 0) -> Call:
        """An allowed call of the session `play`."""
        return Call(self.contracts.arena, Wei(0), MOVE.encode_call(x, y))

    def one(self, call: Call, session: str = "play", **changes: object) -> Attempt:
        """An operation with one call, hinted as well as it can be."""
        hints = self.sessions[session].hints([call])
        return Attempt(call_data=forgery.single(call), hints=hints, **changes)  # type: ignore[arg-type]

    def many(self, calls: Sequence[Call], session: str = "play", **changes: object) -> Attempt:
        """An operation with a batch of calls."""
        hints = self.sessions[session].hints(calls)
        return Attempt(call_data=forgery.batch(calls), hints=hints, **changes)  # type: ignore[arg-type]

    def honest(self, calls: int = 1) -> Attempt:
        """What the session `play` allows."""
        data = [self.play(place + 1) for place in range(calls)]
        return self.one(data[0]) if calls == 1 else self.many(data)

    def forger(self, session: str, fee_wei: int = FEE_WEI) -> Forger:
        """Sign as the thief of a session's key, at the head's time."""
        loot = self.sessions[session].loot
        return Forger(loot, self.now, fee_wei, signs_deadline=self.signs_deadline)

    async def sequence(self, session: str, sender: Address | None = None) -> int:
        """The next place on a session's lane."""
        return await self.sequence_of(self.sessions[session].scope.nonce_key, sender)

    async def sequence_of(self, key: int, sender: Address | None = None) -> int:
        """The next place on a nonce key."""
        asked = GET_NONCE.encode_call(sender or self.account, key)
        return int.from_bytes(await self.call(self.where.entry_point, asked), "big") & (1 << 64) - 1

    async def bundle(self, attempt: Attempt, session: str) -> list[UserOperation]:
        """Sign an attempt, from the next place of the lane on."""
        return self.forger(session).bundle(attempt, await self.sequence(session))

    async def used(self, session: str) -> SessionRecord:
        """What the chain has counted of a session."""
        asked = SESSION_OF.encode_call(self.account, self.sessions[session].permission)
        return decode_session(await self.call(self.module, asked))

    async def act_as_owner(self, *calls: Call) -> None:
        """Land an operation of the owner's wallet; every call must succeed."""
        outcomes = await self.base.act_as_owner(calls)
        assert all(each.succeeded for each in outcomes), outcomes
        await self.tick()

    # How it is made.

    def session_of(self, name: str, scope: Scope, account: Address | None = None, key: int = 0) -> Session:
        """Give what a thief needs of a session, whether or not it is granted."""
        packed, sender = scope.pack(), account or self.account
        permission = session_validator.permission_id(CHAIN_ID, self.module, sender, ScopeForm(packed).signed)
        loot = Loot(
            player=name,
            key=to_hex(secret_of(key).secret),
            account=to_hex(sender),
            stack=self.where.name,
            entry_point_version=self.where.version.value,
            entry_point=to_hex(self.where.entry_point),
            session_validator=to_hex(self.module),
            chain_id=CHAIN_ID,
            permission_id=to_hex(permission),
            scope=to_hex(packed),
        )
        functions = tuple(each.function for each in scope.calls.entries)
        return Session(name, scope, packed, PermissionId(permission), loot, functions)

    def scope_of(self, asked: Asked) -> Scope:
        """Make a scope at the head's time."""
        return make_scope(asked, self.stack, self.module, self.base.owner.address, self.now)

    async def _furnish(self, relayer: Address) -> None:
        """Give the account something to lose, and everybody the money to act."""
        node, here = self.node, self.contracts
        entry_point = self.where.entry_point
        await fund(node, [self.account, self.neighbour, self.thief, relayer, self.module], Wei(10**21))
        await deposit(node, entry_point, [self.account, self.neighbour], Wei(DEPOSIT_WEI))
        await deposit(node, entry_point, [self.strangers.paymaster, self.strangers.other_paymaster], Wei(DEPOSIT_WEI))
        await self.base.transact(here.arena, WELCOME.encode_call(self.account))
        count = Function.parse("itemCount()", "uint256", "view")
        self.item_id = int.from_bytes(await self.call(here.item, count.encode_call()), "big")
        self.validator_code = from_data(await node.request(str, "eth_getCode", to_data(self.module), "latest"))
        assert self.where.paymaster is not None
        await fill_paymaster(node, self.where.paymaster, Wei(DEPOSIT_WEI))
        await set_game(node, self.where.paymaster, SPONSORED_GAME, SPONSOR.address)
        await self.tick()

    async def _vouch(self) -> None:
        """Hand in the game's voucher for the session `vouched`, and none for the session `unvouched`."""
        assert self.where.paymaster is not None
        await self.base.transact(self.where.paymaster, await voucher(self, "vouched"))

    async def _grant_all(self) -> None:
        """Grant every session, by operations of the owner's wallet."""
        asked: Mapping[str, Asked] = asked_sessions(self.contracts, self.strangers, self.where.paymaster)
        for name, wish in asked.items():
            self.sessions[name] = self.session_of(name, self.scope_of(wish), key=wish.key)
        self.granted = tuple(self.sessions.values())
        for each in self.granted:
            await self.act_as_owner(Call(self.module, Wei(0), GRANT_SESSION.encode_call(each.packed, ())))


async def _neighbour(base: accounts.World) -> Address:
    """Deploy another account of the same owner; where an owner has only one, of another."""
    beside = Base(base.node, base.contracts, base.where)
    if base.stack.own_key_is_owner:
        beside.owner = accounts.Key(0xB0B)
    plan = beside.deployment(None if base.stack.own_key_is_owner else 8)
    beside.account = plan.address or Address((await base.call(plan.factory, plan.address_query))[-20:])
    own = [await beside.authorization()] if base.stack.own_key_is_owner else []
    await beside.relay(plan.factory, plan.factory_data, authorizations=own)
    return beside.account


def block_time(receipt: Mapping[str, object]) -> UnixSeconds:
    """When a receipt's block was made."""
    written = receipt["blockTimestamp"]
    return UnixSeconds(from_quantity(written) if isinstance(written, str) else int(str(written)))
