// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISessionValidator, SessionState} from "src/ISessionValidator.sol";
import {ISafeProxyFactory} from "src/Safe7579Factory.sol";
import {Arena} from "src/example/Arena.sol";
import {Entry, Fields, Harness} from "test/Harness.sol";

/// @notice grantSession, by what a target answers to the questions whether it is an account or a token.
contract GrantSessionTargetsTest is Harness {
    // ------------------------------------------------------------------------------------------------- accounts

    function test_grantSession_revert_accountOfAnotherPlayer() public {
        _refusesAccount(factory.createAccount(thief, "another player"));
    }

    function test_grantSession_revert_accountOfTheSameOwner() public {
        _refusesAccount(factory.createAccount(owner, "another of the same owner"));
    }

    function test_grantSession_revert_simpleAccount() public {
        // The sample account of ERC-4337: a proxy around one that names its EntryPoint.
        address simple = _deploy("node_modules/aa07/artifacts/SimpleAccountFactory.json", abi.encode(entryPoint));
        _refusesAccount(ISimpleAccountFactory(simple).createAccount(thief, 1));
    }

    function test_grantSession_revert_safe() public {
        address singleton = _deploy("devnet_artifacts/Safe.json", "");
        _refusesAccount(singleton);
        address[] memory owners = new address[](1);
        owners[0] = thief;
        address zero = address(0);
        bytes memory setup = abi.encodeWithSignature(
            "setup(address[],uint256,address,bytes,address,address,uint256,address)",
            owners,
            1,
            zero,
            "",
            zero,
            zero,
            0,
            zero
        );
        address proxies = _deploy("devnet_artifacts/SafeProxyFactory.json", "");
        _refusesAccount(ISafeProxyFactory(proxies).createProxyWithNonce(singleton, setup, 1));
    }

    function test_grantSession_revert_accountIdOfErc7579() public {
        _refusesAccount(_deploy("devnet_artifacts/Nexus.json", abi.encode(entryPoint)));
        _refusesAccount(_deploy("devnet_artifacts/Kernel.json", abi.encode(entryPoint)));
        _refusesAccount(_answering("accountId()", abi.encode("vendor.account.1.0.0")));
    }

    function test_grantSession_revert_entryPointOfErc4337() public {
        _refusesAccount(_answering("entryPoint()", abi.encode(entryPoint)));
        _refusesAccount(_answering("entryPoint()", abi.encode(thief)));
    }

    function test_grantSession_revert_thresholdOfASafe() public {
        _refusesAccount(_answering("getThreshold()", abi.encode(1)));
        _refusesAccount(_answering("getThreshold()", abi.encode(type(uint256).max)));
    }

    function test_grantSession_success_otherAnswersAreNoAccount() public {
        // No string, no address, no owners; and words that end early.
        _admits(_answering("accountId()", abi.encode(0x40, 1)));
        _admits(_answering("entryPoint()", abi.encode(address(0))));
        _admits(_answering("entryPoint()", abi.encode(uint256(1) << 160)));
        _admits(_answering("getThreshold()", abi.encode(0)));
        _admits(_answering("getThreshold()", new bytes(31)));
        _admits(_answering("entryPoint()", abi.encodePacked(address(entryPoint))));
    }

    // --------------------------------------------------------------------------------------------------- tokens

    function test_grantSession_revert_decimals() public {
        _refusesToken(_answering("decimals()", abi.encode(18)));
        _refusesToken(_answering("decimals()", abi.encode(255)));
    }

    function test_grantSession_revert_balanceOf() public {
        // Whatever the balance: the question itself is a token's.
        _refusesToken(_answering("balanceOf(address)", abi.encode(0)));
        _refusesToken(_answering("balanceOf(address)", abi.encode(type(uint256).max)));
    }

    function test_grantSession_revert_granularityOfErc777() public {
        _refusesToken(_answering("granularity()", abi.encode(1)));
        _refusesToken(_answering("granularity()", abi.encode(0)));
    }

    function test_grantSession_revert_interfacesOfTokens() public {
        bytes4[3] memory interfaces = [bytes4(0x80ac58cd), 0xd9b67a26, 0x0f632fb3];
        for (uint256 i = 0; i < interfaces.length; ++i) {
            Answering target = new Answering();
            target.answer(abi.encodeWithSignature("supportsInterface(bytes4)", interfaces[i]), abi.encode(true));
            _refusesToken(address(target));
        }
    }

    function test_grantSession_success_otherAnswersAreNoToken() public {
        _admits(_answering("decimals()", abi.encode(256)));
        _admits(_answering("decimals()", new bytes(31)));
        _admits(_answering("balanceOf(address)", new bytes(31)));
        _admits(_answering("granularity()", ""));
        _admits(_answering("supportsInterface(bytes4)", abi.encode(false)));
        Answering target = new Answering();
        // ERC-165 itself, and the receiver of ERC-1155: none is a token.
        target.answer(abi.encodeWithSignature("supportsInterface(bytes4)", bytes4(0x01ffc9a7)), abi.encode(true));
        target.answer(abi.encodeWithSignature("supportsInterface(bytes4)", bytes4(0x4e2312e0)), abi.encode(true));
        _admits(address(target));
    }

    function test_grantSession_success_codeThatIsNearlyADelegation() public {
        // Another first byte, another second one: no person's account. (A third one, or a length, that is not a
        // delegation's cannot stand behind 0xef01 in a state.)
        bytes20 what = bytes20(uint160(0x1111111111111111111111111111111111111111));
        bytes[2] memory codes = [abi.encodePacked(hex"ee0100", what), abi.encodePacked(hex"ef0200", what)];
        for (uint256 i = 0; i < codes.length; ++i) {
            address target = address(uint160(0x1000 + i));
            vm.etch(target, codes[i]);
            _admits(target);
        }
    }

    function test_grantSession_success_arena() public {
        _admits(address(arena));
        assertEq(arena.actionsOf(address(account)), 0);
    }

    // -------------------------------------------------------------------------------------------------- strangers

    function test_grantSession_success_strangerThatUsesAllGas() public {
        // 9 questions, 30,000 gas each.
        uint256 usual = _gasOf(address(new Quiet()));
        uint256 spent = _gasOf(address(new Spender()));
        assertGe(spent, usual + 9 * 29_000, "each of them was asked");
        assertLe(spent, usual + 9 * 30_000 + 20_000, "and none had more");
    }

    function test_grantSession_success_strangerThatAnswersMuch() public {
        // 3,125 words, nearly what 30,000 gas buy. Not copied: that would cost the module as much again.
        uint256 usual = _gasOf(address(new Quiet()));
        uint256 spent = _gasOf(address(new Shouter()));
        assertGe(spent, usual + 9 * 28_000, "each answer was given");
        assertLe(spent, usual + 9 * 30_000 + 20_000, "and cost whoever gave it");
    }

    function test_grantSession_success_strangerIsAskedOncePerGrant() public {
        // Entries of one target stand together, and it is asked once.
        address quiet = address(new Spender());
        uint256 one = _gasOf(quiet);
        Fields memory f = _entry(quiet);
        f.usesMax += 1;
        f.entries = new Entry[](3);
        for (uint256 i = 0; i < 3; ++i) {
            f.entries[i] = Entry(quiet, bytes4(uint32(0x10000000 + i)), 0, 0);
        }
        assertLe(_gasOf(f), one + 20_000);
    }

    function test_grantSession_success_strangerCannotReenter() public {
        // Asked by STATICCALL: nothing can be written while it answers.
        Reenterer target = new Reenterer(ISessionValidatorInstall(address(validator)));
        vm.prank(address(target));
        validator.onInstall("");
        _admits(address(target));
        assertEq(validator.accountOf(address(target)).epoch, 1);
        target.act();
        assertEq(validator.accountOf(address(target)).epoch, 2);
    }

    // ---------------------------------------------------------------------------------------------------- helpers

    function _deploy(string memory artifact, bytes memory arguments) private returns (address deployed) {
        bytes memory code = bytes.concat(vm.parseJsonBytes(vm.readFile(artifact), ".bytecode"), arguments);
        assembly ("memory-safe") {
            deployed := create(0, add(code, 32), mload(code))
        }
        assertTrue(deployed.code.length != 0, artifact);
    }

    function _answering(string memory signature, bytes memory answer) private returns (address) {
        Answering target = new Answering();
        target.answer(bytes.concat(bytes4(keccak256(bytes(signature)))), answer);
        return address(target);
    }

    function _refusesAccount(address target) private {
        _refuses(target, abi.encodeWithSelector(ISessionValidator.TargetIsAccount.selector, target));
    }

    function _refusesToken(address target) private {
        _refuses(target, abi.encodeWithSelector(ISessionValidator.TargetIsToken.selector, target));
    }

    function _refuses(address target, bytes memory reason) private {
        bytes memory scope = pack(_entry(target));
        vm.prank(address(account));
        vm.expectRevert(reason);
        validator.grantSession(scope, none);
    }

    function _admits(address target) private {
        assertState(grant(_entry(target)), SessionState.Live);
    }

    function _gasOf(address target) private returns (uint256) {
        return _gasOf(_entry(target));
    }

    function _gasOf(Fields memory f) private returns (uint256) {
        bytes memory scope = pack(f);
        vm.prank(address(account));
        validator.grantSession(scope, none);
        return vm.lastCallGas().gasTotalUsed;
    }

    function _entry(address target) private view returns (Fields memory f) {
        f = fields();
        f.entries = new Entry[](1);
        f.entries[0] = Entry(target, Arena.move.selector, 0, 0);
    }
}

/// @notice Answers what it was told to, by the whole question or by its selector, and refuses everything else.
contract Answering {
    mapping(bytes32 question => bytes) private _answers;
    mapping(bytes32 question => bool) private _known;

    function answer(bytes memory question, bytes memory said) external {
        _answers[keccak256(question)] = said;
        _known[keccak256(question)] = true;
    }

    fallback() external {
        bytes32 question = keccak256(msg.data);
        if (!_known[question]) question = keccak256(msg.data[:4]);
        require(_known[question]);
        bytes memory said = _answers[question];
        assembly ("memory-safe") {
            return(add(said, 32), mload(said))
        }
    }
}

/// @notice Refuses everything at once.
contract Quiet {
    fallback() external {
        assembly {
            revert(0, 0)
        }
    }
}

/// @notice Uses up whatever gas it is given.
contract Spender {
    fallback() external {
        assembly {
            invalid()
        }
    }
}

/// @notice Fails with nearly as much as 30,000 gas can pay for.
contract Shouter {
    fallback() external {
        assembly {
            revert(0, 100000)
        }
    }
}

/// @notice Installs the module anew whenever it is asked something.
contract Reenterer {
    ISessionValidatorInstall private immutable _validator;

    constructor(ISessionValidatorInstall validator) {
        _validator = validator;
    }

    function act() external {
        _validator.onInstall("");
    }

    fallback() external {
        _validator.onInstall("");
    }
}

/// @notice The part of the module that the stranger calls.
interface ISessionValidatorInstall {
    function onInstall(bytes calldata) external;
}

/// @notice What makes sample accounts of ERC-4337.
interface ISimpleAccountFactory {
    function createAccount(address owner, uint256 salt) external returns (address);
}
