// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice One call of a player's account, as it arrived at a contract of the world.
struct Arrival {
    /// The account that called.
    address caller;
    /// The contract that was called; the account itself if its code ran there by delegatecall.
    address target;
    /// How many marks the bundle had passed.
    uint256 section;
    /// Wei that came with the call.
    uint256 value;
    /// What was called, byte for byte.
    bytes data;
}

/// @title Who called what: the world's own record of what accounts really did.
/// @notice Written by the contracts that are called, so it holds what was executed, whatever anybody decoded. A call that
/// reverts leaves nothing, because its entry is reverted with it.
contract Journal {
    /// @notice Accounts whose calls are written down.
    mapping(address account => bool) public watched;

    /// @notice Marks passed so far.
    uint256 public section;

    Arrival[] private _arrivals;

    /// @notice Writes down the calls of `account` from now on.
    function watch(address account) external {
        watched[account] = true;
    }

    /// @notice Called by each contract of the world about the call that it is serving.
    function record(address caller, uint256 value, bytes calldata data) external {
        // By delegatecall, the code of a sink runs as the account: then it is the account that tells.
        if (!watched[caller] && !watched[msg.sender]) return;
        _arrivals.push(Arrival(caller, msg.sender, section, value, data));
    }

    /// @notice Called between two operations of a bundle, so that each call can be told to be of one of them.
    function mark() external {
        ++section;
    }

    /// @notice How many calls were written down.
    function count() external view returns (uint256) {
        return _arrivals.length;
    }

    /// @notice One of the calls.
    function arrival(uint256 index) external view returns (Arrival memory) {
        return _arrivals[index];
    }
}

/// @title A contract of the world: it tells the journal of each call.
abstract contract Sink {
    /// @dev In the code, so that it is also known where the code runs by delegatecall.
    Journal internal immutable journal;

    constructor(Journal journal_) {
        journal = journal_;
    }

    modifier seen() {
        _tell();
        _;
    }

    function _tell() internal {
        journal.record(msg.sender, msg.value, msg.data);
    }
}
