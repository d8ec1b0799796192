"""The opener's calldata is what its compiled ABI takes."""

from gamekit.contracts import artifact
from gamekit.eth.interface import ERROR, PANIC, Interface
from gamekit.eth.session_opener import OPEN, OPEN_SPONSORED, SESSION_OPENER, encode_open
from gamekit.eth.session_paymaster import Voucher
from gamekit.units import Address, PermissionId, UnixSeconds, Wei


def address(number: int) -> Address:
    return Address(bytes((number,)) * 20)


def test_open_behavior_equals_artifact() -> None:
    compiled = Interface.from_json(artifact("SessionOpener").abi)
    for function in (OPEN, OPEN_SPONSORED):
        there = compiled.functions[function.signature]
        assert [p.name for p in function.inputs] == [p.name for p in there.inputs]
        assert (function.outputs, function.state_mutability) == (there.outputs, there.state_mutability)
    ours = set(SESSION_OPENER.errors) - {ERROR.selector, PANIC.selector}
    assert ours <= set(compiled.errors)


def test_encode_open_default() -> None:
    data = encode_open(
        account=address(1),
        factory=address(2),
        factory_data=b"create",
        validator=address(3),
        scope=b"scope",
        functions=("rest()",),
        deadline=UnixSeconds(9),
        signature=b"signature",
        entry_point=address(4),
    )
    grant = (b"scope", ("rest()",), (), 9, b"signature")
    assert OPEN.decode_call(data) == (address(1), address(2), b"create", address(4), address(3), (grant,))


def test_encode_open_args_voucher() -> None:
    permission = PermissionId(b"\x0e" * 32)
    data = encode_open(
        account=address(1),
        factory=address(2),
        factory_data=b"create",
        validator=address(3),
        scope=b"scope",
        functions=("rest()",),
        deadline=UnixSeconds(9),
        signature=b"signature",
        paymaster=address(5),
        voucher=Voucher(address(1), permission, 7, Wei(10), UnixSeconds(8), b"voucher"),
    )
    grant = (b"scope", ("rest()",), (), 9, b"signature")
    voucher = (address(5), permission, 7, 10, 8, b"voucher")
    decoded = OPEN_SPONSORED.decode_call(data)
    assert decoded[0] == address(1)
    assert decoded[-2:] == ((grant,), (voucher,))
