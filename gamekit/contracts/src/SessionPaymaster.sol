// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IEntryPoint, IPaymaster, PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Game, ISessionPaymaster, Player, Sponsorship} from "./ISessionPaymaster.sol";
import {ISessionValidator, Session, SessionState} from "./ISessionValidator.sol";

/// @title A paymaster for sessions of games: new players hold no ether.
/// @notice It pays for operations of sessions that a game vouched for, without a signature for each operation, and for
/// any other operation that the game's sponsor signed. For EntryPoint 0.7 and 0.8, one contract for each.
///
/// paymasterData, behind the EntryPoint's own 52 bytes (paymaster 20 | verification gas 16 | postOp gas 16):
/// ```
/// session  | mode 1: 1 | claimedAt 6 | permissionId 32 |                                        39 bytes
/// signed   | mode 1: 2 | validAfter 6 | validUntil 6 | game 4 | signature 65 |                   82 bytes
/// ```
///
/// ## Why a session needs no second signature
///
/// The session validator charges every operation that it admits, at its full price (all gas limits x maxFeePerGas, the
/// paymaster's own limits too, whoever pays), to the session: `gasSpentWei`, which never falls and never passes the
/// `gasBudgetWei` that the player's owner signed. An EntryPoint asks the account before the paymaster. So when the
/// paymaster is asked for an operation of session S that can cost m, the module has already added m to S. It requires
/// exactly that: since the last operation that it sponsored for S, the module has charged S at least m. Then it remembers
/// what was charged (`seenWei`), so that no charge counts twice. Hence, for each session, at any time:
///
///     sponsored to S  <=  charged to S since the voucher  <=  min(limitWei of the voucher, gasBudgetWei of the scope)
///
/// and nothing in the operation needs to be believed. An account that answers to another validator, with whatever in
/// `signature`, has charged nothing; a stolen session key can have sponsored what it could have burnt anyway, its
/// session's gas budget; and operations of S that leave this paymaster out, or name another one, are refused by the
/// module, because S's scope names this one.
///
/// The most that an operation can cost is what counts, in validation. There is no postOp and no refund of what was not
/// used: one storage write less, no context, nothing to be griefed. Budgets and caps are of maxima, and the deposit goes
/// down by what was really used.
///
/// ## Caps
///
/// In wei, per game and day, per account (of a game) and day, and per session. A day is one of UTC, by the time that the
/// operation claims; the EntryPoint holds it to that claim through the returned range [claimedAt, claimedAt + SLACK].
/// What is claimed for a day that a counter has left already counts to the counter's day. On EntryPoint 0.8 the first
/// second of the range is excluded.
///
/// Paused (`dayWeiMax` 0): nothing of the game is sponsored. A new sponsor (`setSponsor`) starts a generation: all
/// sponsorships, vouchers and signatures of earlier ones are void at once; a session needs a voucher of the new sponsor.
///
/// ## Who can do what, at worst
///
/// | who | may | may never |
/// |---|---|---|
/// | thief of a session key, also as bundler | have its operations sponsored at any price they like, and keep the fees, up to the session's budget and the day's caps | go beyond min(limitWei, gasBudgetWei); use another account's or session's sponsorship; go on after its end or revocation |
/// | owner of an account with a voucher, with any account code | the same for any operation of the account, by charging the session to no purpose | go beyond the session's limit and the player's day cap |
/// | bundler | censor, delay; take the fees that were signed; submit a voucher, once or again | change an operation or its price; make a voucher count twice |
/// | thief of a sponsor key | spend the game's day cap, day after day, until the owner sets another one | pass the day's cap of the game; touch another game; withdraw |
/// | many accounts together | spend the game's day cap, so that nobody is sponsored until the next day | the same |
/// | owner of this contract | everything: sponsors, caps, deposit, stake | alter what an account does: a paymaster only pays |
///
/// ## ERC-7562
///
/// No banned opcode in validation: time comes from claims. Storage: the sponsorship's and the player's words are
/// associated with the account, the module is read at words associated with the account, and the game's three words are
/// the paymaster's own: so it must be staked (`addStake`) for public bundlers, and its accounts must exist.
contract SessionPaymaster is ISessionPaymaster, IPaymaster, EIP712, Ownable2Step {
    /// @notice The one EntryPoint that may ask.
    IEntryPoint public immutable ENTRY_POINT;

    /// @notice The module whose charges count.
    ISessionValidator public immutable SESSION_VALIDATOR;

    /// @notice Longest time from the second that an operation claims to the last one at which it may be executed. The
    /// session validator's own.
    uint48 public constant SLACK = 120;

    /// @dev First byte of paymasterData: a session with a voucher.
    uint256 private constant MODE_SESSION = 1;
    /// @dev First byte of paymasterData: an operation that the sponsor signed.
    uint256 private constant MODE_SIGNED = 2;

    // Places in paymasterAndData.
    uint256 private constant POST_OP_GAS_AT = 36;
    uint256 private constant DATA_AT = 52;
    uint256 private constant LENGTH_SESSION = DATA_AT + 39;
    uint256 private constant LENGTH_SIGNED = DATA_AT + 82;
    uint256 private constant SIGNATURE_AT = LENGTH_SIGNED - 65;

    /// @dev What a signature failure adds to the validation data.
    uint256 private constant SIGNATURE_FAILED = 1;

    bytes32 private constant VOUCHER_TYPEHASH = keccak256(
        "SponsorSession(address account,bytes32 permissionId,uint32 game,uint32 generation,uint96 limitWei,"
        "uint48 deadline)"
    );
    bytes32 private constant OPERATION_TYPEHASH = keccak256(
        "SponsorOperation(address sender,uint256 nonce,bytes initCode,bytes callData,bytes32 accountGasLimits,"
        "uint256 preVerificationGas,bytes32 gasFees,bytes paymasterAndData,uint32 generation)"
    );

    mapping(uint32 game => Game) private _games;
    mapping(uint32 game => mapping(address account => Player)) private _players;
    mapping(bytes32 permissionId => mapping(address account => Sponsorship)) private _sponsorships;

    constructor(IEntryPoint entryPoint, ISessionValidator sessionValidator, address owner_)
        EIP712("gamekit SessionPaymaster", "1")
        Ownable(owner_)
    {
        ENTRY_POINT = entryPoint;
        SESSION_VALIDATOR = sessionValidator;
    }

    // ---------------------------------------------------------------------------------------------- validation

    /// @inheritdoc IPaymaster
    /// @dev The context is always empty, so the EntryPoint never calls postOp.
    function validatePaymasterUserOp(PackedUserOperation calldata op, bytes32, uint256 maxCost)
        external
        returns (bytes memory, uint256)
    {
        if (msg.sender != address(ENTRY_POINT)) revert CallerNotEntryPoint(msg.sender, address(ENTRY_POINT));
        // The EntryPoint admits no paymasterAndData below DATA_AT bytes.
        bytes calldata data = op.paymasterAndData;
        uint256 postOpGasLimit = uint128(bytes16(data[POST_OP_GAS_AT:DATA_AT]));
        if (postOpGasLimit != 0) revert PostOpGasNotZero(postOpGasLimit);
        uint256 mode = data.length <= DATA_AT ? 0 : uint8(data[DATA_AT]);
        uint256 expected = mode == MODE_SIGNED ? LENGTH_SIGNED : LENGTH_SESSION;
        if (data.length != expected || (mode != MODE_SESSION && mode != MODE_SIGNED)) {
            revert PaymasterDataInvalid(mode, data.length, expected);
        }
        return ("", mode == MODE_SESSION ? _sponsorSession(op.sender, data, maxCost) : _sponsorSigned(op, maxCost));
    }

    /// @inheritdoc IPaymaster
    /// @notice Never called: validation gives no context.
    function postOp(PostOpMode, bytes calldata, uint256, uint256) external view {
        revert PostOpNotUsed(msg.sender);
    }

    /// @dev An operation of a session with a voucher.
    function _sponsorSession(address account, bytes calldata data, uint256 maxCost) private returns (uint256) {
        uint48 claimedAt = uint48(bytes6(data[DATA_AT + 1:]));
        bytes32 permissionId = bytes32(data[DATA_AT + 7:]);
        Sponsorship memory sponsorship = _sponsorships[permissionId][account];
        uint32 generation = _games[sponsorship.game].generation;
        if (sponsorship.generation != generation || generation == 0) {
            revert SessionNotSponsored(permissionId, sponsorship.generation, generation);
        }
        uint256 chargedWei = _chargedWei(account, permissionId);
        _requireCharged(sponsorship, chargedWei, maxCost);
        _sponsorships[permissionId][account].seenWei = uint96(chargedWei);
        _spend(sponsorship.game, account, claimedAt, maxCost);
        // Checked: a claim at the end of the 48 bits must not wrap around to "for ever".
        return _packRange(claimedAt, claimedAt + SLACK);
    }

    /// @dev An operation that the game's sponsor signed.
    function _sponsorSigned(PackedUserOperation calldata op, uint256 maxCost) private returns (uint256) {
        bytes calldata data = op.paymasterAndData;
        uint48 validAfter = uint48(bytes6(data[DATA_AT + 1:]));
        uint48 validUntil = uint48(bytes6(data[DATA_AT + 7:]));
        uint32 game = uint32(bytes4(data[DATA_AT + 13:]));
        if (validUntil <= validAfter || validUntil > validAfter + SLACK) {
            revert TimeRangeInvalid(validAfter, validUntil, validAfter + SLACK);
        }
        _spend(game, op.sender, validAfter, maxCost);
        (address recovered,,) = ECDSA.tryRecoverCalldata(operationDigest(op), data[SIGNATURE_AT:]);
        uint256 range = _packRange(validAfter, validUntil);
        return recovered == _games[game].sponsor && recovered != address(0) ? range : range | SIGNATURE_FAILED;
    }

    /// @dev Every wei that is sponsored was charged before, and none of it twice.
    function _requireCharged(Sponsorship memory sponsorship, uint256 chargedWei, uint256 maxCost)
        internal
        view
        virtual
    {
        if (chargedWei > sponsorship.limitWei) revert SessionLimitExceeded(chargedWei, sponsorship.limitWei);
        // What is charged never falls, so this never underflows; if it did, it would revert.
        uint256 sinceWei = chargedWei - sponsorship.seenWei;
        if (sinceWei < maxCost) revert SessionNotCharged(sinceWei, maxCost);
    }

    /// @dev Counts to the caps of the game and of the account.
    function _spend(uint32 number, address account, uint48 claimedAt, uint256 maxCost) private {
        Game storage game = _games[number];
        Player storage player = _players[number][account];
        // 48 bits of seconds are 32 bits of days.
        uint32 day = uint32(claimedAt / 1 days);
        (uint32 gameDay, uint256 gameWei) = _counted(game.day, game.spentWei, day, maxCost);
        if (gameWei > game.dayWeiMax) revert GameDayCapExceeded(number, gameWei, game.dayWeiMax);
        (uint32 playerDay, uint256 playerWei) = _counted(player.day, player.spentWei, day, maxCost);
        if (playerWei > game.playerDayWeiMax) revert PlayerDayCapExceeded(account, playerWei, game.playerDayWeiMax);
        // Both are at most a cap, so they fit.
        (game.day, game.spentWei) = (gameDay, uint96(gameWei));
        (player.day, player.spentWei) = (playerDay, uint96(playerWei));
    }

    /// @dev A counter after one more operation. A new day starts at 0, a day that is over never comes back.
    function _counted(uint32 lastDay, uint256 spentWei, uint32 day, uint256 maxCost)
        internal
        pure
        virtual
        returns (uint32, uint256)
    {
        return day > lastDay ? (day, maxCost) : (lastDay, spentWei + maxCost);
    }

    /// @dev What the module has charged a session so far; only of one that is live on this account.
    function _chargedWei(address account, bytes32 permissionId) internal view virtual returns (uint256) {
        Session memory session = SESSION_VALIDATOR.sessionOf(account, permissionId);
        uint32 epoch = SESSION_VALIDATOR.accountOf(account).epoch;
        if (session.state != SessionState.Live || session.epoch != epoch) {
            revert SessionNotLive(permissionId, uint256(session.state), session.epoch, epoch);
        }
        return session.gasSpentWei;
    }

    function _packRange(uint48 validAfter, uint48 validUntil) private pure returns (uint256) {
        return uint256(validAfter) << 208 | uint256(validUntil) << 160;
    }

    // ------------------------------------------------------------------------------------------------ vouchers

    /// @inheritdoc ISessionPaymaster
    /// @dev What was charged before the voucher is none of the game's: `seenWei` starts from there. Taking a voucher
    /// again moves `seenWei` up as well, which can only take away. `limitWei` is compared with all that was ever charged,
    /// so a voucher that is taken twice gives nothing twice.
    function sponsor(
        address account,
        bytes32 permissionId,
        uint32 game,
        uint96 limitWei,
        uint48 deadline,
        bytes calldata signature
    ) external {
        if (block.timestamp > deadline) revert VoucherExpired(block.timestamp, deadline);
        Game storage known = _games[game];
        if (limitWei > known.sessionWeiMax) revert SessionCapExceeded(limitWei, known.sessionWeiMax);
        bytes32 digest = voucherDigest(account, permissionId, game, limitWei, deadline);
        (address recovered,,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (recovered != known.sponsor || recovered == address(0)) {
            revert VoucherSignatureInvalid(recovered, known.sponsor);
        }
        uint256 chargedWei = _chargedWei(account, permissionId);
        if (chargedWei > type(uint96).max) revert ChargedTooLarge(chargedWei, type(uint96).max);
        Sponsorship memory before = _sponsorships[permissionId][account];
        if (before.generation != 0 && before.generation == _games[before.game].generation) {
            // Otherwise a game could take another's sessions over, only to pay nothing for them.
            if (before.game != game) revert SessionOfAnotherGame(game, before.game);
            if (limitWei < before.limitWei) limitWei = before.limitWei;
        }
        _sponsorships[permissionId][account] = Sponsorship(game, known.generation, limitWei, uint96(chargedWei));
        emit SessionSponsored(account, permissionId, game, limitWei);
    }

    // ------------------------------------------------------------------------------------------- for the owner

    /// @inheritdoc ISessionPaymaster
    function setSponsor(uint32 game, address sponsor_) external onlyOwner {
        uint32 generation = _games[game].generation + 1;
        (_games[game].generation, _games[game].sponsor) = (generation, sponsor_);
        emit SponsorChanged(game, sponsor_, generation);
    }

    /// @inheritdoc ISessionPaymaster
    function setCaps(uint32 game, uint96 dayWeiMax, uint96 playerDayWeiMax, uint96 sessionWeiMax) external onlyOwner {
        Game storage known = _games[game];
        if (known.generation == 0) revert GameUnknown(game);
        (known.dayWeiMax, known.playerDayWeiMax, known.sessionWeiMax) = (dayWeiMax, playerDayWeiMax, sessionWeiMax);
        emit CapsChanged(game, dayWeiMax, playerDayWeiMax, sessionWeiMax);
    }

    /// @inheritdoc ISessionPaymaster
    function deposit() external payable {
        ENTRY_POINT.depositTo{value: msg.value}(address(this));
    }

    /// @inheritdoc ISessionPaymaster
    function withdrawTo(address payable to, uint256 amountWei) external onlyOwner {
        ENTRY_POINT.withdrawTo(to, amountWei);
    }

    /// @inheritdoc ISessionPaymaster
    function addStake(uint32 unstakeDelayS) external payable onlyOwner {
        ENTRY_POINT.addStake{value: msg.value}(unstakeDelayS);
    }

    /// @inheritdoc ISessionPaymaster
    function unlockStake() external onlyOwner {
        ENTRY_POINT.unlockStake();
    }

    /// @inheritdoc ISessionPaymaster
    function withdrawStake(address payable to) external onlyOwner {
        ENTRY_POINT.withdrawStake(to);
    }

    /// @notice Always refused.
    function renounceOwnership() public view override onlyOwner {
        revert OwnershipNotRenounceable(owner());
    }

    // --------------------------------------------------------------------------------------------------- views

    /// @inheritdoc ISessionPaymaster
    function gameOf(uint32 game) external view returns (Game memory) {
        return _games[game];
    }

    /// @inheritdoc ISessionPaymaster
    function playerOf(uint32 game, address account) external view returns (Player memory) {
        return _players[game][account];
    }

    /// @inheritdoc ISessionPaymaster
    function sponsorshipOf(address account, bytes32 permissionId) external view returns (Sponsorship memory) {
        return _sponsorships[permissionId][account];
    }

    /// @inheritdoc ISessionPaymaster
    function voucherDigest(address account, bytes32 permissionId, uint32 game, uint96 limitWei, uint48 deadline)
        public
        view
        returns (bytes32)
    {
        uint32 generation = _games[game].generation;
        return _hashTypedDataV4(
            keccak256(abi.encode(VOUCHER_TYPEHASH, account, permissionId, game, generation, limitWei, deadline))
        );
    }

    /// @notice What the sponsor signs for one operation: typed data. Everything of the operation but `signature`, with
    /// the last 65 bytes of paymasterAndData, which are the sponsor's signature, left out.
    /// @dev The struct's paymasterAndData holds this contract, both gas limits, mode, time range and game. Chain, contract
    /// and so the EntryPoint are in the domain; the generation is the game's present one.
    function operationDigest(PackedUserOperation calldata op) public view returns (bytes32) {
        bytes calldata data = op.paymasterAndData;
        if (data.length != LENGTH_SIGNED) {
            revert PaymasterDataInvalid(data.length <= DATA_AT ? 0 : uint8(data[DATA_AT]), data.length, LENGTH_SIGNED);
        }
        return _hashTypedDataV4(
            keccak256(
                abi.encode(
                    OPERATION_TYPEHASH,
                    op.sender,
                    op.nonce,
                    keccak256(op.initCode),
                    keccak256(op.callData),
                    op.accountGasLimits,
                    op.preVerificationGas,
                    op.gasFees,
                    keccak256(data[:SIGNATURE_AT]),
                    _games[uint32(bytes4(data[DATA_AT + 13:]))].generation
                )
            )
        );
    }
}
