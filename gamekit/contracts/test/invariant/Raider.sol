// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Journal, Sink} from "./Journal.sol";

/// @notice What a malicious game tries while an account is calling it.
struct Attempt {
    address target;
    bytes data;
    /// Whether success alone is a breach. What is permitted to anybody is tried too, for its effects.
    bool forbidden;
}

/// @title What the malicious games are to try next.
/// @notice A contract of its own, because the same code also runs behind a proxy, on the proxy's storage.
contract Scheme {
    /// @notice Forbidden attempts that succeeded. Any is a breach.
    uint256 public successes;
    /// @notice The last of them.
    uint256 public lastSuccess;
    /// @notice Attempts made so far.
    uint256 public made;
    /// @notice What happens after the attempts. 0: nothing, 1: all gas is burnt, 2: a large answer, 3: a large revert.
    uint256 public ending;

    Attempt[] private _attempts;

    function plan(Attempt[] calldata attempts, uint256 ending_) external {
        delete _attempts;
        for (uint256 i = 0; i < attempts.length; ++i) {
            _attempts.push(attempts[i]);
        }
        ending = ending_;
    }

    function planned() external view returns (Attempt[] memory) {
        return _attempts;
    }

    function report(uint256 attempt, bool success, bool forbidden) external {
        ++made;
        if (success && forbidden) {
            ++successes;
            lastSuccess = attempt;
        }
    }
}

/// @title A game that uses the moment when an account calls it.
contract Raider is Sink {
    Scheme private immutable _scheme;
    address private immutable _self = address(this);

    constructor(Journal journal_, Scheme scheme) Sink(journal_) {
        _scheme = scheme;
    }

    function raid(uint256 number) external payable returns (uint256) {
        // A proxy in front of it has told the journal already.
        if (address(this) == _self) _tell();
        Attempt[] memory attempts = _scheme.planned();
        for (uint256 i = 0; i < attempts.length; ++i) {
            // Enough is left for the rest to be told.
            (bool success,) = attempts[i].target.call{gas: gasleft() / 2}(attempts[i].data);
            _scheme.report(i, success, attempts[i].forbidden);
        }
        uint256 ending = _scheme.ending();
        assembly ("memory-safe") {
            if eq(ending, 1) { invalid() }
            if eq(ending, 2) { return(0, 10000) }
            if eq(ending, 3) { revert(0, 10000) }
        }
        return number;
    }
}
