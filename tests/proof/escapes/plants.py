"""Session validators and paymasters with a hole each: what the suite must report with one in the real one's place.

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
    signs_deadline: bool = True
    """Whether the session keys' digest holds the deadline; a hole that forgets it is no hole for who still signs it."""
    failed: tuple[str, ...] = ()
    """Rows that end in another refusal than they should."""
    contract: str = "SessionValidator"
    """Which contract has it."""


def _in_paymaster(what: str, old: str, new: str, *accepted: str) -> Hole:
    return Hole(what, (("SessionPaymaster.sol", old, new),), accepted, contract="SessionPaymaster")


PLANTS: Final[dict[str, Hole]] = {
    "paymaster-uncharged": _in_paymaster(
        "our paymaster believes that what names a session was charged to it",
        "if (sinceWei < maxCost) revert SessionNotCharged(sinceWei, maxCost);",
        "",
        "C35:sponsor-other-session",
        "C58:sponsor-not-charged",
    ),
    "paymaster-unlimited": _in_paymaster(
        "our paymaster forgets the voucher's limit",
        "if (chargedWei > sponsorship.limitWei) revert SessionLimitExceeded(chargedWei, sponsorship.limitWei);",
        "",
        "C35:sponsor-drain",
        "C35:sponsor-drain-twice",
        "C35:sponsor-replayed",
    ),
    "paymaster-generation": _in_paymaster(
        "our paymaster takes what an earlier sponsor vouched for",
        "if (sponsorship.generation != generation || generation == 0) {",
        "if (generation == 0) {",
        "C35:sponsor-old-generation",
    ),
    "paymaster-any-voucher": _in_paymaster(
        "our paymaster takes any voucher",
        "if (recovered != known.sponsor || recovered == address(0)) {",
        "if (recovered == address(0)) {",
        "C35:sponsor-old-voucher",
        "C35:sponsor-voucher-moved",
    ),
    "paymaster-any-sponsor": _in_paymaster(
        "our paymaster takes any signature of an operation",
        "recovered == _games[game].sponsor && recovered != address(0)",
        "recovered != address(0)",
        "C35:sponsor-signed-by-thief",
    ),
    "paymaster-post-op-gas": _in_paymaster(
        "our paymaster pays for gas that it does not use",
        "if (postOpGasLimit != 0) revert PostOpGasNotZero(postOpGasLimit);",
        "",
        "C58:sponsor-post-op-gas",
    ),
    "head-offset": Hole(
        "the head's offset is not checked",
        (("CalldataLib.sol", "if (offset != 0x40) _refuse(36, offset, 0x40);", ""),),
        (
            "C22:inside",
            "C22:batch-inside",
            "C22:itself",
            "C22:zero",
            "C22:gap",
            "C22:unaligned",
            "C22:over-64-bits",
            "C22:over-32-bits",
            "C22:top-bit",
            "C22:wrap",
        ),
        failed=(
            "C22:behind",
            "C22:batch-behind",
        ),
    ),
    "mode": Hole(
        "any mode is taken for a single call",
        (("CalldataLib.sol", "else revert ISessionValidator.ModeNotAllowed(mode);", "else walk.count = 1;"),),
        (
            "C08:delegatecall",
            "C08:delegatecall-try",
            "C08:delegatecall-payload",
            "C10:static",
            "C10:static-try",
            "C10:call-type-2",
            "C10:call-type-80",
            "C10:exec-type-2",
            "C10:exec-type-ff",
            "C10:unused-first",
            "C10:unused-last",
            "C10:selector-first",
            "C10:selector-last",
            "C10:opdata",
            "C10:payload-first",
            "C10:payload-middle",
            "C10:payload-last",
            "C10:all-ones",
            "C10:try-payload",
        ),
        failed=(
            "C08:delegatecall-batch",
            "C10:batch-exec-type-2",
            "C10:batch-unused",
            "C10:batch-payload",
            "C10:batch-try-payload",
        ),
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
        (
            "C05:beneficiary",
            "C05:beneficiary-neighbour",
            "C05:beneficiary-zero",
            "C06:total-in-batch",
            "C06:total-over-time",
            "C09:value",
            "C11:bad-1",
            "C11:bad-2",
            "C11:bad-3",
            "C11:bad-4",
            "C11:long-shared-leaf",
            "C12:account-in-batch",
            "C25:address",
            "C25:address-top",
            "C25:address-left",
            "C28:sum-batch",
            "C28:sum-all-bits",
            "C55:zero-in-batch",
        ),
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
        ("C58:left-out",),
        failed=("C58:after-signing",),
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
        (
            "C35:added",
            "C35:other",
            "C58:left-out",
        ),
        failed=("C58:after-signing",),
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
        (
            "C58:verification-gas",
            "C58:post-op-gas",
            "C58:call-gas",
        ),
        # Our own paymaster then pays for nothing: not even for the twins.
        failed=(
            "C35:sponsor-drain",
            "C35:sponsor-drain-twice",
            "C35:sponsor-no-voucher",
            "C35:sponsor-old-generation",
            "C35:sponsor-other-session",
            "C35:sponsor-replayed",
            "C58:sponsor-not-charged",
            "C58:sponsor-post-op-gas",
        ),
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
        (
            "C34:fee",
            "C34:fee-huge",
        ),
        failed=("C34:most-fee",),
    ),
    "epoch": Hole(
        "the epoch is not checked",
        (("SessionValidator.sol", "if (epoch != accountEpoch) revert EpochStale(epoch, accountEpoch);", ""),),
        (
            "C29:all-by-account",
            "C29:all-by-revoker",
            "C56:uninstalled",
            "C56:reinstalled",
            "C56:installed-twice",
        ),
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
        ("C56:uninstalled",),
    ),
    "signer-zero": Hole(
        "a session key of address 0 may be granted",
        (("GrantLib.sol", "if (signer == address(0) || signer == account", "if (signer == account"),),
        ("C39:grant-zero",),
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
        (
            "C54:later",
            "C54:later-by-one",
            "C54:earlier",
            "C54:endless",
        ),
        signs_deadline=False,
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
        (
            "C38:grant-end-zero",
            "C38:grant-end-zero-begun",
        ),
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
        ("C55:grant-zero",),
        failed=(
            "C55:zero",
            "C55:zero-in-batch",
        ),
    ),
    "erc-1271": Hole(
        "whatever asks by ERC-1271 is told yes",
        (("SessionValidator.sol", "return ERC1271_INVALID;", "return IERC1271.isValidSignature.selector;"),),
        (
            "C21:module",
            "C21:stranger",
            "C21:envelope",
            "C21:empty",
        ),
    ),
    "malleable": Hole(
        "both of the two s are taken",
        (("EnvelopeLib.sol", "if (s > S_MAX) return false;", "if (s > type(uint256).max - 1) return false;"),),
        ("C40:high-s",),
    ),
    "witness": Hole(
        "a leaf of a long list need not lead to the root",
        (
            (
                "AllowlistLib.sol",
                "if (hash != list.root) revert ISessionValidator.WitnessInvalid(index, hash, list.root);",
                "if (hash == 0) revert ISessionValidator.WitnessInvalid(index, hash, list.root);",
            ),
        ),
        (
            "C02:long-made-up",
            "C02:long-sibling-bit",
            "C02:long-path-short",
            "C02:long-path-long",
            "C02:long-root-only",
            "C26:long-rule-dropped",
            "C26:long-rule-wider",
        ),
        failed=("C02:long-leaf-bit",),
    ),
    "lane": Hole(
        "the nonce key is not checked",
        (("SessionValidator.sol", "if (nonce >> 64 != scope.nonceKey()) revert", "if (false) revert"),),
        (
            "C33:next-lane",
            "C33:other-session",
        ),
    ),
}
"""By name, as `--plant` takes it."""


async def plant(node: DevnetNode, name: str, arguments: bytes = b"") -> bytes:
    """Compile a contract with a hole; gives its code, as it would stand on chain.

    It is deployed somewhere else first, for the constructor. What the constructor remembers of its own address is only
    a shortcut: elsewhere the code finds the domain of its typed data anew.
    """
    hole = PLANTS[name]
    init_code = creation_codes(planted_sources(hole.replacements, hole.contract))[hole.contract] + arguments
    carried = Plan()
    address = create2_address(DEPLOYER, NO_SALT, init_code)
    carried.steps[address] = NO_SALT + init_code
    await carry_out(node, carried)
    return from_data(await node.request(str, "eth_getCode", to_data(address), "latest"))
