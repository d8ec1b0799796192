// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {Execution} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {Entry, Fields, Harness, Rule} from "test/Harness.sol";

/// @notice Long lists of entries: the form that is granted, the one that is signed, and witnesses.
/// @dev Written a second time and differently: the module builds the tree upwards, pair by pair; here it is cut downwards,
/// at the largest power of two below the number of leaves. Both are the same tree.
abstract contract LongLists is Harness {
    /// @dev The game of long lists: it has whatever function it is asked for.
    Toybox internal toybox;

    function setUp() public virtual override {
        super.setUp();
        toybox = new Toybox();
    }

    /// @dev `count` functions of the toybox; the i-th has i % 4 rules on its first argument, which 0 to 99 satisfy.
    function longFields(uint256 count) internal view returns (Fields memory f) {
        f = fields();
        f.rules = new Rule[](3);
        f.rules[0] = Rule(0, 2, 0, 99);
        f.rules[1] = Rule(0, 1, 0, 100);
        f.rules[2] = Rule(0, 1, 0, 101);
        f.entries = new Entry[](count);
        for (uint256 i = 0; i < count; ++i) {
            f.entries[i] = Entry(address(toybox), toy(i), 0, uint8(i % 4));
        }
    }

    /// @dev The selector of the toybox's i-th function, in ascending order.
    function toy(uint256 i) internal pure returns (bytes4) {
        return bytes4(uint32(0x10000000 + i * 0x10101));
    }

    function toyCall(uint256 i, uint256 argument) internal view returns (Execution memory) {
        return Execution(address(toybox), 0, abi.encodePacked(toy(i), argument));
    }

    function played(uint256 i) internal view returns (uint256) {
        return toybox.played(address(account), toy(i));
    }

    // ------------------------------------------------------------------------------------------------- forms

    /// @dev The header of a long list: that of a short one without entries and rules.
    function headerOf(Fields memory f) internal pure returns (bytes memory header) {
        (Entry[] memory entries, Rule[] memory rules) = (f.entries, f.rules);
        (f.entries, f.rules) = (new Entry[](0), new Rule[](0));
        header = pack(f);
        (f.entries, f.rules) = (entries, rules);
    }

    function leafOf(Fields memory f, uint256 i) internal pure returns (bytes memory leaf) {
        Entry memory e = f.entries[i];
        leaf = abi.encodePacked(e.target, e.selector, bytes1(0), e.ruleCount, bytes6(0));
        for (uint256 j = 0; j < e.ruleCount; ++j) {
            Rule memory r = f.rules[e.ruleFrom + j];
            leaf = bytes.concat(leaf, abi.encodePacked(r.argument, r.condition, r.lane, bytes29(0), r.value));
        }
    }

    function grantedForm(Fields memory f) internal pure returns (bytes memory granted) {
        bytes[] memory parts = new bytes[](f.entries.length);
        uint256 length = 0;
        for (uint256 i = 0; i < parts.length; ++i) {
            parts[i] = leafOf(f, i);
            length += parts[i].length;
        }
        bytes memory header = headerOf(f);
        granted = new bytes(header.length + length);
        uint256 at = _copy(header, granted, 0);
        for (uint256 i = 0; i < parts.length; ++i) {
            at = _copy(parts[i], granted, at);
        }
    }

    function signedForm(Fields memory f) internal pure returns (bytes memory) {
        return bytes.concat(headerOf(f), rootOf(f));
    }

    function grantLong(Fields memory f) internal returns (bytes memory granted) {
        granted = grantedForm(f);
        vm.prank(address(account));
        validator.grantSession(granted, none);
    }

    // -------------------------------------------------------------------------------------------------- tree

    function rootOf(Fields memory f) internal pure returns (bytes32) {
        return _rootOf(_hashes(f), 0, f.entries.length);
    }

    /// @dev What a path leads to from the bytes of a leaf.
    function climb(bytes memory leaf, bytes32[] memory path) internal pure returns (bytes32 hash) {
        hash = keccak256(leaf);
        for (uint256 i = 0; i < path.length; ++i) {
            hash = _pair(hash, path[i]);
        }
    }

    function pathOf(Fields memory f, uint256 i) internal pure returns (bytes32[] memory) {
        return _pathOf(_hashes(f), i, 0, f.entries.length);
    }

    function witnessOf(bytes memory leaf, bytes32[] memory path) internal pure returns (bytes memory) {
        return abi.encodePacked(leaf, uint8(path.length), path);
    }

    function witnessOf(Fields memory f, uint256 i) internal pure returns (bytes memory) {
        return witnessOf(leafOf(f, i), pathOf(f, i));
    }

    function _hashes(Fields memory f) private pure returns (bytes32[] memory hashes) {
        hashes = new bytes32[](f.entries.length);
        for (uint256 i = 0; i < hashes.length; ++i) {
            hashes[i] = keccak256(leafOf(f, i));
        }
    }

    function _rootOf(bytes32[] memory hashes, uint256 from, uint256 to) internal pure returns (bytes32) {
        if (to - from == 1) return hashes[from];
        uint256 cut = _cut(from, to);
        return _pair(_rootOf(hashes, from, cut), _rootOf(hashes, cut, to));
    }

    function _pathOf(bytes32[] memory hashes, uint256 i, uint256 from, uint256 to)
        internal
        pure
        returns (bytes32[] memory path)
    {
        if (to - from == 1) return path;
        uint256 cut = _cut(from, to);
        bytes32[] memory below = i < cut ? _pathOf(hashes, i, from, cut) : _pathOf(hashes, i, cut, to);
        path = new bytes32[](below.length + 1);
        for (uint256 j = 0; j < below.length; ++j) {
            path[j] = below[j];
        }
        path[below.length] = i < cut ? _rootOf(hashes, cut, to) : _rootOf(hashes, from, cut);
    }

    function _cut(uint256 from, uint256 to) private pure returns (uint256) {
        uint256 half = 1;
        while (half * 2 < to - from) half *= 2;
        return from + half;
    }

    function _pair(bytes32 a, bytes32 b) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(uint256(a) < uint256(b) ? bytes.concat(a, b) : bytes.concat(b, a)));
    }

    function _copy(bytes memory from, bytes memory to, uint256 at) private pure returns (uint256) {
        for (uint256 i = 0; i < from.length; i += 32) {
            assembly ("memory-safe") {
                mstore(add(add(add(to, 32), at), i), mload(add(add(from, 32), i)))
            }
        }
        return at + from.length;
    }

    // -------------------------------------------------------------------------------------------- operations

    /// @dev Hints and witnesses of calls of the toybox's functions `uses`, as a client makes them.
    function shown(Fields memory f, uint256[] memory uses)
        internal
        pure
        returns (bytes memory hints, bytes memory witnesses)
    {
        uint8 count = 0;
        for (uint256 i = 0; i < uses.length; ++i) {
            uint256 hint = count;
            for (uint256 j = i; j > 0; --j) {
                if (uses[j - 1] == uses[i]) hint = uint8(hints[j - 1]);
            }
            if (hint == count) {
                witnesses = bytes.concat(witnesses, witnessOf(f, uses[i]));
                ++count;
            }
            hints = abi.encodePacked(hints, uint8(hint));
        }
    }

    function toyCalls(uint256[] memory uses) internal view returns (Execution[] memory calls) {
        calls = new Execution[](uses.length);
        for (uint256 i = 0; i < uses.length; ++i) {
            calls[i] = toyCall(uses[i], i);
        }
    }

    /// @dev Signed by the session key over the signed form, with these hints and witnesses behind.
    function sealLong(Fields memory f, Execution[] memory calls, bytes memory hints, bytes memory witnesses)
        internal
        view
        returns (PackedUserOperation memory op)
    {
        op = seal(operation(f, batchData(BATCH_TRY, calls)), hints, signedForm(f));
        op.signature = bytes.concat(op.signature, witnesses);
    }

    function sealedLong(Fields memory f, uint256[] memory uses) internal view returns (PackedUserOperation memory) {
        (bytes memory hints, bytes memory witnesses) = shown(f, uses);
        return sealLong(f, toyCalls(uses), hints, witnesses);
    }

    function uses1(uint256 a) internal pure returns (uint256[] memory uses) {
        uses = new uint256[](1);
        uses[0] = a;
    }

    function uses2(uint256 a, uint256 b) internal pure returns (uint256[] memory uses) {
        uses = new uint256[](2);
        (uses[0], uses[1]) = (a, b);
    }
}

/// @notice A game with every function, which counts who played what and keeps what is sent.
contract Toybox {
    mapping(address player => mapping(bytes4 selector => uint256)) public played;

    fallback() external payable {
        ++played[msg.sender][msg.sig];
    }
}
