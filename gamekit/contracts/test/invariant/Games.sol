// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Journal, Sink} from "./Journal.sol";
import {Coin, Trinket, Wares} from "./Tokens.sol";

/// @title The game that sessions are for.
/// @notice Every function takes value. It counts, for each account, what it received: the caps of sessions are held against these counts.
contract Game is Sink {
    /// @notice The token that players let the game take fees in.
    Coin public immutable gold;

    /// @notice Wei received from an account.
    mapping(address account => uint256) public receivedWei;
    /// @notice Points spent by an account.
    mapping(address account => uint256) public spent;
    /// @notice Things crafted by an account.
    mapping(address account => uint256) public crafted;
    /// @notice Calls of play that an account got through, of whatever function.
    mapping(address account => uint256) public played;
    /// @notice Points that an account claimed for somebody else.
    mapping(address account => uint256) public strayed;
    /// @notice Gold taken by the game's right, with or without a session.
    mapping(address account => uint256) public taken;
    /// @notice How often gold was taken.
    uint256 public takings;

    error BadLuck(uint256 number);
    error NoStake(address account);

    constructor(Journal journal_, Coin gold_) Sink(journal_) {
        gold = gold_;
    }

    /// @notice Plays a number. Every eleventh is unlucky.
    function play(uint256 number) external payable seen {
        if (number % 11 == 0) revert BadLuck(number);
        ++played[msg.sender];
    }

    function attack(uint256 target, uint16 strength) external payable seen {
        if (target == 0 || strength == 0) revert BadLuck(target);
        ++played[msg.sender];
    }

    function craft(uint256 recipe, uint256 amount) external payable seen {
        if (recipe == 0) revert BadLuck(recipe);
        ++played[msg.sender];
        crafted[msg.sender] += amount;
    }

    function spend(uint256 amount) external payable seen {
        ++played[msg.sender];
        spent[msg.sender] += amount;
    }

    /// @notice Gives points to `beneficiary`: a session pins it to the account.
    function claim(address beneficiary, uint256 points) external payable seen {
        ++played[msg.sender];
        if (beneficiary != msg.sender) strayed[msg.sender] += points + 1;
    }

    /// @notice Puts value into the game.
    function stake() external payable seen {
        ++played[msg.sender];
        receivedWei[msg.sender] += msg.value;
    }

    /// @notice Pays a fee in gold, which the player approved before.
    function enter(uint256 fee) external payable seen {
        ++played[msg.sender];
        _take(msg.sender, fee);
    }

    /// @notice Takes an account's value out, to anybody: no session may be allowed it.
    function cashOut(address to) external payable seen {
        uint256 amount = receivedWei[msg.sender];
        if (amount == 0) revert NoStake(msg.sender);
        strayed[msg.sender] += amount;
        (bool paid,) = to.call{value: amount}("");
        if (!paid) revert NoStake(msg.sender);
    }

    /// @notice The game takes gold from whoever approved it, by itself.
    function grab(address from, uint256 amount) external {
        _take(from, amount);
    }

    function _take(address from, uint256 amount) private {
        if (!gold.transferFrom(from, address(this), amount)) revert BadLuck(amount);
        taken[from] += amount;
        ++takings;
    }
}

/// @title A contract with an allowed function, and a fallback that takes everything it can reach.
/// @notice Run by delegatecall it is worse: then it sends the account's own ether to the keeper.
contract Vault is Sink {
    Coin private immutable _coin;
    Wares private immutable _wares;
    Trinket private immutable _trinket;
    address private immutable _keeper;

    constructor(Journal journal_, Coin coin, Trinket trinket, Wares wares, address keeper) Sink(journal_) {
        (_coin, _trinket, _wares, _keeper) = (coin, trinket, wares, keeper);
    }

    /// @notice Harmless.
    function stash(uint256 number) external payable seen {}

    /// @dev Any other selector, or none.
    fallback() external payable seen {
        _sweep();
    }

    receive() external payable {
        journal.record(msg.sender, msg.value, "");
        _sweep();
    }

    function _sweep() private {
        (bool paid,) = _keeper.call{value: address(this).balance}("");
        if (!paid) return;
        try _coin.transferFrom(msg.sender, _keeper, 1 ether) {} catch {}
        try _wares.safeTransferFrom(msg.sender, _keeper, 1, 1, "") {} catch {}
        try _trinket.transferFrom(msg.sender, _keeper, uint160(msg.sender)) {} catch {}
    }
}

/// @title A market with every approval of its customers. It acts for whoever calls it, and no session may call it.
contract Market is Sink {
    Coin private immutable _coin;
    Trinket private immutable _trinket;

    error NotSold(address seller);

    constructor(Journal journal_, Coin coin, Trinket trinket) Sink(journal_) {
        (_coin, _trinket) = (coin, trinket);
    }

    /// @notice Gives the caller's coins and trinket to `to`.
    function sell(address to) external payable seen {
        if (!_coin.transferFrom(msg.sender, to, 1 ether)) revert NotSold(msg.sender);
        _trinket.transferFrom(msg.sender, to, uint160(msg.sender));
    }
}

/// @title A game behind a proxy, whose code its operator changes at will.
contract UpgradableGame is Sink {
    /// @dev Source: ERC-1967, keccak256("eip1967.proxy.implementation") - 1.
    bytes32 internal constant IMPLEMENTATION = 0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc;

    constructor(Journal journal_, address first) Sink(journal_) {
        upgrade(first);
    }

    function upgrade(address next) public {
        assembly ("memory-safe") {
            sstore(IMPLEMENTATION, next)
        }
    }

    fallback() external payable seen {
        address implementation;
        assembly ("memory-safe") {
            implementation := sload(IMPLEMENTATION)
        }
        (bool done, bytes memory answer) = implementation.delegatecall(msg.data);
        assembly ("memory-safe") {
            if iszero(done) { revert(add(answer, 32), mload(answer)) }
            return(add(answer, 32), mload(answer))
        }
    }
}

/// @title What the upgradable game is at first.
contract CalmGame {
    function raid(uint256 number) external pure returns (uint256) {
        return number;
    }
}
