"""Session validators with a hole each: what the suite must report when one of them stands in the real one's place.

A plant is the real source with an exact text replaced, so a change of the source that moves the text fails here first.
`accepted` names the rows whose escape then succeeds, `failed` those that are refused in another way than they should
be: by the account, by the EntryPoint, or by a later check.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from gamekit.chain.rpc import from_data, to_data
from gamekit.devnet import DevnetNode
from gamekit.devnet.deployment import DEPLOYER, NO_SALT, Plan, carry_out
from gamekit.eth.hashing import create2_address
from tests.proof.solidity import creation_codes, planted_sources


class Hole(Struct, frozen=True):
    """One bug."""

    what: str
    replacements: Sequence[tuple[str, str, str]]
    """File, text, and what stands instead."""
    accepted: tuple[str, ...]
    """Rows that it opens, on the reference account with EntryPoint 0.8; a trailing `*` for all that begin so."""
    failed: tuple[str, ...] = ()
    """Rows that end in another refusal than they should."""


PLANTS: Final[dict[str, Hole]] = {
    "head-offset": Hole(
        "the head's offset is not checked",
        (("CalldataLib.sol", "if (offset != 0x40) _refuse(36, offset, 0x40);", ""),),
        (),
    ),
    "mode": Hole(
        "any mode is taken for a single call",
        (("CalldataLib.sol", "else revert ISessionValidator.ModeNotAllowed(mode);", "else walk.count = 1;"),),
        (),
    ),
    "first-call-only": Hole(
        "only the first call of a batch is checked",
        (
            (
                "SessionValidator.sol",
                "            walk.take(i, call);\n",
                "            walk.take(i, call);\n            if (i != 0) continue;\n",
            ),
        ),
        (),
    ),
    "paymaster-left-out": Hole(
        "the scope's paymaster may be left out",
        (
            (
                "SessionValidator.sol",
                "if (paymasterAndData.length == 0 && allowed == address(0)) return;",
                "if (paymasterAndData.length == 0) return;",
            ),
        ),
        (),
    ),
    "paymaster-unpinned": Hole(
        "any paymaster may be used",
        (
            (
                "SessionValidator.sol",
                "if (paymaster != allowed || allowed == address(0)) revert PaymasterMismatch(paymaster, allowed);",
                "if (false) revert PaymasterMismatch(paymaster, allowed);",
            ),
        ),
        (),
    ),
    "paymaster-budget": Hole(
        "the budget is not charged when a paymaster pays",
        (
            (
                "SessionValidator.sol",
                "walk.count, GasLib.costWei(op, paymasterAndData)",
                "walk.count, paymasterAndData.length != 0 ? 0 : GasLib.costWei(op, paymasterAndData)",
            ),
        ),
        (),
    ),
    "gas-price": Hole(
        "gas is counted, its price is not",
        (
            (
                "GasLib.sol",
                "return gas * feePerGas;",
                "return gas * 1 gwei;",
            ),
        ),
        (),
    ),
    "epoch": Hole(
        "the epoch is not checked",
        (("SessionValidator.sol", "if (epoch != accountEpoch) revert EpochStale(epoch, accountEpoch);", ""),),
        (),
    ),
    "uninstall-epoch": Hole(
        "uninstalling does not bump the epoch",
        (
            (
                "SessionValidator.sol",
                "SessionAccount memory known;\n        known.epoch = SlotLib.epochOf(_accounts[msg.sender]) + 1;",
                "SessionAccount memory known;\n        known.epoch = SlotLib.epochOf(_accounts[msg.sender]);",
            ),
        ),
        (),
    ),
    "signer-zero": Hole(
        "a session key of address 0 may be granted",
        (("GrantLib.sol", "if (signer == address(0) || signer == account", "if (signer == account"),),
        (),
    ),
    "deadline": Hole(
        "the deadline is outside the digest",
        (
            (
                "EnvelopeLib.sol",
                "uint256 times = claimedAt << 48 | deadline;",
                "uint256 times = claimedAt << 48 | (deadline & 0);",
            ),
        ),
        (),
    ),
    "valid-until-zero": Hole(
        "a session that ends at 0 may be granted",
        (
            (
                "GrantLib.sol",
                "if (validUntil <= scope.validAfter()) {",
                "if (validUntil != 0 && validUntil <= scope.validAfter()) {",
            ),
            (
                "GrantLib.sol",
                "if (validUntil < block.timestamp) revert",
                "if (validUntil != 0 && validUntil < block.timestamp) revert",
            ),
        ),
        (),
    ),
    "target-zero": Hole(
        "address 0 may be granted and called",
        (
            (
                "TargetLib.sol",
                "or(iszero(target), or(eq(target, account), eq(target, address())))",
                "or(eq(target, account), eq(target, address()))",
            ),
            (
                "TargetLib.sol",
                "if (target.code.length == 0) revert",
                "if (target != address(0) && target.code.length == 0) revert",
            ),
        ),
        (),
    ),
    "erc-1271": Hole(
        "whatever asks by ERC-1271 is told yes",
        (("SessionValidator.sol", "return ERC1271_INVALID;", "return IERC1271.isValidSignature.selector;"),),
        (),
    ),
    "malleable": Hole(
        "both of the two s are taken",
        (("EnvelopeLib.sol", "if (s > S_MAX) return false;", "if (s > type(uint256).max - 1) return false;"),),
        (),
    ),
    "lane": Hole(
        "the nonce key is not checked",
        (("SessionValidator.sol", "if (nonce >> 64 != scope.nonceKey()) revert", "if (false) revert"),),
        (),
    ),
}
"""By name, as `--plant` takes it."""


async def plant(node: DevnetNode, name: str) -> bytes:
    """Compile a validator with a hole; gives its code, as it would stand on chain.

    It is deployed somewhere else first, for the constructor. What the constructor remembers of its own address is only
    a shortcut: elsewhere the code finds the domain of its typed data anew.
    """
    init_code = creation_codes(planted_sources(PLANTS[name].replacements))["SessionValidator"]
    carried = Plan()
    address = create2_address(DEPLOYER, NO_SALT, init_code)
    carried.steps[address] = NO_SALT + init_code
    await carry_out(node, carried)
    return from_data(await node.request(str, "eth_getCode", to_data(address), "latest"))
