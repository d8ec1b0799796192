// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IEntryPoint} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {ISessionPaymaster, Sponsorship} from "src/ISessionPaymaster.sol";
import {ISessionValidator} from "src/ISessionValidator.sol";
import {SessionPaymaster} from "src/SessionPaymaster.sol";

/// @notice Which check is missing.
enum Hole {
    None,
    Uncharged,
    ChargedTwice,
    Unlimited,
    NotLive,
    DayComesBack,
    NotCounted
}

/// @notice Paymasters that lack one check each: what the invariants must find.
library Holes {
    function make(Hole hole, IEntryPoint entryPoint, ISessionValidator validator, address operator)
        internal
        returns (SessionPaymaster)
    {
        if (hole == Hole.Uncharged) return new Uncharged(entryPoint, validator, operator);
        if (hole == Hole.ChargedTwice) return new ChargedTwice(entryPoint, validator, operator);
        if (hole == Hole.Unlimited) return new Unlimited(entryPoint, validator, operator);
        if (hole == Hole.NotLive) return new NotLive(entryPoint, validator, operator);
        if (hole == Hole.DayComesBack) return new DayComesBack(entryPoint, validator, operator);
        if (hole == Hole.NotCounted) return new NotCounted(entryPoint, validator, operator);
        return new SessionPaymaster(entryPoint, validator, operator);
    }
}

/// @notice Believes that an operation that names a session is one of it.
contract Uncharged is SessionPaymaster {
    constructor(IEntryPoint a, ISessionValidator b, address c) SessionPaymaster(a, b, c) {}

    function _requireCharged(Sponsorship memory sponsorship, uint256 chargedWei, uint256) internal pure override {
        if (chargedWei > sponsorship.limitWei) revert SessionLimitExceeded(chargedWei, sponsorship.limitWei);
    }
}

/// @notice Does not remember what it has seen: one charge pays for many operations.
contract ChargedTwice is SessionPaymaster {
    constructor(IEntryPoint a, ISessionValidator b, address c) SessionPaymaster(a, b, c) {}

    function _requireCharged(Sponsorship memory sponsorship, uint256 chargedWei, uint256 maxCost)
        internal
        pure
        override
    {
        if (chargedWei > sponsorship.limitWei) revert SessionLimitExceeded(chargedWei, sponsorship.limitWei);
        if (chargedWei < maxCost) revert SessionNotCharged(chargedWei, maxCost);
    }
}

/// @notice Forgets the voucher's limit: only the scope's budget ends it.
contract Unlimited is SessionPaymaster {
    constructor(IEntryPoint a, ISessionValidator b, address c) SessionPaymaster(a, b, c) {}

    function _requireCharged(Sponsorship memory sponsorship, uint256 chargedWei, uint256 maxCost)
        internal
        pure
        override
    {
        uint256 sinceWei = chargedWei - sponsorship.seenWei;
        if (sinceWei < maxCost) revert SessionNotCharged(sinceWei, maxCost);
    }
}

/// @notice Does not ask whether the session is revoked.
contract NotLive is SessionPaymaster {
    constructor(IEntryPoint a, ISessionValidator b, address c) SessionPaymaster(a, b, c) {}

    function _chargedWei(address account, bytes32 permissionId) internal view override returns (uint256) {
        return SESSION_VALIDATOR.sessionOf(account, permissionId).gasSpentWei;
    }
}

/// @notice Starts a counter anew whenever another day is claimed, also an earlier one.
contract DayComesBack is SessionPaymaster {
    constructor(IEntryPoint a, ISessionValidator b, address c) SessionPaymaster(a, b, c) {}

    function _counted(uint32 lastDay, uint256 spentWei, uint32 day, uint256 maxCost)
        internal
        pure
        override
        returns (uint32, uint256)
    {
        return day != lastDay ? (day, maxCost) : (lastDay, spentWei + maxCost);
    }
}

/// @notice Compares each operation with the caps by itself.
contract NotCounted is SessionPaymaster {
    constructor(IEntryPoint a, ISessionValidator b, address c) SessionPaymaster(a, b, c) {}

    function _counted(uint32, uint256, uint32 day, uint256 maxCost) internal pure override returns (uint32, uint256) {
        return (day, maxCost);
    }
}
