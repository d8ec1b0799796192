"""A whole devnet: everything stands where it should, and the pieces know each other."""

import json
from pathlib import Path

import pytest

from gamekit.chain.rpc import to_data
from gamekit.core.setup import chain_setup
from gamekit.devnet import Anvil, AnvilSettings, DevnetContracts, DevnetNode, deploy
from gamekit.devnet.deployment import ENTRY_POINT_SALTS, OPERATOR, Plan, carry_out, plan_devnet, require_code
from gamekit.errors import ChainError, ChainMismatch
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import selector
from gamekit.units import ZERO_ADDRESS, Address

NOWHERE = Address(b"\x77" * 20)


async def ask_address(node: DevnetNode, contract: Address, function: str) -> Address:
    asked = {"to": to_data(contract), "data": to_data(selector(function))}
    return Address(bytes.fromhex((await node.request(str, "eth_call", asked, "latest"))[-40:]))


async def test_deploy_default_code_at_every_address(node: DevnetNode) -> None:
    contracts = await deploy(node)
    addresses = contracts.deployed()
    assert len(set(addresses)) == len(addresses) == len(contracts.__struct_fields__) - 2
    await require_code(node, addresses)
    assert (contracts.kernel_implementation, contracts.kernel_factory) == (ZERO_ADDRESS, ZERO_ADDRESS)


async def test_deploy_behaviour_kernel_without_a_cap_on_code(tmp_path: Path) -> None:
    anvil = Anvil.start(tmp_path, AnvilSettings(code_size_capped=False))
    try:
        async with DevnetNode(anvil.url, timeout_ms=60_000) as node:
            contracts = await deploy(node, code_size_capped=False)
            assert len(contracts.deployed()) == len(contracts.__struct_fields__)
            implementation = contracts.kernel_implementation
            assert await ask_address(node, contracts.kernel_factory, "implementation()") == implementation
            setup = chain_setup(contracts.chain_config(anvil.url))
            assert setup.stack("kernel").contracts.factory == contracts.kernel_factory
    finally:
        anvil.stop()


async def test_deploy_error_kernel_where_code_is_capped(node: DevnetNode) -> None:
    with pytest.raises(ChainError, match="status 0x0"):
        await deploy(node, code_size_capped=False)


async def test_deploy_behaviour_entry_points_are_canonical(node: DevnetNode) -> None:
    contracts = await deploy(node)
    deployed = (contracts.entry_point_06, contracts.entry_point_07, contracts.entry_point_08)
    assert deployed == tuple(version.canonical_address for version in list(EntryPointVersion)[:3])


async def test_deploy_behaviour_twice_sends_nothing(node: DevnetNode) -> None:
    contracts = await deploy(node)
    funder = to_data((await node.unlocked_accounts())[0])
    before = await node.request(str, "eth_getTransactionCount", funder, "latest")
    assert await deploy(node) == contracts
    assert await node.request(str, "eth_getTransactionCount", funder, "pending") == before


async def test_deploy_behaviour_the_pieces_know_each_other(node: DevnetNode) -> None:
    contracts = await deploy(node)
    assert await ask_address(node, contracts.arena, "gold()") == contracts.gold
    assert await ask_address(node, contracts.arena, "item()") == contracts.item
    assert await ask_address(node, contracts.owner_validator, "SESSION_VALIDATOR()") == contracts.session_validator
    for factory in (contracts.reference_factory_07, contracts.reference_factory_08):
        assert await ask_address(node, factory, "OWNER_VALIDATOR()") == contracts.owner_validator
        assert await ask_address(node, factory, "SESSION_VALIDATOR()") == contracts.session_validator
    implementation = await ask_address(node, contracts.reference_factory_08, "IMPLEMENTATION()")
    assert await ask_address(node, implementation, "entryPoint()") == contracts.entry_point_08
    assert (
        await ask_address(node, contracts.nexus_factory, "ACCOUNT_IMPLEMENTATION()") == contracts.nexus_implementation
    )
    assert await ask_address(node, contracts.nexus_implementation, "entryPoint()") == contracts.entry_point_07
    assert await ask_address(node, contracts.safe7579_factory, "ADAPTER()") == contracts.safe7579_adapter
    for contract in (contracts.safe7579_factory, contracts.reference_delegate_08):
        assert await ask_address(node, contract, "SESSION_VALIDATOR()") == contracts.session_validator
    assert await ask_address(node, contracts.reference_delegate_08, "entryPoint()") == contracts.entry_point_08
    for paymaster, entry_point in (
        (contracts.session_paymaster_07, contracts.entry_point_07),
        (contracts.session_paymaster_08, contracts.entry_point_08),
    ):
        assert await ask_address(node, paymaster, "ENTRY_POINT()") == entry_point
        assert await ask_address(node, paymaster, "SESSION_VALIDATOR()") == contracts.session_validator
        assert await ask_address(node, paymaster, "owner()") == OPERATOR


async def test_carry_out_error_constructor_reverts(node: DevnetNode) -> None:
    plan = Plan()
    plan.add("Nexus", Address(bytes(20)))  # it refuses an entry point of 0
    with pytest.raises(ChainError, match="status 0x0"):
        await carry_out(node, plan)


async def test_require_code_error_names_the_empty_address(node: DevnetNode) -> None:
    with pytest.raises(ChainMismatch, match=NOWHERE.hex()):
        await require_code(node, [NOWHERE])


def test_plan_devnet_error_other_bytecode_than_the_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENTRY_POINT_SALTS, "EntryPoint07", bytes(32))
    with pytest.raises(ChainMismatch, match=r"EntryPoint 0\.7 would be deployed to"):
        plan_devnet(Plan())


def test_json_default_round_trip(tmp_path: Path) -> None:
    contracts = plan_devnet(Plan())
    (tmp_path / "contracts.json").write_text(contracts.to_json())
    assert DevnetContracts.load(tmp_path / "contracts.json") == contracts


def test_chain_config_default_is_a_usable_configuration() -> None:
    contracts = plan_devnet(Plan())
    setup = chain_setup(contracts.chain_config("http://127.0.0.1:1"))
    assert setup.session_validator == contracts.session_validator
    assert setup.stack("reference", "0.8").entry_point == contracts.entry_point_08
    assert setup.stack("nexus", "0.7").contracts.bootstrap == contracts.nexus_bootstrap
    own = setup.stack("reference_7702", "0.8").contracts
    assert (own.factory, own.owner_validator) == (contracts.reference_delegate_08, ZERO_ADDRESS)
    assert setup.stack("safe7579", "0.7").contracts.factory == contracts.safe7579_factory
    assert [each.name for each in setup.stacks] == ["reference", "reference", "nexus", "safe7579", "reference_7702"]
    assert setup.stack("nexus", "0.7").paymaster == contracts.session_paymaster_07
    assert setup.stack("reference", "0.8").paymaster == contracts.session_paymaster_08


def test_chain_config_behaviour_an_older_deployment_has_the_older_stacks() -> None:
    contracts = plan_devnet(Plan())
    written = json.loads(contracts.to_json())
    older = {name: written[name] for name in list(written)[: list(written).index("reference_delegate_08")]}
    setup = chain_setup(DevnetContracts.from_json(json.dumps(older)).chain_config("http://127.0.0.1:1"))
    assert [each.name for each in setup.stacks] == ["reference", "reference", "nexus"]
