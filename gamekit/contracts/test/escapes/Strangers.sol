// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";

/// @title Whom the accounts of the escape suite (tests/proof) meet, and how the suite looks at a chain.

/// @notice Asks many contracts at once, and looks into purses.
contract Looker {
    /// @notice One question.
    struct Question {
        /// Whom.
        address target;
        /// What.
        bytes data;
    }

    /// @notice The answer to each question, empty where there is none, and the balance of each purse.
    function look(Question[] calldata questions, address[] calldata purses)
        external
        view
        returns (bytes[] memory answers, uint256[] memory balances)
    {
        answers = new bytes[](questions.length);
        for (uint256 i = 0; i < questions.length; ++i) {
            (bool ok, bytes memory answer) = questions[i].target.staticcall{gas: 200_000}(questions[i].data);
            if (ok) answers[i] = answer;
        }
        balances = new uint256[](purses.length);
        for (uint256 i = 0; i < purses.length; ++i) {
            balances[i] = purses[i].balance;
        }
    }
}

/// @notice A module that agrees to everything: somebody else's session module at its worst.
contract YesModule {
    /// @notice Installs without asking.
    function onInstall(bytes calldata) external {}

    /// @notice Uninstalls without asking.
    function onUninstall(bytes calldata) external {}

    /// @notice It is whatever is wanted.
    function isModuleType(uint256) external pure returns (bool) {
        return true;
    }

    /// @notice It is at home everywhere.
    function isInitialized(address) external pure returns (bool) {
        return true;
    }

    /// @notice Every operation is good.
    function validateUserOp(PackedUserOperation calldata, bytes32) external pure returns (uint256) {
        return 0;
    }

    /// @notice Every bundle is good, as an aggregator sees it.
    function validateSignatures(PackedUserOperation[] calldata, bytes calldata) external view {}

    /// @notice Every signature is good.
    function isValidSignatureWithSender(address, bytes32, bytes calldata) external pure returns (bytes4) {
        return 0x1626ba7e;
    }

    /// @notice Makes an account execute, as an executor may.
    function strike(address account, bytes32 mode, bytes calldata execution) external {
        (bool ok, bytes memory reason) =
            account.call(abi.encodeWithSignature("executeFromExecutor(bytes32,bytes)", mode, execution));
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(reason, 32), mload(reason))
            }
        }
    }
}

/// @notice Pays for everybody; a thief may deploy as many as he likes.
contract FreePaymaster {
    /// @notice Agrees.
    function validatePaymasterUserOp(PackedUserOperation calldata, bytes32, uint256)
        external
        pure
        returns (bytes memory context, uint256 validationData)
    {
        return ("", 0);
    }

    /// @notice Wants nothing.
    function postOp(uint8, bytes calldata, uint256, uint256) external {}
}

/// @notice Answers as an ERC-20, and as nothing else.
contract Coin {
    /// @notice As ERC-20 has it.
    uint8 public constant decimals = 18;

    /// @notice Play, it says.
    function play(uint256) external {}
}

/// @notice Answers by ERC-165 to one interface.
contract Collection {
    /// @notice Which one.
    bytes4 public immutable INTERFACE;

    constructor(bytes4 interfaceId) {
        INTERFACE = interfaceId;
    }

    /// @notice As ERC-165 has it.
    function supportsInterface(bytes4 interfaceId) external view returns (bool) {
        return interfaceId == INTERFACE || interfaceId == 0x01ffc9a7;
    }

    /// @notice Play, it says.
    function play(uint256) external {}
}

/// @notice Answers how much somebody has of it, and nothing else.
contract Purse {
    /// @notice As many tokens have it.
    mapping(address owner => uint256) public balanceOf;

    /// @notice Play, it says.
    function play(uint256) external {}
}

/// @notice Answers as an ERC-777 without anybody's balance.
contract Granule {
    /// @notice As ERC-777 has it.
    uint256 public constant granularity = 1;

    /// @notice Play, it says.
    function play(uint256) external {}
}

/// @notice What comes behind a proxy when its maker has seen enough players.
contract Robber {
    address private immutable _GOLD;
    address private immutable _THIEF;

    constructor(address gold, address thief) {
        _GOLD = gold;
        _THIEF = thief;
    }

    /// @notice Takes what it can of whoever calls: approved gold, and the account's own doors.
    fallback() external {
        _try(_GOLD, abi.encodeWithSignature("transferFrom(address,address,uint256)", msg.sender, _THIEF, 1));
        _try(msg.sender, abi.encodeWithSignature("execute(bytes32,bytes)", bytes32(0), abi.encodePacked(_GOLD)));
        _try(msg.sender, abi.encodeWithSignature("installModule(uint256,address,bytes)", 2, _THIEF, ""));
    }

    function _try(address target, bytes memory data) private {
        (bool ok,) = target.call(data);
        ok;
    }
}

/// @notice What a person's address may delegate to instead: it knows no session, and says so.
contract Elsewhere {
    /// @notice Asked as if it were an account of ours.
    error NobodysAccount(address caller);

    /// @notice Refuses everything.
    fallback() external {
        revert NobodysAccount(msg.sender);
    }
}

/// @notice Answers every question with a megabyte.
contract Blabber {
    /// @notice As much as the gas allows, up to a megabyte.
    fallback() external {
        assembly ("memory-safe") {
            let size := div(gas(), 8)
            if gt(size, 1000000) { size := 1000000 }
            return(0, size)
        }
    }
}

/// @notice Takes on the code of whatever its maker shows.
contract Chameleon {
    constructor() {
        address shown = Nest(msg.sender).shown();
        assembly ("memory-safe") {
            let size := extcodesize(shown)
            extcodecopy(shown, 0, 0, size)
            return(0, size)
        }
    }
}

/// @notice Puts one game after the other at one address, or tries.
contract Nest {
    /// @notice What the next chameleon looks like.
    address public shown;
    /// @notice The latest.
    address public hatched;

    /// @notice Nothing was made: the address is taken.
    error AddressTaken();

    /// @notice Makes a chameleon, always at the same address.
    function hatch(address shown_) public {
        shown = shown_;
        bytes memory code = type(Chameleon).creationCode;
        address made;
        assembly ("memory-safe") {
            made := create2(0, add(code, 32), mload(code), 0)
        }
        if (made == address(0)) revert AddressTaken();
        hatched = made;
    }

    /// @notice Makes one and ends it at once, then makes another.
    function hatchAndEnd(address shown_) external {
        hatch(shown_);
        IMortal(hatched).end();
    }
}

/// @notice A game that can end itself: since Cancun its code goes only in the transaction that made it. The suite puts
/// its two bytes of code in place itself.
interface IMortal {
    /// @notice Ends.
    function end() external;
}

/// @notice A proxy whose maker changes what stands behind it. Source: ERC-1967.
contract Facade {
    bytes32 private constant SLOT = 0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc;
    address private immutable _MAKER = msg.sender;

    constructor(address implementation) {
        _set(implementation);
    }

    /// @notice Passes everything on.
    fallback() external {
        address implementation;
        assembly ("memory-safe") {
            implementation := sload(SLOT)
        }
        (bool ok, bytes memory answer) = implementation.delegatecall(msg.data);
        assembly ("memory-safe") {
            if iszero(ok) { revert(add(answer, 32), mload(answer)) }
            return(add(answer, 32), mload(answer))
        }
    }

    /// @notice Puts something else behind it.
    function change(address implementation) external {
        require(msg.sender == _MAKER);
        _set(implementation);
    }

    function _set(address implementation) private {
        assembly ("memory-safe") {
            sstore(SLOT, implementation)
        }
    }
}

/// @notice A validator that breaks ERC-7562: it reads the clock, and a slot that is nobody's.
contract Rulebreaker {
    /// @notice Whether the clock is read.
    bool public immutable READS_CLOCK;
    mapping(bytes32 name => uint256) private _counts;

    constructor(bool readsClock) {
        READS_CLOCK = readsClock;
    }

    /// @notice Installs without asking.
    function onInstall(bytes calldata) external {}

    /// @notice Uninstalls without asking.
    function onUninstall(bytes calldata) external {}

    /// @notice It is a validator.
    function isModuleType(uint256 moduleTypeId) external pure returns (bool) {
        return moduleTypeId == 1;
    }

    /// @notice It is at home everywhere.
    function isInitialized(address) external pure returns (bool) {
        return true;
    }

    /// @notice Every operation is good, in a way that bundlers do not take.
    function validateUserOp(PackedUserOperation calldata, bytes32 hash) external returns (uint256) {
        if (READS_CLOCK) return block.timestamp == 0 ? 1 : 0;
        ++_counts[hash];
        return 0;
    }
}
