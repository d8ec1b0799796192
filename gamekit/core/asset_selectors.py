"""Functions that a session may never call, whatever the contract: they move assets, rights or code, or call through.

The one source for both sides. `gamekit/contracts/generate.py` writes AssetSelectors.sol from it, which the contract
enforces in `grant`; a test holds the two equal. The list has no exceptions: a game whose verb collides with it
(`deposit()`, `burn(uint256)`) keeps that verb for the owner's own wallet.

It is the second line of defence. Names are unlimited, so the boundary is the allowlist of the scope.
"""

from typing import Final

from gamekit.eth.hashing import selector

ASSET_FUNCTIONS: Final[dict[str, tuple[str, ...]]] = {
    "ERC-20 and allowances": (
        "transfer(address,uint256)",
        "transferFrom(address,address,uint256)",
        "approve(address,uint256)",
        "increaseAllowance(address,uint256)",
        "decreaseAllowance(address,uint256)",
        "increaseApproval(address,uint256)",
        "decreaseApproval(address,uint256)",
        "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)",
        "permit(address,address,uint256,uint256,bool,uint8,bytes32,bytes32)",
        "permit(address,address,uint256,uint256,bytes)",
        "transferAndCall(address,uint256,bytes)",
        "transferAndCall(address,uint256)",
        "transferFromAndCall(address,address,uint256)",
        "transferFromAndCall(address,address,uint256,bytes)",
        "approveAndCall(address,uint256,bytes)",
        "approveAndCall(address,uint256)",
        "push(address,uint256)",
        "pull(address,uint256)",
        "move(address,address,uint256)",
        "burn(uint256)",
        "burnFrom(address,uint256)",
        "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
        "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)",
        "receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
        "receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)",
    ),
    "ERC-777": (
        "send(address,uint256,bytes)",
        "operatorSend(address,address,uint256,bytes,bytes)",
        "authorizeOperator(address)",
        "burn(uint256,bytes)",
    ),
    "ERC-721, 1155 and 6909": (
        "setApprovalForAll(address,bool)",
        "safeTransferFrom(address,address,uint256)",
        "safeTransferFrom(address,address,uint256,bytes)",
        "safeTransferFrom(address,address,uint256,uint256,bytes)",
        "safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)",
        "transfer(address,uint256,uint256)",
        "transferFrom(address,address,uint256,uint256)",
        "approve(address,uint256,uint256)",
        "setOperator(address,bool)",
    ),
    "Permit2": (
        "approve(address,address,uint160,uint48)",
        "transferFrom(address,address,uint160,address)",
        "transferFrom((address,address,uint160,address)[])",
        "permitTransferFrom(((address,uint256),uint256,uint256),(address,uint256),address,bytes)",
        "permitTransferFrom(((address,uint256)[],uint256,uint256),(address,uint256)[],address,bytes)",
        "permit(address,((address,uint160,uint48,uint48),address,uint256),bytes)",
        "permit(address,((address,uint160,uint48,uint48)[],address,uint256),bytes)",
    ),
    "native currency, wrapping and vaults": (
        "deposit()",
        "withdraw(uint256)",
        "withdraw(uint256,address,address)",
        "redeem(uint256,address,address)",
    ),
    "ownership and roles": (
        "transferOwnership(address)",
        "acceptOwnership()",
        "renounceOwnership()",
        "grantRole(bytes32,address)",
        "revokeRole(bytes32,address)",
        "renounceRole(bytes32,address)",
        "setOwner(address)",
    ),
    "proxy upgrades": (
        "upgradeTo(address)",
        "upgradeToAndCall(address,bytes)",
        "changeAdmin(address)",
        "setImplementation(address)",
        "changeMasterCopy(address)",
    ),
    "administration of accounts and modules": (
        "execute(bytes32,bytes)",
        "executeFromExecutor(bytes32,bytes)",
        "executeUserOp((address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes),bytes32)",
        "installModule(uint256,address,bytes)",
        "uninstallModule(uint256,address,bytes)",
        "onInstall(bytes)",
        "onUninstall(bytes)",
        "execute(address,uint256,bytes)",
        "executeBatch(address[],uint256[],bytes[])",
        "executeBatch(address[],bytes[])",
        "executeBatch((address,uint256,bytes)[])",
        "execTransactionFromModule(address,uint256,bytes,uint8)",
        "enableModule(address)",
        "disableModule(address,address)",
        "setFallbackHandler(address)",
        "setGuard(address)",
        "addOwnerWithThreshold(address,uint256)",
        "swapOwner(address,address,address)",
        "changeThreshold(uint256)",
        "addOwnerAddress(address)",
        "initializeAccount(bytes)",
        "setRegistry(address,address[],uint8)",
        "invalidateNonce(uint32)",
    ),
    "EntryPoint": (
        "withdrawTo(address,uint256)",
        "depositTo(address)",
        "addStake(uint32)",
        "unlockStake()",
        "withdrawStake(address)",
        "incrementNonce(uint192)",
        "handleOps((address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes)[],address)",
    ),
    "calls passed on": (
        "multicall(bytes[])",
        "multicall(uint256,bytes[])",
        "aggregate((address,bytes)[])",
        "aggregate3((address,bool,bytes)[])",
        "aggregate3Value((address,bool,uint256,bytes)[])",
        "tryAggregate(bool,(address,bytes)[])",
        "execute(address,bytes)",
        "functionCall(address,bytes)",
        "functionDelegateCall(address,bytes)",
        "delegatecall(address,bytes)",
        "multiSend(bytes)",
        "execute(bytes,bytes[],uint256)",
        "execute(bytes,bytes[])",
    ),
}
"""Families of functions, each function by its canonical text."""

DENIED_SELECTORS: Final = frozenset(
    selector(signature) for signatures in ASSET_FUNCTIONS.values() for signature in signatures
)
"""The first 4 bytes of each of them."""
