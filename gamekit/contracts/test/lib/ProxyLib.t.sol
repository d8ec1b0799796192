// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {Test} from "forge-std/Test.sol";
import {CodeKind, ProxyLib} from "src/ProxyLib.sol";
import {Arena} from "src/example/Arena.sol";

contract ProxyLibTest is Test {
    mapping(bytes32 codeHash => CodeKind) private _known;

    function test_canRunOthersCode_success_delegatecallAndCallcode() public {
        assertTrue(_found(hex"f4"));
        assertTrue(_found(hex"f2"));
        assertTrue(_found(hex"5f5f5f5f5ff4"), "at the end");
        assertTrue(_found(hex"f400"), "at the beginning");
    }

    function test_canRunOthersCode_success_noOtherInstruction() public {
        // CALL, CREATE, CREATE2, STATICCALL, SELFDESTRUCT and everything else that is no PUSH.
        for (uint256 i = 0; i < 256; ++i) {
            bool pushes = i >= 0x60 && i <= 0x7f;
            bytes memory code = bytes.concat(bytes1(uint8(i)), pushes ? new bytes(i - 0x5f) : bytes(""));
            assertEq(_found(code), i == 0xf2 || i == 0xf4);
        }
    }

    function test_canRunOthersCode_success_dataOfEachPushIsNoInstruction() public {
        for (uint256 length = 1; length <= 32; ++length) {
            bytes memory data = new bytes(length);
            for (uint256 i = 0; i < length; ++i) {
                data[i] = i % 2 == 0 ? bytes1(0xf4) : bytes1(0xf2);
            }
            bytes1 push = bytes1(uint8(0x5f + length));
            assertFalse(_found(bytes.concat(push, data)), "all of it is data");
            assertFalse(_found(bytes.concat(push, data, hex"00")));
            assertTrue(_found(bytes.concat(push, data, hex"f4")), "the byte behind it is none");
        }
    }

    function test_canRunOthersCode_success_push0HasNoData() public {
        assertTrue(_found(hex"5ff4"));
    }

    function test_canRunOthersCode_success_truncatedPushAtTheEnd() public {
        // What is missing is read as zeros by the EVM; nothing behind the code is looked at.
        assertFalse(_found(hex"00006000007f"));
        assertFalse(_found(hex"7ff4f4f4"));
        assertTrue(_found(hex"f47ff4"));
    }

    function test_canRunOthersCode_success_dataThatIsNeverReachedCounts() public {
        // STOP, then data: no walk can tell it from code that is jumped to.
        assertTrue(_found(hex"00f4"));
        assertTrue(_found(hex"5f5ffe0102f2"));
    }

    function test_canRunOthersCode_success_dataMayHideNoInstruction() public {
        // A PUSH that stands in such data swallows what follows; so does the EVM: there is no jump into it.
        assertFalse(_found(hex"0061f4f4"));
    }

    function test_canRunOthersCode_success_nothing() public {
        assertFalse(_found(""));
    }

    function testFuzz_canRunOthersCode_success_asAWalkByInstructions(bytes memory code) public {
        // 0xef begins no code that can be created, and what cannot be created cannot be put there either.
        if (code.length != 0 && code[0] == 0xef) code[0] = 0;
        assertEq(_found(code), _walked(code));
    }

    function testFuzz_canRunOthersCode_success_amongPushes(uint256 seed) public {
        // Random bytes seldom have pushes of pushes; here half of them are.
        bytes memory code = new bytes(64);
        for (uint256 i = 0; i < 64; ++i) {
            uint256 dice = uint256(keccak256(abi.encode(seed, i)));
            code[i] = dice % 2 == 0 ? bytes1(uint8(0x60 + dice / 2 % 32)) : dice % 8 == 1 ? bytes1(0xf4) : bytes1(0x01);
        }
        assertEq(_found(code), _walked(code));
    }

    function test_canRunOthersCode_success_contractsOfTheCompiler() public {
        Arena arena = new Arena();
        assertFalse(ProxyLib.canRunOthersCode(address(arena)));
        assertFalse(ProxyLib.canRunOthersCode(address(arena.gold())));
        assertTrue(ProxyLib.canRunOthersCode(Clones.clone(address(arena))));
        assertTrue(
            ProxyLib.canRunOthersCode(address(new ERC1967Proxy(address(arena), abi.encodeCall(Arena.deposit, ()))))
        );
    }

    function test_runsOthers_success_remembersBoth() public {
        address own = makeAddr("own");
        address others = makeAddr("others");
        vm.etch(own, hex"00");
        vm.etch(others, hex"f4");
        for (uint256 i = 0; i < 2; ++i) {
            assertFalse(ProxyLib.runsOthers(_known, own));
            assertTrue(ProxyLib.runsOthers(_known, others));
            assertEq(uint256(_known[keccak256(hex"00")]), uint256(CodeKind.OwnOnly));
            assertEq(uint256(_known[keccak256(hex"f4")]), uint256(CodeKind.RunsOthers));
        }
        // Other code at the same address is another question.
        vm.etch(own, hex"f2");
        assertTrue(ProxyLib.runsOthers(_known, own));
    }

    function test_runsOthers_success_isTheMemorysWord() public {
        // Planted: what is remembered is not computed again.
        address target = makeAddr("target");
        vm.etch(target, hex"f4");
        _known[keccak256(hex"f4")] = CodeKind.OwnOnly;
        assertFalse(ProxyLib.runsOthers(_known, target));
    }

    function _found(bytes memory code) private returns (bool) {
        address target = makeAddr("target");
        vm.etch(target, code);
        return ProxyLib.canRunOthersCode(target);
    }

    /// @dev By marking data first, and then looking at what is left.
    function _walked(bytes memory code) private pure returns (bool) {
        uint256 dataLeft = 0;
        for (uint256 i = 0; i < code.length; ++i) {
            uint8 instruction = uint8(code[i]);
            if (dataLeft != 0) {
                --dataLeft;
            } else if (instruction == 0xf4 || instruction == 0xf2) {
                return true;
            } else if (instruction >= 0x60 && instruction <= 0x7f) {
                dataLeft = instruction - 0x5f;
            }
        }
        return false;
    }
}
