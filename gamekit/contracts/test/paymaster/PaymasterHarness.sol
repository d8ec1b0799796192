// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IEntryPoint, PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {ReferenceAccount} from "src/ReferenceAccount.sol";
import {SessionPaymaster} from "src/SessionPaymaster.sol";
import {Fields, Harness} from "test/Harness.sol";

/// @notice What the paymaster's suites share: a paymaster with a deposit, one game, and operations that it pays for.
/// @dev paymasterAndData and the typed data are written here a second time and by hand.
abstract contract PaymasterHarness is Harness {
    uint32 internal constant GAME = 0x67616d65;
    uint32 internal constant OTHER_GAME = 7;
    uint128 internal constant PAYMASTER_GAS = 100_000;
    uint96 internal constant DAY_MAX = 10 ether;
    uint96 internal constant PLAYER_MAX = 4 ether;
    uint96 internal constant SESSION_MAX = 2 ether;
    uint96 internal constant LIMIT = 1 ether;

    SessionPaymaster internal paymaster;
    address internal operator = makeAddr("operator");
    address internal sponsorAddress;
    uint256 internal sponsorKey;
    address internal otherSponsor;
    uint256 internal otherSponsorKey;

    function setUp() public virtual override {
        super.setUp();
        (sponsorAddress, sponsorKey) = makeAddrAndKey("sponsor");
        (otherSponsor, otherSponsorKey) = makeAddrAndKey("another game's sponsor");
        paymaster = _newPaymaster();
        vm.startPrank(operator);
        paymaster.setSponsor(GAME, sponsorAddress);
        paymaster.setCaps(GAME, DAY_MAX, PLAYER_MAX, SESSION_MAX);
        paymaster.setSponsor(OTHER_GAME, otherSponsor);
        paymaster.setCaps(OTHER_GAME, DAY_MAX, PLAYER_MAX, SESSION_MAX);
        vm.stopPrank();
        paymaster.deposit{value: 100 ether}();
        // Sponsored players hold nothing.
        _empty(account);
    }

    function _newPaymaster() internal virtual returns (SessionPaymaster) {
        return new SessionPaymaster(entryPoint, validator, operator);
    }

    /// @dev Takes all ether and all deposit away from an account.
    function _empty(ReferenceAccount who) internal {
        uint256 left = entryPoint.balanceOf(address(who));
        vm.prank(address(who));
        entryPoint.withdrawTo(payable(address(this)), left);
        vm.deal(address(who), 0);
    }

    receive() external payable {}

    // ---------------------------------------------------------------------------------------------- sessions

    /// @dev Half an hour of move, attack and craft, paid for by the paymaster.
    function sponsoredFields() internal view returns (Fields memory f) {
        f = fields();
        f.paymaster = address(paymaster);
    }

    /// @dev A session that is granted and vouched for.
    function sponsored() internal returns (Fields memory f) {
        f = sponsoredFields();
        _vouch(grant(f));
    }

    function _vouch(bytes memory scope) internal {
        _vouch(permissionIdOf(scope), GAME, LIMIT, sponsorKey);
    }

    function _vouch(bytes32 permissionId, uint32 game, uint96 limitWei, uint256 key) internal {
        uint48 deadline = uint48(block.timestamp + 60);
        bytes memory signature = _voucher(paymaster, permissionId, game, limitWei, deadline, key);
        paymaster.sponsor(address(account), permissionId, game, limitWei, deadline, signature);
    }

    /// @dev Signs a voucher for the game's present generation.
    function _voucher(
        SessionPaymaster who,
        bytes32 permissionId,
        uint32 game,
        uint96 limitWei,
        uint48 deadline,
        uint256 key
    ) internal view returns (bytes memory) {
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256(
                    "SponsorSession(address account,bytes32 permissionId,uint32 game,uint32 generation,uint96 limitWei,uint48 deadline)"
                ),
                account,
                permissionId,
                game,
                who.gameOf(game).generation,
                limitWei,
                deadline
            )
        );
        return _signature(_typed(who, structHash), key);
    }

    function _typed(SessionPaymaster who, bytes32 structHash) internal view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("gamekit SessionPaymaster"),
                keccak256("1"),
                block.chainid,
                who
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    function _signature(bytes32 digest, uint256 key) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    // -------------------------------------------------------------------------------------------- operations

    function _sessionData(bytes32 permissionId, uint48 claimedAt) internal view returns (bytes memory) {
        return abi.encodePacked(paymaster, PAYMASTER_GAS, uint128(0), uint8(1), claimedAt, permissionId);
    }

    /// @dev An operation of one attack, with the paymaster in its place and no signature yet.
    function _unsealed(Fields memory f) internal view returns (PackedUserOperation memory op) {
        op = operation(f, batchData(BATCH, attacks(1)));
        op.paymasterAndData = _sessionData(permissionIdOf(pack(f)), uint48(block.timestamp - 1));
    }

    function _seal(Fields memory f, PackedUserOperation memory op) internal view returns (PackedUserOperation memory) {
        return seal(op, hintsOf(f, attacks(1)), pack(f));
    }

    /// @dev One attack that the paymaster pays for.
    function _paid(Fields memory f) internal view returns (PackedUserOperation memory) {
        return _seal(f, _unsealed(f));
    }

    /// @dev What `_paid` can cost.
    function paidWei() internal pure returns (uint256) {
        return gasWei() + PAYMASTER_GAS * FEE;
    }

    /// @dev An operation of the account's owner, which the owner validator admits and the session validator never sees.
    function _ownerOperation(bytes memory paymasterAndData) internal view returns (PackedUserOperation memory op) {
        Fields memory f = fields();
        f.nonceKey = uint192(uint160(address(ownerValidator))) << 32;
        op = operation(f, batchData(BATCH, attacks(1)));
        op.paymasterAndData = paymasterAndData;
        op.signature = _signature(entryPoint.getUserOpHash(op), ownerKey);
    }

    /// @dev Puts the sponsor's signature into an operation in signed mode. The account's own comes afterwards.
    function _signedData(PackedUserOperation memory op, uint32 game, uint48 validAfter, uint48 validUntil, uint256 key)
        internal
        view
        returns (bytes memory)
    {
        bytes memory head =
            abi.encodePacked(paymaster, PAYMASTER_GAS, uint128(0), uint8(2), validAfter, validUntil, game);
        return abi.encodePacked(head, _signature(_typed(paymaster, _operationHash(op, head, game)), key));
    }

    function _operationHash(PackedUserOperation memory op, bytes memory head, uint32 game)
        private
        view
        returns (bytes32)
    {
        bytes memory first = abi.encode(
            keccak256(
                "SponsorOperation(address sender,uint256 nonce,bytes initCode,bytes callData,bytes32 accountGasLimits,uint256 preVerificationGas,bytes32 gasFees,bytes paymasterAndData,uint32 generation)"
            ),
            op.sender,
            op.nonce,
            keccak256(op.initCode),
            keccak256(op.callData)
        );
        bytes memory second =
            abi.encode(op.accountGasLimits, op.preVerificationGas, op.gasFees, keccak256(head), _generation(game));
        return keccak256(abi.encodePacked(first, second));
    }

    function _generation(uint32 game) internal view returns (uint32) {
        return paymaster.gameOf(game).generation;
    }

    // ------------------------------------------------------------------------------------------------ handleOps

    /// @dev Submits, and requires that the paymaster refuses with exactly `reason`.
    function submitUnpaid(PackedUserOperation memory op, bytes memory reason) internal {
        vm.expectRevert(abi.encodeWithSelector(IEntryPoint.FailedOpWithRevert.selector, 0, "AA33 reverted", reason));
        submit(op);
    }

    function submitAll(PackedUserOperation[] memory ops) internal {
        vm.prank(bundler, bundler);
        entryPoint.handleOps(ops, payable(bundler));
    }

    function seenWei(Fields memory f) internal view returns (uint256) {
        return paymaster.sponsorshipOf(address(account), permissionIdOf(pack(f))).seenWei;
    }

    /// @dev A second session of the same account, on another lane.
    function otherFields() internal view returns (Fields memory f) {
        f = sponsoredFields();
        f.nonceKey += 1;
    }

    /// @dev Another account of the same owner.
    function _another(bytes32 salt) internal returns (ReferenceAccount) {
        return ReferenceAccount(payable(factory.createAccount(owner, salt)));
    }
}
