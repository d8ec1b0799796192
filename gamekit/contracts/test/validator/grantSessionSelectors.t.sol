// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AssetSelectors} from "src/AssetSelectors.sol";
import {ISessionValidator, SessionState} from "src/ISessionValidator.sol";
import {Entry, Fields, Harness} from "test/Harness.sol";

/// @notice grantSession, by the functions that no session may call: each of them, and the next number to each.
contract GrantSessionSelectorsTest is Harness {
    /// @dev All of them. That they are those of the source in Python is asserted there.
    bytes private constant DENIED =
        hex"0396cb60095bcdb6095ea7b30bd28e3b0d582f130d58b1db0f0f3f241296ee62"
        hex"13af4035174dea7118dfb3c71cff79cd1f1b92e3205c287823b872dd24856bc3"
        hex"252dba422a2d80d12b67b5702e1a7d4d2eb2c2d62f2ff15d30f28b7a3177029f"
        hex"34fcd5be3593564c36568abe3659cfe636c78516395093514000aea0426a8493"
        hex"42842e0e42966c68468721a747e1da2a4b6a14194f1ef286558a72975ae401dc"
        hex"610b592562ad1b8366188463694e80c36d61fe706e0aacf7715018a6765e827f"
        hex"79ba509779cc67907de7edef82ad56cb87517c4588b7ab638a91b0e38d80ff0a"
        hex"8dd7712f8f2839708fcbaf0c9517e29f959b8c3f9bd9bbc69fd5a6cfa0b5ffb0"
        hex"a22cb465a457c2d7a71763a8a9059cbbac9650d8b460af94b61d27f6b753a98c"
        hex"b760faf9b88d4fdeba087652bb35783bbb9fe6bfbce38bd7c1d34b89c23a5cea"
        hex"cae9ca51cf092995d0e30db0d505accfd547741fd691c964d73dd623d784d426"
        hex"d8fbe994e009cfdee19a9dd9e318b52be3ee160ee9ae5c53eab77e17edd9444b"
        hex"ee33b7e2ef55bec6f08a0323f242432af2d5d56bf2fde38bfe99049afe9d9303";

    function test_grantSession_revert_eachDeniedSelector() public {
        assertEq(DENIED.length, 4 * AssetSelectors.COUNT);
        for (uint256 i = 0; i < AssetSelectors.COUNT; ++i) {
            Fields memory f = fields();
            f.entries = new Entry[](1);
            f.entries[0] = Entry(address(arena), _denied(i), 0, 0);
            bytes memory scope = pack(f);
            vm.expectRevert(
                abi.encodeWithSelector(ISessionValidator.SelectorDenied.selector, address(arena), _denied(i))
            );
            vm.prank(address(account));
            validator.grantSession(scope, none);
        }
    }

    function test_grantSession_success_nextToEachDeniedSelector() public {
        Fields memory f = fields();
        f.entries = new Entry[](AssetSelectors.COUNT);
        for (uint256 i = 0; i < AssetSelectors.COUNT; ++i) {
            bytes4 next = bytes4(uint32(_denied(i)) + 1);
            assertTrue(i + 1 == AssetSelectors.COUNT || next < _denied(i + 1), "none is next to another");
            f.entries[i] = Entry(address(arena), next, 0, 0);
        }
        assertState(grant(f), SessionState.Live);
    }

    function _denied(uint256 i) private pure returns (bytes4 selector) {
        bytes memory all = DENIED;
        assembly ("memory-safe") {
            selector := and(mload(add(add(all, 32), mul(i, 4))), shl(224, 0xffffffff))
        }
    }
}
