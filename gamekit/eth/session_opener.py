"""Speaking with SessionOpener: account, deposit, grant and voucher in one relayed transaction. It has no rights.

Source: SessionOpener.sol.
"""

from collections.abc import Sequence
from typing import Final

from gamekit.eth.interface import CustomError, Function, Interface
from gamekit.eth.session_paymaster import Voucher
from gamekit.units import ZERO_ADDRESS, Address, UnixSeconds

_ARGUMENTS: Final = (
    "address account,address factory,bytes factoryData,address entryPoint,address validator,"
    "(bytes scope,string[] functions,address[] implementations,uint48 deadline,bytes ownerSignature)[] grants"
)
OPEN: Final = Function.parse(f"open({_ARGUMENTS})", state_mutability="payable")
OPEN_SPONSORED: Final = Function.parse(
    f"openSponsored({_ARGUMENTS},(address paymaster,bytes32 permissionId,uint32 game,uint96 limitWei,uint48 deadline,"
    "bytes signature)[] vouchers)",
    state_mutability="payable",
)

SESSION_OPENER: Final = Interface(
    functions=(OPEN, OPEN_SPONSORED),
    errors=(
        CustomError.parse("AccountNotCreated(address account)"),
        CustomError.parse("FactoryFailed(address factory,bytes reason)"),
    ),
)


def encode_open(
    *,
    account: Address,
    factory: Address,
    factory_data: bytes,
    validator: Address,
    scope: bytes,
    functions: Sequence[str],
    deadline: UnixSeconds,
    signature: bytes,
    implementations: Sequence[Address] = (),
    entry_point: Address = ZERO_ADDRESS,
    paymaster: Address | None = None,
    voucher: Voucher | None = None,
) -> bytes:
    """Encode the transaction that makes an account, if it is missing, and grants a session on it.

    Args:
        account: where it is or will be.
        factory: whom to call if there is no account yet.
        factory_data: what to call it with.
        validator: the session validator.
        scope: the session's.
        functions: the signature text of each entry's function.
        deadline: last second, inclusive, at which the grant may be submitted.
        signature: the owner's, over the grant.
        implementations: what the owner accepts for targets that can run code of others, as it was signed.
        entry_point: where value that is sent along becomes the account's deposit; without value it is not looked at.
        paymaster: takes the voucher; needed with one.
        voucher: a game's word that it pays for the session; none if the account pays.

    Raises:
        EncodingInvalid: a value does not fit.
    """
    grant = (scope, list(functions), list(implementations), deadline, signature)
    arguments = (account, factory, factory_data, entry_point, validator, [grant])
    if voucher is None:
        return OPEN.encode_call(*arguments)
    handed = (paymaster, voucher.permission_id, voucher.game, voucher.limit_wei, voucher.deadline, voucher.signature)
    return OPEN_SPONSORED.encode_call(*arguments, [handed])
