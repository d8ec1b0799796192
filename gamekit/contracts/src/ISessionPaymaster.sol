// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice A game whose sessions are sponsored, and what it has taken today. Three slots, in this order.
struct Game {
    /// @dev How often its sponsor was set, from 1. Sponsorships and signatures of an earlier generation are void.
    uint32 generation;
    /// @dev The day that `spentWei` is of: days since 1970, by the time that operations claim. Never goes back.
    uint32 day;
    /// @dev Sponsored on that day, in wei: the most that each operation could cost.
    uint96 spentWei;
    /// @dev Most that is sponsored in a day. 0: the game is paused.
    uint96 dayWeiMax;
    /// @dev The key that speaks for the game. 0: the game is unknown.
    address sponsor;
    /// @dev Most that is sponsored in a day for one account.
    uint96 playerDayWeiMax;
    /// @dev Most that a voucher may allow one session.
    uint96 sessionWeiMax;
}

/// @notice What an account has taken of a game. One slot.
struct Player {
    /// @dev The day that `spentWei` is of, as in `Game`.
    uint32 day;
    /// @dev Sponsored on that day, in wei.
    uint96 spentWei;
}

/// @notice A session that a game sponsors. One slot.
struct Sponsorship {
    /// @dev The game that pays. Counts only while `generation` is the game's.
    uint32 game;
    /// @dev The game's generation when the voucher was taken.
    uint32 generation;
    /// @dev The session is sponsored as long as the module has charged it no more than this in all, in wei.
    uint96 limitWei;
    /// @dev What the module had charged the session after the last sponsored operation, in wei. Always <= what it has
    /// charged by now.
    uint96 seenWei;
}

/// @title A paymaster for sessions of games: events, errors and functions.
/// @dev Errors carry what was found first and what it was compared with second. Validation errors reach the sender of an
/// operation inside FailedOpWithRevert (AA33); a sponsor's wrong signature is the one exception (AA34).
interface ISessionPaymaster {
    // ------------------------------------------------------------------------------------------------ events

    /// @notice The game has a new sponsor; all its sponsorships of earlier generations are void.
    event SponsorChanged(uint32 indexed game, address indexed sponsor, uint32 generation);

    /// @notice The game's caps are these from now on. A day's cap of 0 pauses it.
    event CapsChanged(uint32 indexed game, uint96 dayWeiMax, uint96 playerDayWeiMax, uint96 sessionWeiMax);

    /// @notice The session is sponsored until the module has charged it `limitWei` in all.
    event SessionSponsored(address indexed account, bytes32 indexed permissionId, uint32 indexed game, uint96 limitWei);

    // ------------------------------------------------------------------------------------- errors of validation

    /// @notice Only the EntryPoint asks for validation.
    error CallerNotEntryPoint(address caller, address entryPoint);

    /// @notice Validation gives no context, so no EntryPoint calls postOp.
    error PostOpNotUsed(address caller);

    /// @notice The paymaster's data is of neither mode, or not of its mode's length.
    error PaymasterDataInvalid(uint256 mode, uint256 length, uint256 lengthExpected);

    /// @notice There is no postOp, so gas for it would only be a bundler's penalty fee.
    error PostOpGasNotZero(uint256 postOpGasLimit);

    /// @notice No voucher of the game's present generation was taken for this session on this account.
    error SessionNotSponsored(bytes32 permissionId, uint32 generation, uint32 gameGeneration);

    /// @notice The session is not live in the module, or of an earlier epoch than the account's.
    error SessionNotLive(bytes32 permissionId, uint256 state, uint32 sessionEpoch, uint32 accountEpoch);

    /// @notice The module has not charged this operation to this session: it was another validator, or another session.
    error SessionNotCharged(uint256 chargedWei, uint256 maxCostWei);

    /// @notice The module has charged the session more than the game sponsors.
    error SessionLimitExceeded(uint256 chargedWei, uint256 limitWei);

    /// @notice The game would have sponsored more than its cap within a day.
    error GameDayCapExceeded(uint32 game, uint256 spentWei, uint256 dayWeiMax);

    /// @notice The account would have been sponsored more than its cap within a day.
    error PlayerDayCapExceeded(address account, uint256 spentWei, uint256 playerDayWeiMax);

    /// @notice The signed time range is empty, or longer than the slack.
    error TimeRangeInvalid(uint256 validAfter, uint256 validUntil, uint256 validUntilMax);

    // ----------------------------------------------------------------------------------- errors of the functions

    /// @notice The game was never given a sponsor.
    error GameUnknown(uint32 game);

    /// @notice The voucher was to be submitted earlier.
    error VoucherExpired(uint256 timestamp, uint256 deadline);

    /// @notice The voucher is not signed by the game's sponsor.
    error VoucherSignatureInvalid(address recovered, address sponsor);

    /// @notice The voucher allows more than a session of the game may be given.
    error SessionCapExceeded(uint256 limitWei, uint256 sessionWeiMax);

    /// @notice Another game sponsors the session.
    error SessionOfAnotherGame(uint32 game, uint32 sponsoredBy);

    /// @notice The module has charged the session more than 96 bits of wei: no sponsorship can be kept of it.
    error ChargedTooLarge(uint256 chargedWei, uint256 max);

    /// @notice Ownership cannot be given up: deposit and stake could never be taken out again.
    error OwnershipNotRenounceable(address owner);

    // --------------------------------------------------------------------------------------------- functions

    /// @notice Takes a voucher: from now on the game sponsors the session. Anyone may submit it, also again: that
    /// changes nothing, and of two vouchers the larger limit holds.
    /// @param account the session's account.
    /// @param permissionId the session's name in the module.
    /// @param game who pays.
    /// @param limitWei the session is sponsored until the module has charged it so much in all.
    /// @param deadline last second (inclusive) at which the voucher may be submitted.
    /// @param signature the sponsor's 65 bytes over `voucherDigest`.
    function sponsor(
        address account,
        bytes32 permissionId,
        uint32 game,
        uint96 limitWei,
        uint48 deadline,
        bytes calldata signature
    ) external;

    /// @notice Sets who speaks for a game, and voids everything that was said before. Only for the owner.
    /// @param sponsor the key; the same again ends all sponsorships, 0 ends the game.
    function setSponsor(uint32 game, address sponsor) external;

    /// @notice Sets a game's caps, in wei. Only for the owner. They hold at once, also for what was sponsored before,
    /// but for `sessionWeiMax`, which bounds vouchers that are taken from now on.
    function setCaps(uint32 game, uint96 dayWeiMax, uint96 playerDayWeiMax, uint96 sessionWeiMax) external;

    /// @notice Adds the value sent to the deposit that operations are paid from. Anyone may.
    function deposit() external payable;

    /// @notice Takes out of the deposit. Only for the owner.
    function withdrawTo(address payable to, uint256 amountWei) external;

    /// @notice Stakes the value sent at the EntryPoint. Only for the owner.
    function addStake(uint32 unstakeDelayS) external payable;

    /// @notice Starts the time after which the stake can be withdrawn. Only for the owner.
    function unlockStake() external;

    /// @notice Takes the stake out. Only for the owner.
    function withdrawStake(address payable to) external;

    /// @notice What is known of a game.
    function gameOf(uint32 game) external view returns (Game memory);

    /// @notice What an account has taken of a game.
    function playerOf(uint32 game, address account) external view returns (Player memory);

    /// @notice What is known of a session. It counts only while its generation is the game's.
    function sponsorshipOf(address account, bytes32 permissionId) external view returns (Sponsorship memory);

    /// @notice What the sponsor signs for a session: typed data, at the game's present generation.
    function voucherDigest(address account, bytes32 permissionId, uint32 game, uint96 limitWei, uint48 deadline)
        external
        view
        returns (bytes32);
}
