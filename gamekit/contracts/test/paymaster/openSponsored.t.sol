// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {ISessionPaymaster} from "src/ISessionPaymaster.sol";
import {ReferenceAccount} from "src/ReferenceAccount.sol";
import {IDeposits, SessionOpener} from "src/SessionOpener.sol";
import {Arena} from "src/example/Arena.sol";
import {Entry, Fields} from "test/Harness.sol";
import {PaymasterHarness} from "test/paymaster/PaymasterHarness.sol";

/// @notice A player who has nothing: account, grant and voucher in one relayed transaction, then play.
abstract contract OpenSponsoredTest is PaymasterHarness {
    uint48 private constant DEADLINE = uint48(NOW + 300);

    SessionOpener private opener;

    function setUp() public override {
        super.setUp();
        opener = new SessionOpener();
        account = ReferenceAccount(payable(factory.accountAddress(owner, "newcomer")));
    }

    function test_openSponsored_success_playsAtOnce() public {
        Fields memory f = _fields();
        _open(_grants(f), _vouchers(f));
        assertEq(entryPoint.balanceOf(address(account)), 0);
        submit(_paid(f));
        assertEq(actions(), 1);
    }

    function test_openSponsored_success_overtaken() public {
        Fields memory f = _fields();
        SessionOpener.Grant[] memory grants = _grants(f);
        SessionOpener.Voucher[] memory vouchers = _vouchers(f);
        _open(grants, vouchers);
        submit(_paid(f));
        _open(grants, vouchers);
        submit(_paid(f));
        assertEq(seenWei(f), 2 * paidWei(), "taken again, it gives nothing again");
    }

    function test_openSponsored_success_withoutVouchers() public {
        _open(_grants(_fields()), new SessionOpener.Voucher[](0));
        assertEq(ownerValidator.ownerOf(address(account)), owner);
    }

    function test_openSponsored_revert_badVoucher() public {
        Fields memory f = _fields();
        SessionOpener.Voucher[] memory vouchers = _vouchers(f);
        vouchers[0].limitWei += 1;
        SessionOpener.Grant[] memory grants = _grants(f);
        vm.expectPartialRevert(ISessionPaymaster.VoucherSignatureInvalid.selector);
        _open(grants, vouchers);
        assertEq(address(account).code.length, 0, "all or nothing");
    }

    function _fields() private view returns (Fields memory f) {
        f = sponsoredFields();
        f.entries = new Entry[](1);
        f.entries[0] = Entry(address(arena), Arena.attack.selector, 0, 0);
    }

    function _grants(Fields memory f) private view returns (SessionOpener.Grant[] memory grants) {
        grants = new SessionOpener.Grant[](1);
        grants[0].scope = pack(f);
        grants[0].functions = new string[](1);
        grants[0].functions[0] = "attack(uint256,uint16)";
        grants[0].deadline = DEADLINE;
        bytes32 digest = validator.grantDigest(address(account), grants[0].scope, grants[0].functions, none, DEADLINE);
        grants[0].ownerSignature = _signature(digest, ownerKey);
    }

    function _vouchers(Fields memory f) private view returns (SessionOpener.Voucher[] memory vouchers) {
        bytes32 id = permissionIdOf(pack(f));
        vouchers = new SessionOpener.Voucher[](1);
        vouchers[0] = SessionOpener.Voucher(
            paymaster, id, GAME, LIMIT, DEADLINE, _voucher(paymaster, id, GAME, LIMIT, DEADLINE, sponsorKey)
        );
    }

    function _open(SessionOpener.Grant[] memory grants, SessionOpener.Voucher[] memory vouchers) private {
        bytes memory data = abi.encodeCall(factory.createAccount, (owner, "newcomer"));
        IDeposits deposits = IDeposits(address(entryPoint));
        opener.openSponsored(address(account), address(factory), data, deposits, validator, grants, vouchers);
    }
}

contract OpenSponsored07Test is OpenSponsoredTest {
    function entryPointVersion() internal pure override returns (uint256) {
        return 7;
    }
}

contract OpenSponsored08Test is OpenSponsoredTest {}
