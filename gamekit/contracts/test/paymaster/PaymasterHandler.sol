// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IEntryPoint, IEntryPointNonces, PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {ISessionValidator, Session, SessionState} from "src/ISessionValidator.sol";
import {ReferenceAccount} from "src/ReferenceAccount.sol";
import {SessionPaymaster} from "src/SessionPaymaster.sol";
import {Fields} from "test/Harness.sol";
import {Counts} from "test/invariant/Counts.sol";
import {Refusals} from "test/invariant/Refusals.sol";
import {PaymasterHarness} from "test/paymaster/PaymasterHarness.sol";
import {Hole, Holes} from "test/paymaster/PaymasterHoles.sol";

/// @notice What players, thieves, dishonest owners, sponsors and the operator do to one paymaster, in any order, and a
/// ledger of its own about what was sponsored.
/// @dev Every operation goes through handleOps of the real EntryPoint. What lands is put into the ledger from the
/// operation's own fields, never from what the paymaster says.
contract PaymasterHandler is PaymasterHarness {
    uint256 private constant SESSIONS = 6;
    uint96 private constant SMALL_DAY = 0.12 ether;
    uint96 private constant SMALL_PLAYER = 0.06 ether;
    uint96 private constant SMALL_SESSION = 0.09 ether;
    uint128 private constant SMALL_BUDGET = 0.1 ether;
    uint256 private constant BEGINNING = NOW;

    struct Known {
        /// The lane of the present session of this place; each grant takes the next.
        uint32 lane;
        /// When it was granted.
        uint48 since;
        bytes32 id;
        /// The latest voucher, to be replayed.
        uint96 limitWei;
        uint48 deadline;
        bytes signature;
    }

    struct Counter {
        uint256 day;
        uint256 spentWei;
    }

    uint256 private immutable _VERSION;
    Hole private immutable _HOLE;

    ReferenceAccount[3] private _accounts;
    Known[SESSIONS] private _known;
    uint32 private _lanes = 100;
    bytes32[] private _ids;
    mapping(bytes32 id => address) private _accountOf;

    // The ledger.
    mapping(bytes32 id => uint256) private _sponsoredWei;
    mapping(bytes32 id => uint256) private _largestLimitWei;
    mapping(uint256 day => uint256) private _dayWei;
    mapping(address account => uint256) private _playerWei;
    mapping(address account => mapping(uint256 day => uint256)) private _playerDayWei;
    /// The latest day that was claimed, and what counts to it; one for the game, one for each player.
    Counter private _gameCounter;
    mapping(address account => Counter) private _playerCounter;
    uint256 private _totalWei;
    uint256 private _depositedWei;
    string private _seen;
    uint256 public tried;
    uint256 public landed;
    uint256 public sponsoredOperations;
    Counts private _counts;

    constructor(uint256 version, Hole hole) {
        (_VERSION, _HOLE) = (version, hole);
        vm.deal(address(this), 1000 ether);
    }

    function entryPointVersion() internal view override returns (uint256) {
        return _VERSION;
    }

    function _newPaymaster() internal override returns (SessionPaymaster) {
        return Holes.make(_HOLE, entryPoint, validator, operator);
    }

    function setUp() public override {
        super.setUp();
        vm.startPrank(operator);
        paymaster.setCaps(GAME, SMALL_DAY, SMALL_PLAYER, SMALL_SESSION);
        paymaster.setCaps(OTHER_GAME, 0, 0, 0);
        vm.stopPrank();
        _depositedWei = entryPoint.balanceOf(address(paymaster));
        _accounts[0] = account;
        _accounts[1] = _another("second");
        _accounts[2] = _another("third");
        for (uint256 place = 0; place < SESSIONS; ++place) {
            _renew(place, SMALL_SESSION);
        }
    }

    // ------------------------------------------------------------------------------------------- what happens

    /// @notice One of the things below, chosen by the seed.
    function step(uint256 seed) external {
        uint256 what = seed % 20;
        uint256 rest = seed >> 8;
        if (what != 14 && rest % 8 != 7) _freshen(rest);
        if (what < 5 || what > 15) play(rest, rest >> 8, rest >> 72);
        else if (what == 5) bundle(rest);
        else if (what == 6) ownerNames(rest, rest >> 8, rest >> 72);
        else if (what == 7) chargeOnly(rest, rest >> 8);
        else if (what == 8) nameAnother(rest, rest >> 8);
        else if (what == 9) leaveOut(rest);
        else if (what == 10) signed(rest, rest >> 8);
        else if (what == 11) replayVoucher(rest);
        else if (what == 12) vouch(rest, rest >> 8, rest >> 128);
        else if (what == 13) renew(rest, rest >> 8);
        else if (what == 14) pass(rest, rest >> 8);
        else rotate(rest);
    }

    /// @notice An operation of a session, at some price, claimed some time ago.
    function play(uint256 place, uint256 price, uint256 ago) public {
        _use(place);
        _land(_priced(place, price, ago), _known[place % SESSIONS].id, "play");
    }

    /// @notice Three of one session in one bundle.
    function bundle(uint256 place) public {
        _use(place);
        PackedUserOperation[] memory ops = new PackedUserOperation[](3);
        for (uint256 i = 0; i < 3; ++i) {
            ops[i] = _unsealed(_fieldsOf(place));
            ops[i].nonce += i;
            ops[i] = _seal(_fieldsOf(place), ops[i]);
        }
        if (!_handle(ops, "bundle")) return;
        for (uint256 i = 0; i < 3; ++i) {
            _enter(ops[i], _known[place % SESSIONS].id);
        }
    }

    /// @notice The owner's own validator, and a session's name.
    function ownerNames(uint256 place, uint256 price, uint256 ago) public {
        _use(place);
        bytes32 id = _known[place % SESSIONS].id;
        PackedUserOperation memory op = _ownerOperation(_sessionData(id, _claim(ago)));
        op.gasFees = _fees(price);
        op.signature = _signature(entryPoint.getUserOpHash(op), ownerKey);
        _land(op, id, "owner's operation");
    }

    /// @notice The account has the module charge its session, and does nothing with it.
    function chargeOnly(uint256 place, uint256 price) public {
        _use(place);
        PackedUserOperation memory op = _priced(place, price, 1);
        bytes32 hash = entryPoint.getUserOpHash(op);
        vm.prank(address(account));
        try validator.validateUserOp(op, hash) {} catch {}
    }

    /// @notice A session's operation that names another session.
    function nameAnother(uint256 place, uint256 other) public {
        _use(place);
        Fields memory f = _fieldsOf(place);
        PackedUserOperation memory op = _unsealed(f);
        bytes32 id = _known[other % SESSIONS].id;
        op.paymasterAndData = _sessionData(id, _claim(1));
        _land(_seal(f, op), id, "another session named");
    }

    /// @notice A session's operation without its paymaster.
    function leaveOut(uint256 place) public {
        _use(place);
        Fields memory f = _fieldsOf(place);
        PackedUserOperation memory op = _unsealed(f);
        op.paymasterAndData = "";
        _land(_seal(f, op), bytes32(0), "paymaster left out");
    }

    /// @notice An owner's operation that the sponsor signed, or that somebody else did.
    function signed(uint256 place, uint256 by) public {
        _use(place);
        PackedUserOperation memory op = _ownerOperation("");
        uint256 key = by % 3 == 0 ? otherSponsorKey : sponsorKey;
        op.paymasterAndData = _signedData(op, GAME, _claim(by >> 8), uint48(block.timestamp + 10), key);
        op.signature = _signature(entryPoint.getUserOpHash(op), ownerKey);
        bool done = _land(op, bytes32(0), "signed by a sponsor");
        if (done && key == otherSponsorKey) _seen = "a stranger's signature was taken";
    }

    /// @notice The latest voucher once more.
    function replayVoucher(uint256 place) public {
        _use(place);
        Known memory known = _known[place % SESSIONS];
        try paymaster.sponsor(address(account), known.id, GAME, known.limitWei, known.deadline, known.signature) {
            _counts.add("took a voucher again");
        } catch {
            _counts.add("refused a voucher");
        }
    }

    /// @notice Another voucher, by the sponsor or by somebody else.
    function vouch(uint256 place, uint256 limit, uint256 by) public {
        _use(place);
        bool good = by % 4 != 0;
        uint96 limitWei = uint96(_bound(limit, 1, SMALL_SESSION));
        bool done = _tryVoucher(place, limitWei, good ? sponsorKey : signerKey);
        if (done && !good) _seen = "a stranger's voucher was taken";
    }

    /// @notice The session is revoked, and another one begins in its place; not always with a voucher.
    function renew(uint256 place, uint256 limit) public {
        _use(place);
        bytes32 id = _known[place % SESSIONS].id;
        vm.prank(address(account));
        validator.revokeSession(id);
        // Whoever has charged it before could name it now.
        ownerNames(place, 0, 1);
        _renew(place, uint96(_bound(limit >> 8, 0, SMALL_SESSION)));
        _counts.add("renewed");
    }

    /// @notice Time passes: some of it, or all until just after midnight, when both days can be claimed in turns.
    function pass(uint256 some, uint256 how) public {
        if (how % 3 != 0) {
            vm.warp(block.timestamp + some % 3 hours);
            return;
        }
        _counts.add("midnight");
        vm.warp((block.timestamp / 1 days + 1) * 1 days + some % 100 + 2);
        for (uint256 i = 0; i < 12; ++i) {
            play(some + i, 100, i % 2 == 0 ? 0 : 109);
        }
    }

    /// @notice The same sponsor, a new generation; now and then.
    function rotate(uint256 rarely) public {
        if (rarely % 4 != 0) return play(rarely >> 8, rarely >> 16, rarely >> 80);
        vm.prank(operator);
        paymaster.setSponsor(GAME, sponsorAddress);
        _counts.add("rotated");
        for (uint256 place = 0; place < SESSIONS; ++place) {
            _use(place);
            _tryVoucher(place, SMALL_SESSION, sponsorKey);
        }
    }

    // ----------------------------------------------------------------------------------------------- the rules

    /// @notice The first rule that does not hold; empty if all do.
    function violation() external view returns (string memory) {
        if (bytes(_seen).length != 0) return _seen;
        for (uint256 i = 0; i < _ids.length; ++i) {
            bytes32 id = _ids[i];
            Session memory session = validator.sessionOf(_accountOf[id], id);
            if (_sponsoredWei[id] > session.gasSpentWei) return "sponsored more than was charged";
            if (session.gasSpentWei > SMALL_BUDGET) return "charged more than the budget";
            if (_sponsoredWei[id] > _largestLimitWei[id]) return "sponsored more than was vouched for";
            if (paymaster.sponsorshipOf(_accountOf[id], id).seenWei > session.gasSpentWei) {
                return "seen more than there is";
            }
        }
        uint256 today = block.timestamp / 1 days;
        uint256 elapsed = today - BEGINNING / 1 days + 1;
        // Within the slack after midnight a day may still take what the one before has left.
        if (_dayWei[today] > 2 * uint256(SMALL_DAY)) return "a game took more than two days' caps in one";
        if (_totalWei > SMALL_DAY * elapsed) return "a game took more than its caps of all days";
        for (uint256 i = 0; i < _accounts.length; ++i) {
            address player = address(_accounts[i]);
            if (_playerDayWei[player][today] > 2 * uint256(SMALL_PLAYER)) return "a player took two days' caps in one";
            if (_playerWei[player] > SMALL_PLAYER * elapsed) return "a player took more than the caps of all days";
        }
        if (entryPoint.balanceOf(address(paymaster)) + _totalWei < _depositedWei) return "paid more than was counted";
        return "";
    }

    /// @notice What happened, as one line of JSON.
    function report() external view returns (string memory) {
        return string.concat(
            '{"submitted":',
            vm.toString(tried),
            ',"accepted":',
            vm.toString(landed),
            ',"counts":',
            _counts.toJson(),
            "}"
        );
    }

    // ------------------------------------------------------------------------------------------------- helpers

    /// @dev To be called from here only: handleOps from a plain account, in a frame that may revert.
    function handleOps(PackedUserOperation[] memory ops) external {
        require(msg.sender == address(this));
        vm.prank(bundler, bundler);
        entryPoint.handleOps(ops, payable(bundler));
    }

    function _land(PackedUserOperation memory op, bytes32 id, string memory what) private returns (bool done) {
        PackedUserOperation[] memory ops = new PackedUserOperation[](1);
        ops[0] = op;
        done = _handle(ops, what);
        if (done) _enter(op, id);
    }

    /// @dev Submits, and counts how it ended.
    function _handle(PackedUserOperation[] memory ops, string memory what) private returns (bool done) {
        ++tried;
        try this.handleOps(ops) {
            done = true;
            ++landed;
            _counts.add(string.concat("accepted: ", what));
        } catch (bytes memory reason) {
            _counts.add(Refusals.name(reason));
        }
    }

    /// @dev Puts an operation that landed into the ledger.
    function _enter(PackedUserOperation memory op, bytes32 id) private {
        if (op.paymasterAndData.length == 0) {
            _seen = "a session played without its paymaster";
            return;
        }
        uint256 costWei = _costWei(op);
        uint256 today = block.timestamp / 1 days;
        ++sponsoredOperations;
        _totalWei += costWei;
        _dayWei[today] += costWei;
        _playerWei[op.sender] += costWei;
        _playerDayWei[op.sender][today] += costWei;
        // Claimed at, or valid after: in both modes behind the mode's byte.
        uint256 claimedDay = uint48(bytes6(_wordAt(op.paymasterAndData, 53))) / 1 days;
        if (_count(_gameCounter, claimedDay, costWei) > SMALL_DAY) _seen = "a game took more than a day's cap";
        if (_count(_playerCounter[op.sender], claimedDay, costWei) > SMALL_PLAYER) {
            _seen = "a player took more than a day's cap";
        }
        if (id == bytes32(0)) return;
        _sponsoredWei[id] += costWei;
        if (validator.sessionOf(op.sender, id).state != SessionState.Live) {
            _seen = "sponsored a session that is not live";
        }
        if (_accountOf[id] != op.sender) _seen = "sponsored another account's session";
    }

    /// @dev Counts to the day that is claimed, or to the latest that ever was.
    function _count(Counter storage counter, uint256 day, uint256 costWei) private returns (uint256) {
        if (day > counter.day) (counter.day, counter.spentWei) = (day, 0);
        return counter.spentWei += costWei;
    }

    function _wordAt(bytes memory data, uint256 at) private pure returns (bytes32 word) {
        assembly ("memory-safe") {
            word := mload(add(add(data, 32), at))
        }
    }

    function _costWei(PackedUserOperation memory op) private pure returns (uint256) {
        uint256 gas = uint128(bytes16(op.accountGasLimits)) + uint128(uint256(op.accountGasLimits));
        return (gas + op.preVerificationGas + PAYMASTER_GAS) * uint128(uint256(op.gasFees));
    }

    /// @dev Puts a new session where one is used up or nearly over, and waits for the next noon where a day's caps are used
    /// up. Without this a long life ends in refusals of one kind: a midnight's claims take all of a day, and sessions that
    /// are spent stay so until `renew` happens to come by.
    function _freshen(uint256 place) private {
        _use(place);
        Known storage known = _known[place % SESSIONS];
        Session memory session = validator.sessionOf(address(account), known.id);
        bool over = session.state != SessionState.Live || block.timestamp > known.since + 29 days;
        // A quarter must be left: an operation costs up to that.
        if (over || 4 * session.gasSpentWei > 3 * _largestLimitWei[known.id]) _renew(place, SMALL_SESSION);
        uint256 today = block.timestamp / 1 days;
        uint256 playerWei = _playerDayWei[address(account)][today];
        if (4 * _dayWei[today] > 3 * uint256(SMALL_DAY) || 4 * playerWei > 3 * uint256(SMALL_PLAYER)) {
            vm.warp((today + 1) * 1 days + 12 hours);
        }
    }

    function _use(uint256 place) private {
        account = _accounts[place % SESSIONS % 3];
    }

    function _fieldsOf(uint256 place) private view returns (Fields memory f) {
        f = sponsoredFields();
        f.nonceKey = uint192(uint160(address(validator))) << 32 | _known[place % SESSIONS].lane;
        f.validAfter = _known[place % SESSIONS].since - 1;
        f.validUntil = _known[place % SESSIONS].since + 30 days;
        f.gasBudgetWei = SMALL_BUDGET;
        f.gasPerOperationWeiMax = SMALL_BUDGET;
    }

    function _priced(uint256 place, uint256 price, uint256 ago) private view returns (PackedUserOperation memory op) {
        Fields memory f = _fieldsOf(place);
        op = _unsealed(f);
        op.gasFees = _fees(price);
        op.paymasterAndData = _sessionData(_known[place % SESSIONS].id, _claim(ago));
        return _seal(f, op);
    }

    /// @dev 0.1 to 2 gwei, and now and then up to 10: an operation costs 0.00026 to 0.026 ether.
    function _fees(uint256 price) private pure returns (bytes32) {
        uint256 most = price % 4 == 0 ? 100 : 20;
        return bytes32(abi.encodePacked(uint128(0), uint128(_bound(uint64(price), 1, most) * 0.1 gwei)));
    }

    function _claim(uint256 ago) private view returns (uint48) {
        return uint48(block.timestamp - 1 - ago % 110);
    }

    function _renew(uint256 place, uint96 limitWei) private {
        _use(place);
        Known storage known = _known[place % SESSIONS];
        known.lane = _lanes++;
        known.since = uint48(block.timestamp);
        Fields memory f = _fieldsOf(place);
        vm.prank(address(account));
        try validator.grantSession(pack(f), new address[](0)) returns (bytes32 id) {
            known.id = id;
            _ids.push(id);
            _accountOf[id] = address(account);
            if (limitWei != 0) _tryVoucher(place, limitWei, sponsorKey);
        } catch {}
    }

    function _tryVoucher(uint256 place, uint96 limitWei, uint256 key) private returns (bool done) {
        Known storage known = _known[place % SESSIONS];
        uint48 deadline = uint48(block.timestamp + 1 hours);
        bytes memory signature = _voucher(paymaster, known.id, GAME, limitWei, deadline, key);
        try paymaster.sponsor(address(account), known.id, GAME, limitWei, deadline, signature) {
            done = true;
            (known.limitWei, known.deadline, known.signature) = (limitWei, deadline, signature);
            if (limitWei > _largestLimitWei[known.id]) _largestLimitWei[known.id] = limitWei;
        } catch {
            _counts.add("refused a voucher");
        }
    }
}
