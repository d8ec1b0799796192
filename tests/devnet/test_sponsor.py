"""A devnet's paymaster: filled, staked, and told which game pays how much; and it reads what Python signs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gamekit.chain.rpc import from_data, to_data
from gamekit.devnet import Anvil, DevnetContracts, DevnetNode, deploy
from gamekit.devnet.sponsor import Caps, fill_paymaster, operate, set_caps, set_game
from gamekit.errors import ChainError
from gamekit.eth.entry_point import GET_DEPOSIT_INFO
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.interface import Function
from gamekit.eth.session_paymaster import (
    GAME_OF,
    SET_CAPS,
    VOUCHER_DIGEST,
    GameRecord,
    Voucher,
    decode_game,
    game_number,
    signed_data,
    sponsor_operation_digest,
    voucher_digest,
)
from gamekit.eth.user_operation import UserOperation, pack
from gamekit.units import Address, ChainId, Gas, PermissionId, UnixSeconds, Wei

SPONSOR = Address(b"\x5b" * 20)
CHAIN = ChainId(31337)
OPERATION_DIGEST = Function.parse(
    "operationDigest((address sender,uint256 nonce,bytes initCode,bytes callData,bytes32 accountGasLimits,"
    "uint256 preVerificationGas,bytes32 gasFees,bytes paymasterAndData,bytes signature) op)",
    "bytes32",
    "view",
)


@pytest.fixture(scope="module")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anvil]:
    """A node of their own: other tests operate the same paymasters on the shared one, and leave what they did."""
    node = Anvil.start(Path(tmp_path_factory.mktemp("anvil")))
    yield node
    node.stop()


@pytest.fixture
async def contracts(node: DevnetNode) -> DevnetContracts:
    return await deploy(node)


async def call(node: DevnetNode, to: Address, data: bytes) -> bytes:
    asked = {"to": to_data(to), "data": to_data(data)}
    return from_data(await node.request(str, "eth_call", asked, "latest"))


async def test_fill_paymaster_default(node: DevnetNode, contracts: DevnetContracts) -> None:
    paymaster = contracts.session_paymaster_08
    await fill_paymaster(node, paymaster, Wei(10**18), Wei(5))
    answer = await call(node, contracts.entry_point_08, GET_DEPOSIT_INFO.encode_call(paymaster))
    assert GET_DEPOSIT_INFO.decode_result(answer) == ((10**18, True, 5, 86_400, 0),)


async def test_set_game_default(node: DevnetNode, contracts: DevnetContracts) -> None:
    paymaster = contracts.session_paymaster_07
    await set_game(node, paymaster, "arena", SPONSOR, Caps(Wei(3), Wei(2), Wei(1)))
    number = GAME_OF.encode_call(game_number("arena"))
    assert decode_game(await call(node, paymaster, number)) == GameRecord(1, 0, Wei(0), Wei(3), SPONSOR, Wei(2), Wei(1))
    await set_caps(node, paymaster, "arena", Caps(Wei(6), Wei(5), Wei(4)))
    assert decode_game(await call(node, paymaster, number)).day_wei_max == 6


async def test_operate_error_reverted(node: DevnetNode, contracts: DevnetContracts) -> None:
    with pytest.raises(ChainError, match="status 0x0"):
        await operate(node, contracts.session_paymaster_07, SET_CAPS.encode_call(99, 1, 1, 1))


@pytest.mark.parametrize("version", [EntryPointVersion.V07, EntryPointVersion.V08])
async def test_digests_are_the_contracts_own(
    node: DevnetNode, contracts: DevnetContracts, version: EntryPointVersion
) -> None:
    paymaster = contracts.session_paymaster_07 if version is EntryPointVersion.V07 else contracts.session_paymaster_08
    await set_game(node, paymaster, "arena", SPONSOR)
    await set_game(node, paymaster, "arena", SPONSOR)
    number = game_number("arena")
    voucher = Voucher(
        Address(b"\xac" * 20), PermissionId(b"\x0e" * 32), number, Wei(10**17), UnixSeconds(1_900_000_000)
    )
    asked = VOUCHER_DIGEST.encode_call(
        voucher.account, voucher.permission_id, number, voucher.limit_wei, voucher.deadline
    )
    assert await call(node, paymaster, asked) == voucher_digest(CHAIN, paymaster, voucher, 2)
    op = UserOperation(
        sender=voucher.account,
        nonce=7 << 64 | 3,
        call_data=b"play",
        call_gas_limit=Gas(1),
        verification_gas_limit=Gas(2),
        pre_verification_gas=Gas(3),
        max_fee_per_gas=Wei(4),
        max_priority_fee_per_gas=Wei(5),
        paymaster=paymaster,
        paymaster_verification_gas_limit=Gas(6),
        paymaster_data=signed_data(UnixSeconds(10), UnixSeconds(20), number, b"\x07" * 65),
    )
    packed = pack(op, version)
    fields = tuple(getattr(packed, name) for name in packed.__struct_fields__)
    expected = sponsor_operation_digest(CHAIN, op, version, 2)
    assert await call(node, paymaster, OPERATION_DIGEST.encode_call(fields)) == expected
