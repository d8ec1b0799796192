import pytest

from gamekit.accounts.reference_7702 import ReferenceStack7702
from gamekit.accounts.stack import StackContracts
from gamekit.devnet import DevnetNode
from gamekit.errors import ConfigInvalid
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import selector
from gamekit.eth.interface import Function
from gamekit.units import ZERO_ADDRESS, Address, ChainId, Wei
from tests.accounts.scenario import (
    FRIEND,
    OK,
    account_is_deployed,
    newcomer_opens,
    owner_acts,
    session_ends,
    session_plays,
)
from tests.accounts.world import World

STACK = ReferenceStack7702()
OWNER, DELEGATE, VALIDATOR = Address(b"\xac" * 20), Address(b"\x6a" * 20), Address(b"\x07" * 20)
UNINSTALL = Function.parse("uninstallModule(uint256 kind,address module,bytes data)")
CONTRACTS = StackContracts(DELEGATE, VALIDATOR, ZERO_ADDRESS)


class TestNonceKey:
    def test_default(self) -> None:
        assert STACK.nonce_key(VALIDATOR, 3) == int.from_bytes(VALIDATOR + b"\x00\x00\x00\x03", "big")
        assert STACK.owner_nonce_key(ZERO_ADDRESS) == 0


class TestDeployment:
    def test_default(self) -> None:
        found = STACK.deployment(OWNER, 0, CONTRACTS)
        assert (found.address, found.factory, found.delegate) == (OWNER, OWNER, DELEGATE)
        assert (found.factory_data, found.address_query) == (selector("initialize()"), b"")

    def test_behavior_versions(self) -> None:
        assert STACK.entry_point_versions == {EntryPointVersion.V08}

    def test_error_salt(self) -> None:
        with pytest.raises(ConfigInvalid, match="its salt is 0, got 1"):
            STACK.deployment(OWNER, 1, CONTRACTS)


@pytest.mark.e2e
@pytest.mark.slow
class TestOnChain:
    async def test_deployment(self, node: DevnetNode) -> None:
        await account_is_deployed(node, "reference_7702", "0.8")

    async def test_newcomer(self, node: DevnetNode) -> None:
        await newcomer_opens(node, "reference_7702", "0.8")

    async def test_session(self, node: DevnetNode) -> None:
        await session_plays(node, "reference_7702", "0.8", lane=2**32 - 1)

    async def test_end(self, node: DevnetNode) -> None:
        await session_ends(node, "reference_7702", "0.8")

    async def test_owner(self, node: DevnetNode) -> None:
        await owner_acts(node, "reference_7702", "0.8")

    async def test_the_address_delegates(self, node: DevnetNode) -> None:
        world = await World.create(node, "reference_7702", "0.8")
        assert world.account == world.owner.address
        assert await world.code() == "0xef0100" + world.contracts.reference_delegate_08.hex()

    async def test_overtaken(self, node: DevnetNode) -> None:
        """Somebody else submits the authorization first, and initialises: the player's own opening does the rest."""
        world = await World.plan(node, "reference_7702", "0.8")
        authorization = await world.authorization()
        await world.relay(FRIEND, b"", authorizations=[authorization])
        await world.transact(world.account, selector("initialize()"))
        await world.propose(1)
        await world.relay(
            world.contracts.session_opener, await world.opening(), authorizations=[authorization], value=Wei(10**18)
        )
        assert await world.play([world.game.encode("move", [1, 2])], try_mode=True) == (OK,)

    async def test_a_module_that_the_owner_removed_stays_removed(self, node: DevnetNode) -> None:
        world = await World.create(node, "reference_7702", "0.8")
        module = world.contracts.session_validator
        await world.transact(world.account, UNINSTALL.encode_call(1, module, b""), sender=world.account)
        await world.transact(world.account, selector("initialize()"))
        assert not await world.has_validator(module)

    async def test_the_accounts_key_grants_by_a_plain_transaction(self, node: DevnetNode) -> None:
        world = await World.create(node, "reference_7702", "0.8")
        await world.propose(1)
        await world.grant_by_transaction()
        assert await world.play([world.game.encode("move", [1, 2])], try_mode=True) == (OK,)

    async def test_a_delegation_elsewhere_stops_the_session_and_does_not_revoke_it(self, node: DevnetNode) -> None:
        """The code that asks the session validator is gone, so the session key speaks to nobody; until it is back."""
        world = await World.create(node, "reference_7702", "0.8")
        await world.open_session(1)
        good = await world.session_operation([world.game.encode("move", [1, 2])], try_mode=True)
        authorization = await world.authorization(ZERO_ADDRESS)
        await world.relay(FRIEND, b"", authorizations=[authorization])
        assert await world.code() == "0x"
        assert (await world.refusal(good))[0] == "AA20"
        await world.relay(FRIEND, b"", authorizations=[await world.authorization()])
        assert await world.land(good) == (OK,)

    async def test_an_authorization_of_another_chain_delegates_nothing(self, node: DevnetNode) -> None:
        world = await World.plan(node, "reference_7702", "0.8")
        await world.relay(FRIEND, b"", authorizations=[await world.authorization(chain_id=ChainId(1))])
        assert await world.code() == "0x"
