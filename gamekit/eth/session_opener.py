"""Speaking with SessionOpener: account, deposit and grant in one relayed transaction. It has no rights of its own.

Source: SessionOpener.sol.
"""

from collections.abc import Sequence
from typing import Final

from gamekit.eth.interface import CustomError, Function, Interface
from gamekit.units import ZERO_ADDRESS, Address, UnixSeconds

OPEN: Final = Function.parse(
    "open(address account,address factory,bytes factoryData,address entryPoint,address validator,"
    "(bytes scope,string[] functions,address[] implementations,uint48 deadline,bytes ownerSignature)[] grants)",
    state_mutability="payable",
)

SESSION_OPENER: Final = Interface(
    functions=(OPEN,),
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
    entry_point: Address = ZERO_ADDRESS,
    implementations: Sequence[Address] = (),
) -> bytes:
    """Encode the transaction that makes an account, if it is missing, and grants a session on it.

    `entry_point` is where value that is sent along becomes the account's deposit; without value it is not looked at.

    Raises:
        EncodingInvalid: a value does not fit.
    """
    grant = (scope, list(functions), list(implementations), deadline, signature)
    return OPEN.encode_call(account, factory, factory_data, entry_point, validator, [grant])
