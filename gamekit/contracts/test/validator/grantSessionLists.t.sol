// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISessionValidator, SessionState} from "src/ISessionValidator.sol";
import {Arena} from "src/example/Arena.sol";
import {Entry, Fields, Rule} from "test/Harness.sol";
import {LongLists} from "test/LongLists.sol";

/// @notice grantSession and its siblings, for scopes with long lists.
contract GrantSessionListsTest is LongLists {
    function test_grantSession_success_emitsTheGrantedForm() public {
        Fields memory f = longFields(40);
        bytes memory granted = grantedForm(f);
        bytes32 permissionId = permissionIdOf(signedForm(f));
        vm.expectEmit(address(validator));
        emit ISessionValidator.SessionGranted(
            address(account), permissionId, signer, revoker, f.validAfter, f.validUntil, 1, granted
        );
        vm.prank(address(account));
        assertEq(validator.grantSession(granted, none), permissionId);
        assertState(signedForm(f), SessionState.Live);
    }

    function test_grantSession_revert_sameListAgain() public {
        Fields memory f = longFields(13);
        bytes memory granted = grantLong(f);
        _refuses(
            granted,
            abi.encodeWithSelector(
                ISessionValidator.SessionAlreadyGranted.selector, permissionIdOf(signedForm(f)), SessionState.Live
            )
        );
    }

    function test_grantSession_revert_entriesMissing() public {
        Fields memory f = longFields(13);
        _refuses(headerOf(f), abi.encodeWithSelector(ISessionValidator.EntriesMissing.selector));
    }

    function test_grantSession_revert_signedForm() public {
        // The root reads as an entry: its 25th byte says how many rules follow, and none does.
        Fields memory f = longFields(13);
        uint256 rules = uint8(rootOf(f)[25]);
        assertGt(rules, 0, "of this list");
        _refuses(
            signedForm(f), abi.encodeWithSelector(ISessionValidator.ScopeLengthMismatch.selector, 224, 224 + 64 * rules)
        );
    }

    function testFuzz_grantSession_revert_cutWithinALeaf(uint256 length) public {
        Fields memory f = longFields(13);
        bytes memory granted = grantedForm(f);
        length = bound(length, 193, granted.length - 1);
        // Where the leaf that is cut ends, as far as it says so: cut before its count of rules, it seems to have none.
        // A cut between two leaves is a shorter list.
        uint256 end = 192;
        for (uint256 i = 0; end < length; ++i) {
            end += length <= end + 25 ? 32 : 32 + 64 * (i % 4);
        }
        assembly ("memory-safe") {
            mstore(granted, length)
        }
        if (end != length) {
            _refuses(granted, abi.encodeWithSelector(ISessionValidator.ScopeLengthMismatch.selector, length, end));
        } else {
            vm.prank(address(account));
            assertTrue(validator.grantSession(granted, none) != permissionIdOf(signedForm(f)));
        }
    }

    function test_grantSession_revert_oneByteTooMany() public {
        bytes memory granted = bytes.concat(grantedForm(longFields(13)), hex"00");
        // One byte of another entry.
        _refuses(
            granted,
            abi.encodeWithSelector(
                ISessionValidator.ScopeLengthMismatch.selector, granted.length, granted.length - 1 + 32
            )
        );
    }

    function test_grantSession_revert_scopeReservedNotZero() public {
        Fields memory f = longFields(13);
        uint256 at = 192;
        for (uint256 i = 0; i < 13; ++i) {
            // The last reserved byte of the entry, then of each of its rules.
            _refusesReserved(f, at, 31);
            at += 32;
            for (uint256 j = 0; j < i % 4; ++j) {
                _refusesReserved(f, at, 31);
                at += 64;
            }
        }
        assertEq(at, grantedForm(f).length);
    }

    function testFuzz_grantSession_revert_anyReservedByteOfALeaf(uint256 entry, uint256 index, uint8 change) public {
        vm.assume(change != 0);
        Fields memory f = longFields(13);
        bytes memory granted = grantedForm(f);
        entry = entry % 13;
        uint256 at = 192;
        for (uint256 i = 0; i < entry; ++i) {
            at += 32 + 64 * (i % 4);
        }
        // 6 bytes of the entry, 29 of each rule.
        index = index % (6 + 29 * (entry % 4));
        uint256 position = index < 6 ? at + 26 + index : at + 32 + (index - 6) / 29 * 64 + 3 + (index - 6) % 29;
        granted[position] = bytes1(change);
        vm.prank(address(account));
        vm.expectPartialRevert(ISessionValidator.ScopeReservedNotZero.selector);
        validator.grantSession(granted, none);
    }

    function test_grantSession_revert_entriesNotAscending() public {
        Fields memory f = longFields(40);
        (f.entries[20], f.entries[21]) = (f.entries[21], f.entries[20]);
        _refuses(
            grantedForm(f),
            abi.encodeWithSelector(
                ISessionValidator.EntriesNotAscending.selector, 21, _keyOf(f.entries[21]), _keyOf(f.entries[20])
            )
        );
    }

    function test_grantSession_revert_entryTwice() public {
        Fields memory f = longFields(40);
        f.entries[39] = f.entries[38];
        uint256 key = _keyOf(f.entries[38]);
        _refuses(grantedForm(f), abi.encodeWithSelector(ISessionValidator.EntriesNotAscending.selector, 39, key, key));
    }

    function test_grantSession_revert_ruleFromInALeaf() public {
        Fields memory f = longFields(40);
        for (uint256 i = 0; i < 40; i += 13) {
            bytes memory granted = grantedForm(f);
            uint256 at = 192;
            for (uint256 j = 0; j < i; ++j) {
                at += 32 + 64 * (j % 4);
            }
            granted[at + 24] = bytes1(uint8(1));
            _refuses(granted, abi.encodeWithSelector(ISessionValidator.RulesOutOfRange.selector, i, 1, 0));
        }
    }

    function test_grantSession_revert_ruleCountInTheHeader() public {
        // Else a leaf could begin its rules at a number, and the same list would have many names.
        Fields memory f = longFields(13);
        bytes memory granted = grantedForm(f);
        granted[55] = 0x05;
        _refuses(granted, abi.encodeWithSelector(ISessionValidator.ScopeReservedNotZero.selector, 32, uint256(5) << 64));
        granted[192 + 24] = 0x05;
        _refuses(granted, abi.encodeWithSelector(ISessionValidator.ScopeReservedNotZero.selector, 32, uint256(5) << 64));
        granted[55] = 0;
        _refuses(granted, abi.encodeWithSelector(ISessionValidator.RulesOutOfRange.selector, 0, 5, 0));
    }

    function test_grantSession_revert_selectorDeniedAnywhere() public {
        // transfer(address,uint256), between what is before and after it.
        for (uint256 i = 0; i < 40; i += 13) {
            Fields memory f = longFields(40);
            f.entries[i].selector = 0xa9059cbb;
            for (uint256 j = i + 1; j < 40; ++j) {
                f.entries[j].selector = bytes4(uint32(0xb0000000 + j));
            }
            _refuses(
                grantedForm(f),
                abi.encodeWithSelector(ISessionValidator.SelectorDenied.selector, address(toybox), bytes4(0xa9059cbb))
            );
            f.entries[i].selector = 0xa9059cba;
            grantLong(f);
        }
    }

    function test_grantSession_revert_ruleInvalid() public {
        // The rules are counted over all leaves: leaf 7 has those with the numbers 9, 10 and 11.
        Fields memory f = longFields(13);
        f.rules = new Rule[](4);
        (f.rules[0], f.rules[1], f.rules[2]) = (Rule(0, 2, 0, 99), Rule(0, 1, 0, 100), Rule(0, 1, 0, 101));
        f.rules[3] = Rule(0, 7, 0, 42);
        (f.entries[7].ruleFrom, f.entries[7].ruleCount) = (1, 3);
        _refuses(grantedForm(f), abi.encodeWithSelector(ISessionValidator.RuleInvalid.selector, 11, 7, 42));
        f.rules[3].condition = 3;
        grantLong(f);
    }

    function test_grantSession_revert_laneLimitsDifferAcrossLeaves() public {
        Fields memory f = longFields(40);
        f.rules = new Rule[](2);
        (f.rules[0], f.rules[1]) = (Rule(0, 6, 1, 100), Rule(0, 6, 1, 99));
        for (uint256 i = 0; i < 40; ++i) {
            (f.entries[i].ruleFrom, f.entries[i].ruleCount) = (i == 30 ? 1 : 0, i % 10 == 0 ? 1 : 0);
        }
        _refuses(grantedForm(f), abi.encodeWithSelector(ISessionValidator.LaneLimitsDiffer.selector, 1, 99, 100));
        f.rules[1].value = 100;
        grantLong(f);
    }

    function test_grantSession_revert_ruleOnLaneOfValue() public {
        Fields memory f = longFields(13);
        f.rules[0] = Rule(0, 6, 0, 7);
        (f.valuePerCallWeiMax, f.valueTotalWeiMax) = (1, 1);
        _refuses(grantedForm(f), abi.encodeWithSelector(ISessionValidator.RuleInvalid.selector, 0, 6, 7));
    }

    function test_grantSession_revert_tokenInTheMiddle() public {
        Fields memory f = _threeTargets(address(arena.gold()));
        _refuses(
            grantedForm(f), abi.encodeWithSelector(ISessionValidator.TargetIsToken.selector, address(arena.gold()))
        );
        grantLong(_threeTargets(address(arena)));
    }

    function test_grantSession_revert_targetForbiddenInTheMiddle() public {
        Fields memory f = _threeTargets(address(validator));
        _refuses(grantedForm(f), abi.encodeWithSelector(ISessionValidator.TargetForbidden.selector, address(validator)));
    }

    function test_grantSession_revert_targetWithoutCodeInTheMiddle() public {
        Fields memory f = _threeTargets(thief);
        _refuses(grantedForm(f), abi.encodeWithSelector(ISessionValidator.TargetWithoutCode.selector, thief));
    }

    function test_grantSession_success_oneEntry() public {
        Fields memory f = longFields(1);
        grantLong(f);
        assertEq(rootOf(f), keccak256(leafOf(f, 0)));
        assertState(signedForm(f), SessionState.Live);
    }

    function test_grantSession_success_shortAndLongOfTheSameEntriesAreTwo() public {
        Fields memory f = longFields(3);
        f.rules = new Rule[](3);
        (f.rules[0], f.rules[1], f.rules[2]) = (Rule(0, 2, 0, 1), Rule(0, 2, 0, 2), Rule(0, 2, 0, 3));
        (f.entries[1].ruleFrom, f.entries[2].ruleFrom) = (0, 1);
        grant(f);
        grantLong(f);
        assertState(pack(f), SessionState.Live);
        assertState(signedForm(f), SessionState.Live);
    }

    // ------------------------------------------------------------------------------------------------------ signed

    function test_grantSessionFor_success_longList() public {
        Fields memory f = longFields(2);
        string[] memory texts = _texts(f);
        bytes memory granted = grantedForm(f);
        bytes memory signature = _sign(granted, texts);
        bytes32 id = validator.grantSessionFor(address(account), granted, texts, none, uint48(NOW), signature);
        assertEq(id, permissionIdOf(signedForm(f)));
        assertState(signedForm(f), SessionState.Live);
    }

    function test_grantSessionFor_revert_functionsOfALongList() public {
        Fields memory f = longFields(2);
        string[] memory texts = _texts(f);
        bytes memory granted = grantedForm(f);
        bytes4 right = f.entries[1].selector;
        string memory text = texts[1];
        texts[1] = "dance()";
        vm.expectRevert(
            abi.encodeWithSelector(ISessionValidator.FunctionMismatch.selector, 1, bytes4(keccak256("dance()")), right)
        );
        validator.grantSessionFor(address(account), granted, texts, none, uint48(NOW), "");
        texts[1] = text;
        assembly ("memory-safe") {
            mstore(texts, 1)
        }
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.FunctionCountMismatch.selector, 1, 2));
        validator.grantSessionFor(address(account), granted, texts, none, uint48(NOW), "");
    }

    // ------------------------------------------------------------------------------------------------------- revoke

    function test_revokeSessionFor_success_longListInItsGrantedForm() public {
        Fields memory f = longFields(40);
        bytes memory granted = grantLong(f);
        vm.expectEmit(address(validator));
        emit ISessionValidator.SessionRevoked(address(account), permissionIdOf(signedForm(f)));
        vm.prank(revoker);
        validator.revokeSessionFor(address(account), granted);
        assertState(signedForm(f), SessionState.Revoked);
        _refusedAsRevoked(f);
    }

    function test_revokeSessionFor_revert_longListWithAnotherLeaf() public {
        // A revoker of one's own in the header, or a list of one's own, was never granted.
        Fields memory f = longFields(40);
        grantLong(f);
        f.entries[39].selector = bytes4(uint32(f.entries[39].selector) + 1);
        _refusesRevoke(revoker, f);
        f = longFields(40);
        f.revoker = thief;
        _refusesRevoke(thief, f);
    }

    function test_revokeSessionWithSignature_success_longListInItsGrantedForm() public {
        Fields memory f = longFields(40);
        bytes memory granted = grantLong(f);
        bytes32 digest = validator.revokeDigest(address(account), permissionIdOf(signedForm(f)));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(signerKey, digest);
        validator.revokeSessionWithSignature(address(account), granted, abi.encodePacked(r, s, v));
        assertState(signedForm(f), SessionState.Revoked);
    }

    function test_revokeAllSessionsFor_success_longListInItsGrantedForm() public {
        Fields memory f = longFields(40);
        bytes memory granted = grantLong(f);
        vm.prank(revoker);
        validator.revokeAllSessionsFor(address(account), granted);
        assertEq(validator.accountOf(address(account)).epoch, 2);
        vm.expectRevert(abi.encodeWithSelector(ISessionValidator.EpochStale.selector, 1, 2));
        vm.prank(revoker);
        validator.revokeSessionFor(address(account), granted);
    }

    function test_revokeSession_success_longListByItsName() public {
        Fields memory f = longFields(40);
        grantLong(f);
        bytes32 permissionId = permissionIdOf(signedForm(f));
        vm.prank(address(account));
        validator.revokeSession(permissionId);
        _refusedAsRevoked(f);
    }

    // ------------------------------------------------------------------------------------------------------ helpers

    function _refusedAsRevoked(Fields memory f) private {
        submitRefused(
            sealedLong(f, uses1(5)),
            abi.encodeWithSelector(
                ISessionValidator.SessionNotLive.selector, permissionIdOf(signedForm(f)), SessionState.Revoked
            )
        );
    }

    function _refuses(bytes memory granted, bytes memory reason) private {
        vm.prank(address(account));
        vm.expectRevert(reason);
        validator.grantSession(granted, none);
    }

    function _refusesReserved(Fields memory f, uint256 word, uint256 place) private {
        bytes memory granted = grantedForm(f);
        granted[word + place] = 0x01;
        _refuses(granted, abi.encodeWithSelector(ISessionValidator.ScopeReservedNotZero.selector, word, 1));
    }

    function _refusesRevoke(address caller, Fields memory f) private {
        bytes memory granted = grantedForm(f);
        vm.prank(caller);
        vm.expectRevert(
            abi.encodeWithSelector(
                ISessionValidator.SessionNotLive.selector, permissionIdOf(signedForm(f)), SessionState.None
            )
        );
        validator.revokeSessionFor(address(account), granted);
    }

    /// @dev Five functions each of a toybox, of `middle`, and of another toybox; in the order of addresses.
    function _threeTargets(address middle) private returns (Fields memory f) {
        f = longFields(15);
        address low = address(uint160(middle) - 1);
        address high = address(uint160(middle) + 1);
        vm.etch(low, address(toybox).code);
        vm.etch(high, address(toybox).code);
        for (uint256 i = 0; i < 15; ++i) {
            f.entries[i].target = i < 5 ? low : i < 10 ? middle : high;
        }
    }

    function _texts(Fields memory f) private view returns (string[] memory texts) {
        texts = new string[](2);
        (texts[0], texts[1]) = ("move(int16,int16)", "attack(uint256,uint16)");
        if (uint32(Arena.move.selector) > uint32(Arena.attack.selector)) (texts[0], texts[1]) = (texts[1], texts[0]);
        for (uint256 i = 0; i < 2; ++i) {
            f.entries[i] = Entry(address(arena), bytes4(keccak256(bytes(texts[i]))), 0, uint8(i));
        }
    }

    function _sign(bytes memory granted, string[] memory texts) private view returns (bytes memory) {
        bytes32 digest = validator.grantDigest(address(account), granted, texts, none, uint48(NOW));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(ownerKey, digest);
        return abi.encodePacked(r, s, v);
    }

    function _keyOf(Entry memory e) private pure returns (uint256) {
        return uint192(bytes24(abi.encodePacked(e.target, e.selector)));
    }
}
