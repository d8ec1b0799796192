// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Session, SessionAccount, SessionState} from "./ISessionValidator.sol";

/// @title The two words that the module keeps, drawn byte by byte, most significant first.
/// @notice
/// ```
/// session  | state 1 | epoch 4 | uses 4 | arrivalMs 6 | gasSpentWei 17 |      per permission and account
/// caps     | lane 1: 16 | lane 0: 16 |                                       only for cumulative caps
/// account  | installed 1 | epoch 4 | zero 5 | hasLead 1 | lead 1 | ownerValidator 20 |   per account
/// ```
/// @dev Nothing overflows its field: uses <= usesMax < 2^32, gasSpentWei <= gasBudgetWei < 2^128, lanes <= limits
/// < 2^128, and GrantLib admits only rates whose arrivalMs stays below 2^48. Packing still masks nothing away silently:
/// every value is checked against its scope before it is packed.
library SlotLib {
    function packSession(SessionState state, uint256 epoch, uint256 uses, uint256 arrivalMs, uint256 gasSpentWei)
        internal
        pure
        returns (uint256)
    {
        return uint256(state) << 248 | epoch << 216 | uses << 184 | arrivalMs << 136 | gasSpentWei;
    }

    function stateOf(uint256 slot) internal pure returns (SessionState) {
        return SessionState(slot >> 248);
    }

    /// @notice Whether the session is live: `stateOf` for those who ask nothing else.
    function isLive(uint256 slot) internal pure returns (bool) {
        return slot >> 248 == uint256(SessionState.Live);
    }

    function epochOf(uint256 slot) internal pure returns (uint32) {
        return uint32(slot >> 216);
    }

    function usesOf(uint256 slot) internal pure returns (uint256) {
        return uint32(slot >> 184);
    }

    function arrivalMsOf(uint256 slot) internal pure returns (uint256) {
        return uint48(slot >> 136);
    }

    function gasSpentWeiOf(uint256 slot) internal pure returns (uint256) {
        return uint136(slot);
    }

    /// @notice The session's word with another state, everything else as it was.
    function withState(uint256 slot, SessionState state) internal pure returns (uint256) {
        return (slot << 8) >> 8 | uint256(state) << 248;
    }

    function unpackSession(uint256 slot, uint256 caps) internal pure returns (Session memory session) {
        session.state = stateOf(slot);
        session.epoch = epochOf(slot);
        session.uses = uint32(usesOf(slot));
        session.arrivalMs = uint48(arrivalMsOf(slot));
        session.gasSpentWei = uint136(slot);
        session.lane0 = uint128(laneOf(caps, 0));
        session.lane1 = uint128(laneOf(caps, 1));
    }

    /// @notice One of the two sums of a caps' word.
    function laneOf(uint256 caps, uint256 lane) internal pure returns (uint256) {
        return uint128(caps >> (lane << 7));
    }

    /// @notice The caps' word with `amount` more in a lane; the caller has bounded the sum below 2^128.
    function addToLane(uint256 caps, uint256 lane, uint256 amount) internal pure returns (uint256) {
        unchecked {
            return caps + (amount << (lane << 7));
        }
    }

    function packAccount(SessionAccount memory account) internal pure returns (uint256) {
        return (account.installed ? 1 << 248 : 0) | uint256(account.epoch) << 216 | (account.hasLead ? 1 << 168 : 0)
            | uint256(account.lead) << 160 | uint160(account.ownerValidator);
    }

    function unpackAccount(uint256 slot) internal pure returns (SessionAccount memory account) {
        account.installed = slot >> 248 != 0;
        account.epoch = epochOf(slot);
        account.ownerValidator = address(uint160(slot));
        account.hasLead = uint8(slot >> 168) != 0;
        account.lead = uint8(slot >> 160);
    }
}
