"""A newcomer whose own address becomes the account: one transaction delegates and grants, followed like any other."""

import coincurve
import msgspec
import pytest
from msgspec.structs import replace

from gamekit.config import StackConfig
from gamekit.core.consent import GrantRequest
from gamekit.core.event import SessionEvent
from gamekit.core.relay import FINAL, MINED, REPLACED, RelayTransaction
from gamekit.core.session import Session
from gamekit.errors import AuthorizationInvalid, AuthorizationSpent, ChainUnavailable, ConfigInvalid
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import checksum_address
from gamekit.eth.signature import public_key_address
from gamekit.eth.transaction import Authorization, SignedAuthorization, authorization_hash
from gamekit.testing.scenery import ENTRY_POINT, MODULE, OPENER, OWNER_VALIDATOR, Keys, chain_config, config
from gamekit.testing.wire import DecodedTransaction
from gamekit.units import Address, BlockHash, ChainId, Hash32
from tests.runtime.delegating_chain import DelegatingChain
from tests.runtime.world import ALICE, World

KEY = coincurve.PrivateKey.from_int(0xB0B)
OWNER = public_key_address(KEY.public_key.format(compressed=False))
DELEGATE, ELSEWHERE = Address(b"\xde" * 20), Address(b"\xe1" * 20)
STRANGER = Address(b"\x57" * 20)


def authorized(wanted: Authorization, key: coincurve.PrivateKey = KEY) -> SignedAuthorization:
    signature = key.sign_recoverable(authorization_hash(wanted), hasher=None)
    return SignedAuthorization(wanted, signature[:64] + bytes((signature[64] + 27,)))


class Newcomers(World):
    """One stack: people's own addresses. The owner has a key and nothing else."""

    chain: DelegatingChain

    def __init__(self, keys: Keys) -> None:
        where = checksum_address(EntryPointVersion.V08.canonical_address)
        stack = StackConfig("reference_7702", "0.8", where, checksum_address(DELEGATE), "")
        super().__init__(keys, config(chain=chain_config(stacks=(stack,))))

    def _chain(self) -> DelegatingChain:
        chain = DelegatingChain(ENTRY_POINT, MODULE, OPENER, OWNER_VALIDATOR)
        chain.people.add(OWNER)
        return chain

    async def propose(self) -> GrantRequest:
        return await self.kit.propose(ALICE, "arena", "play", OWNER)

    async def newcomer(self) -> GrantRequest:
        """Propose, sign both, hand in."""
        request = await self.propose()
        assert request.authorization is not None
        await self.kit.open(request.permission_id, b"signature", authorized(request.authorization))
        return request

    def spend(self) -> None:
        """Let the owner send a transaction of their own, in the next block."""
        self.chain.push(OWNER, STRANGER, b"")

    def overtake(self, wanted: Authorization) -> None:
        """Let somebody else submit what the owner authorized, in the next block."""
        self.chain.push(STRANGER, STRANGER, b"")
        self.chain.pending[-1] = replace(self.chain.pending[-1], authorizations=(authorized(wanted),))

    def state(self, request: GrantRequest) -> str:
        return self.kit.session_row(request.permission_id).state

    async def grants(self) -> list[RelayTransaction]:
        return sorted(await self.store.select(RelayTransaction), key=lambda row: (row.nonce, row.attempt))


@pytest.fixture
async def world(keys: Keys) -> Newcomers:
    world = Newcomers(keys)
    await world.start()
    return world


async def test_the_request_says_what_must_be_authorized(world: Newcomers) -> None:
    world.chain.top.world.counts[OWNER] = 5
    request = await world.propose()
    assert request.authorization == Authorization(chain_id=ChainId(31337), delegate=DELEGATE, nonce=5)
    assert f"contract {checksum_address(DELEGATE)}, nonce 5" in request.explanation
    assert "A wallet in a browser does not sign authorizations" in request.explanation
    assert "It ends the delegation" not in request.explanation


async def test_one_transaction_delegates_and_grants(world: Newcomers) -> None:
    request = await world.newcomer()
    (sent,) = world.chain.pending
    assert (sent.to, sent.authorizations) == (OPENER, (authorized(request.authorization),))  # type: ignore[arg-type]
    await world.block()
    assert world.state(request) == "open"
    assert await world.chain.code(OWNER) == b"\xef\x01\x00" + DELEGATE
    await world.block(2)
    assert [row.state for row in await world.grants()] == [FINAL]


async def test_an_address_that_delegates_already_is_asked_for_nothing_more(world: Newcomers) -> None:
    await world.newcomer()
    await world.block()
    request = await world.propose()
    assert (request.authorization, "EIP-7702 authorization" in request.explanation) == (None, False)
    await world.kit.open(request.permission_id, b"signature")
    assert world.chain.pending[-1].authorizations == ()
    await world.block()
    assert world.state(request) == "open"


async def test_a_delegation_elsewhere_is_replaced_and_that_is_said(world: Newcomers) -> None:
    world.chain.top.world.delegates[OWNER] = ELSEWHERE
    request = await world.newcomer()
    assert f"It ends the delegation to {checksum_address(ELSEWHERE)}" in request.explanation
    await world.block()
    assert world.state(request) == "open"
    assert world.chain.top.world.delegates[OWNER] == DELEGATE


async def test_a_contract_cannot_delegate(world: Newcomers) -> None:
    world.chain.codes[OWNER] = b"\x60"
    world.chain.people.clear()
    with pytest.raises(ConfigInvalid, match="is a contract and cannot delegate"):
        await world.propose()
    assert world.kit.state.sessions == {}


@pytest.mark.parametrize(
    "change",
    [
        lambda wanted: None,
        lambda wanted: authorized(replace(wanted, chain_id=ChainId(1))),
        lambda wanted: authorized(replace(wanted, delegate=ELSEWHERE)),
        lambda wanted: authorized(wanted, coincurve.PrivateKey.from_int(1)),
        lambda wanted: SignedAuthorization(wanted, bytes(65)),
        lambda wanted: authorized(replace(wanted, nonce=wanted.nonce + 1)),
    ],
    ids=["missing", "chain", "delegate", "signer", "signature", "nonce"],
)
async def test_what_would_not_delegate_is_not_sent(world: Newcomers, change: object) -> None:
    request = await world.propose()
    with pytest.raises(AuthorizationInvalid):
        await world.kit.open(request.permission_id, b"signature", change(request.authorization))  # type: ignore[operator]
    assert (world.chain.pending, world.state(request)) == ([], "proposed")
    await world.kit.open(request.permission_id, b"signature", authorized(request.authorization))  # type: ignore[arg-type]
    await world.block()
    assert world.state(request) == "open", "the same request can be opened with a good one"


async def test_a_nonce_that_was_used_before_the_grant_came_in_is_told_at_once(world: Newcomers) -> None:
    request = await world.propose()
    world.spend()
    await world.block()
    with pytest.raises(AuthorizationSpent) as refused:
        await world.kit.open(request.permission_id, b"signature", authorized(request.authorization))  # type: ignore[arg-type]
    assert refused.value.compared == {"nonce": 0, "found": 1}
    again = authorized(replace(request.authorization, nonce=1))  # type: ignore[arg-type, type-var]
    await world.kit.open(request.permission_id, b"signature", again)
    await world.block()
    assert world.state(request) == "open", "a newer one, signed elsewhere, does as well"


async def test_a_nonce_that_is_used_while_the_grant_travels_ends_it_once_that_is_final(world: Newcomers) -> None:
    request = await world.newcomer()
    (grant,) = world.chain.pending
    world.chain.pending = []
    world.spend()
    await world.block()
    world.chain.pending = [grant]
    await world.block()
    assert world.state(request) == "granting", "a reorg could still let it in"
    await world.block()
    row = world.kit.session_row(request.permission_id)
    assert (row.state, row.ended_code) == ("lapsed", "authorization_spent")
    assert row == await world.store.get(Session, request.permission_id)
    with pytest.raises(AuthorizationSpent, match="nonce 0, and the address is at 1"):
        await world.kit.opened(request.permission_id)
    (event,) = await world.events("session_lapsed")
    body = msgspec.msgpack.decode(event.body, type=SessionEvent)
    assert (body.permission_id, body.code) == (request.permission_id, "authorization_spent")


async def test_a_reorg_that_gives_the_nonce_back_lets_the_grant_in(world: Newcomers) -> None:
    request = await world.newcomer()
    world.chain.pending = []
    world.spend()
    await world.block()
    world.chain.reorg(1, forget=True, length=2)
    await world.step()
    await world.block(4)
    assert world.state(request) == "open"


async def test_what_the_node_does_not_say_ends_nothing(world: Newcomers) -> None:
    request = await world.newcomer()
    world.chain.pending = []
    world.spend()
    look = world.chain.code

    async def silent(*_: object, **__: object) -> bytes:
        raise ChainUnavailable("no state of that block")

    world.chain.code = silent  # type: ignore[method-assign]
    await world.block(4)
    assert world.state(request) == "granting"
    world.chain.code = look  # type: ignore[method-assign]
    await world.block(3)
    assert world.state(request) == "lapsed"


async def test_who_submits_the_authorization_first_gains_nothing(world: Newcomers) -> None:
    request = await world.propose()
    assert request.authorization is not None
    world.overtake(request.authorization)
    await world.block()
    await world.kit.open(request.permission_id, b"signature", authorized(request.authorization))
    world.chain.reorg(1, forget=True, length=2)
    await world.step()
    await world.block(2)
    assert world.state(request) == "open", "the player's own travels all the same, and a reorg took the other"


async def test_overtaken_on_the_way(world: Newcomers) -> None:
    request = await world.newcomer()
    (grant,) = world.chain.pending
    world.chain.pending = []
    world.overtake(request.authorization)  # type: ignore[arg-type]
    world.chain.pending.append(grant)
    await world.block()
    assert world.state(request) == "open"
    assert await world.chain.transaction_count(OWNER) == 1, "one of the two was passed over"


async def test_a_replacement_carries_the_authorization(world: Newcomers) -> None:
    request = await world.newcomer()
    await world.block(3, empty=True)
    first, second = await world.grants()
    assert (first.nonce, second.nonce, second.attempt) == (first.nonce, first.nonce, 1)
    decoded = [DecodedTransaction.read(row.raw) for row in (first, second)]
    assert decoded[0].authorizations == decoded[1].authorizations == second.authorizations != ()
    assert second.max_fee_per_gas > first.max_fee_per_gas
    await world.block()
    assert world.state(request) == "open"
    assert sorted(row.state for row in await world.grants()) == sorted([MINED, REPLACED])


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_reorg_sends_it_again(world: Newcomers, restarted: bool) -> None:
    world.chain.finality = 6
    request = await world.newcomer()
    await world.block()
    raw = world.chain.sent[-1]
    world.chain.reorg(1, forget=True, length=2)
    assert await world.chain.code(OWNER) == b""
    if restarted:
        await world.restart()
    else:
        await world.step()
    assert world.state(request) == "granting"
    await world.block(2)
    assert world.state(request) == "open"
    assert world.chain.sent[-1] == raw
    assert [event.kind for event in await world.events()] == ["session_opened", "session_reorged", "session_opened"]


async def test_a_grant_whose_relayer_lost_its_nonce_travels_again(world: Newcomers) -> None:
    request = await world.newcomer()
    world.chain.drop()
    relayer = next(iter(world.keys.pool))
    world.chain.push(relayer, STRANGER, b"")
    await world.block(6)
    assert world.state(request) == "open"
    (_, again) = await world.grants()
    assert again.authorizations == (authorized(request.authorization),)  # type: ignore[arg-type]


async def test_it_is_durable(world: Newcomers) -> None:
    request = await world.newcomer()
    world.chain.drop()
    await world.restart()
    await world.block(3)
    assert world.state(request) == "open"
    row = await world.store.get(Session, request.permission_id)
    assert row is not None
    assert row.authorization == authorized(request.authorization)  # type: ignore[arg-type]
    assert Hash32(bytes(32)) not in {each.transaction_hash for each in await world.grants()}


async def test_a_reorg_makes_it_wait_for_the_block_that_has_the_nonce_now(world: Newcomers) -> None:
    request = await world.newcomer()
    world.chain.pending = []
    world.spend()
    await world.block()
    world.chain.reorg(1)
    world.chain.mine()
    await world.step()
    assert await world.chain.transaction_count(OWNER) == 1, "one block higher than it was"
    await world.block()
    assert world.state(request) == "granting", "the block that has it is not final yet"
    await world.block()
    assert world.state(request) == "lapsed"


async def test_an_authorization_that_came_in_without_the_grant_is_not_void(world: Newcomers) -> None:
    request = await world.newcomer()
    world.chain.drop()
    world.chain.deaf = 100
    world.overtake(request.authorization)  # type: ignore[arg-type]
    await world.block(6)
    assert await world.chain.transaction_count(OWNER) == 1
    assert world.state(request) == "granting"
    world.chain.deaf = 0
    await world.block(3)
    assert world.state(request) == "open"


async def test_the_nonce_is_read_at_the_block_that_was_read(world: Newcomers) -> None:
    """A node that is ahead would date what it says too early."""
    await world.newcomer()
    asked: list[object] = []
    look = world.chain.transaction_count

    async def watched(address: Address, *, pending: bool = False, block: BlockHash | None = None) -> int:
        if address == OWNER:
            asked.append(block)
        return await look(address, pending=pending, block=block)

    world.chain.transaction_count = watched  # type: ignore[method-assign]
    await world.block(empty=True)
    assert asked == [world.kit.state.head.hash]
