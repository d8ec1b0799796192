// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {BeaconProxy} from "@openzeppelin/contracts/proxy/beacon/BeaconProxy.sol";
import {UpgradeableBeacon} from "@openzeppelin/contracts/proxy/beacon/UpgradeableBeacon.sol";
import {ProxyAdmin} from "@openzeppelin/contracts/proxy/transparent/ProxyAdmin.sol";
import {
    ITransparentUpgradeableProxy,
    TransparentUpgradeableProxy
} from "@openzeppelin/contracts/proxy/transparent/TransparentUpgradeableProxy.sol";
import {ISessionValidator, SessionState} from "src/ISessionValidator.sol";
import {Arena} from "src/example/Arena.sol";
import {Entry, Fields, Harness} from "test/Harness.sol";

/// @notice grantSession, where a target can run the code of another contract.
contract GrantSessionProxiesTest is Harness {
    Arena private another;

    function setUp() public override {
        super.setUp();
        another = new Arena();
    }

    // -------------------------------------------------------------------------------------- proxies that tell

    function test_grantSession_revert_cloneThatIsNotAccepted() public {
        _tells(Clones.clone(address(arena)));
    }

    function test_grantSession_revert_cloneWithArgumentsThatIsNotAccepted() public {
        // Immutable arguments stand behind the clone's code; also ones that look like an instruction.
        _tells(Clones.cloneWithImmutableArgs(address(arena), "x"));
        _tells(Clones.cloneWithImmutableArgs(address(arena), abi.encode(thief, hex"f4f4f4f4")));
    }

    function test_grantSession_revert_proxyThatAnswersAndIsNotAccepted() public {
        _tells(address(new TellingProxy(address(arena))));
    }

    // ---------------------------------------------------------------------------------- proxies that do not tell

    function test_grantSession_revert_erc1967ProxyThatIsNotAccepted() public {
        _doesNotTell(address(new ERC1967Proxy(address(arena), abi.encodeCall(Arena.deposit, ()))));
    }

    function test_grantSession_revert_beaconProxyThatIsNotAccepted() public {
        UpgradeableBeacon beacon = new UpgradeableBeacon(address(arena), owner);
        _doesNotTell(address(new BeaconProxy(address(beacon), abi.encodeCall(Arena.deposit, ()))));
    }

    function test_grantSession_revert_transparentProxyThatIsNotAccepted() public {
        _doesNotTell(_transparent());
    }

    function test_grantSession_revert_userOfALibraryThatIsNotAccepted() public {
        _doesNotTell(address(new UsesLibrary(address(another))));
    }

    function test_grantSession_revert_codeThatIsNearlyAClone() public {
        // One byte of a clone's head, or of its tail, is another one: what stands between them is no implementation.
        bytes memory code = Clones.clone(address(arena)).code;
        for (uint256 i = 0; i < 2; ++i) {
            address proxy = makeAddr(i == 0 ? "head" : "tail");
            bytes memory changed = bytes.concat(code);
            changed[i == 0 ? 0 : 44] = i == 0 ? bytes1(0x3d) : bytes1(0x00);
            vm.etch(proxy, changed);
            _doesNotTell(proxy);
        }
    }

    function test_grantSession_revert_answerThatIsNoAddress() public {
        // More than 20 bytes, or fewer than a word: told nothing.
        _doesNotTell(address(new Answers(abi.encode(uint256(1) << 160 | uint160(address(another))))));
        _doesNotTell(address(new Answers(abi.encodePacked(address(another)))));
    }

    function test_grantSession_success_answerOfZeroIsNone() public {
        _doesNotTell(address(new Answers(abi.encode(address(0)))));
    }

    function test_grantSession_success_reasonOfAFailureIsNoAnswer() public {
        _doesNotTell(address(new Fails(abi.encode(address(another)))));
    }

    function test_grantSession_success_proxyThatAnswersWithABomb() public {
        _doesNotTell(address(new DelegatingBomb()));
    }

    // ------------------------------------------------------------------------------------- how many, in what order

    function test_grantSession_revert_implementationsUnused() public {
        _refuses(
            _entries(address(arena)),
            _list(address(another)),
            abi.encodeWithSelector(ISessionValidator.ImplementationsUnused.selector, 1, 0)
        );
        address clone = Clones.clone(address(arena));
        _refuses(
            _entries(clone),
            _list(address(arena), address(arena)),
            abi.encodeWithSelector(ISessionValidator.ImplementationsUnused.selector, 2, 1)
        );
    }

    function test_grantSession_success_twoProxiesInTheScopesOrder() public {
        (address low, address high) = (Clones.clone(address(arena)), Clones.clone(address(another)));
        (address ofLow, address ofHigh) = (address(arena), address(another));
        if (low > high) (low, high, ofLow, ofHigh) = (high, low, ofHigh, ofLow);
        Fields memory f = _entries(low, high);
        _refuses(f, _list(ofHigh, ofLow), _notAccepted(low, ofLow, ofHigh));
        _refuses(f, _list(ofLow), _notAccepted(high, ofHigh, address(0)));
        _refuses(f, _list(ofLow, ofLow), _notAccepted(high, ofHigh, ofLow));
        _grants(f, _list(ofLow, ofHigh));
    }

    function test_grantSession_success_proxyWithTwoFunctionsIsAcceptedOnce() public {
        address clone = Clones.clone(address(arena));
        Fields memory f = fields();
        for (uint256 i = 0; i < 3; ++i) {
            f.entries[i].target = clone;
        }
        _refuses(
            f,
            _list(address(arena), address(arena)),
            abi.encodeWithSelector(ISessionValidator.ImplementationsUnused.selector, 2, 1)
        );
        _grants(f, _list(address(arena)));
    }

    function test_grantSession_success_gameBetweenProxiesNeedsNone() public {
        // One proxy, and a game that runs nothing but itself: whichever address is lower.
        address clone = Clones.clone(address(another));
        Fields memory f = clone < address(arena) ? _entries(clone, address(arena)) : _entries(address(arena), clone);
        _refuses(f, none, _notAccepted(clone, address(another), address(0)));
        _grants(f, _list(address(another)));
    }

    // ---------------------------------------------------------------------------------------- what is remembered

    function test_grantSession_success_readsACodeOnce() public {
        Fields memory f = _entries(address(arena));
        uint256 first = _gasOf(f);
        f.usesMax += 1;
        assertGe(first, _gasOf(f) + 100_000, "known now");
        // Another game, the same code but for its immutable words: to be read.
        f.entries[0].target = address(another);
        assertTrue(address(another).codehash != address(arena).codehash);
        assertGe(_gasOf(f) + 50_000, first, "not known yet");
    }

    function test_grantSession_success_knowsACodeWhereverItStands() public {
        Fields memory f = _entries(address(arena));
        uint256 first = _gasOf(f);
        address twin = makeAddr("twin");
        vm.etch(twin, address(arena).code);
        f.entries[0].target = twin;
        assertGe(first, _gasOf(f) + 100_000, "known by its hash");
    }

    function test_grantSession_success_remembersForAllWithTheSameCode() public {
        // Two clones of one contract have one code.
        address first = Clones.clone(address(arena));
        address second = Clones.clone(address(arena));
        assertEq(first.codehash, second.codehash);
        _tells(first);
        _tells(second);
    }

    function test_grantSession_revert_rememberedCodeIsAcceptedAnew() public {
        // That a code is known spares nobody the question whether what it runs is accepted.
        address clone = Clones.clone(address(arena));
        Fields memory f = _entries(clone);
        _grants(f, _list(address(arena)));
        f.usesMax += 1;
        _refuses(f, none, _notAccepted(clone, address(arena), address(0)));
        _grants(f, _list(address(arena)));
    }

    function test_grantSession_revert_upgradedProxyIsAcceptedAnew() public {
        TellingProxy proxy = new TellingProxy(address(arena));
        bytes32 codeHash = address(proxy).codehash;
        Fields memory f = _entries(address(proxy));
        _grants(f, _list(address(arena)));
        proxy.upgradeTo(address(another));
        assertEq(address(proxy).codehash, codeHash);
        f.usesMax += 1;
        _refuses(f, _list(address(arena)), _notAccepted(address(proxy), address(another), address(arena)));
        _grants(f, _list(address(another)));
    }

    function test_grantSession_success_upgradedTransparentProxyKeepsItsCode() public {
        // It does not tell, so the owner's own word is taken; the same before and after.
        address proxy = _transparent();
        bytes32 codeHash = proxy.codehash;
        Fields memory f = _entries(proxy);
        _grants(f, _list(address(arena)));
        address admin = address(uint160(uint256(vm.load(proxy, _slot("eip1967.proxy.admin")))));
        vm.prank(owner);
        ProxyAdmin(admin).upgradeAndCall(ITransparentUpgradeableProxy(proxy), address(another), "");
        assertEq(address(uint160(uint256(vm.load(proxy, _slot("eip1967.proxy.implementation"))))), address(another));
        assertEq(proxy.codehash, codeHash);
        f.usesMax += 1;
        _refuses(f, none, _notAccepted(proxy, address(0), address(0)));
        _grants(f, _list(address(another)));
    }

    function test_grantSession_success_refusalRemembersNothing() public {
        // The first grant reads the code and fails afterwards; so the second reads it again.
        Fields memory f = _entries(address(arena));
        _refuses(f, _list(thief), abi.encodeWithSelector(ISessionValidator.ImplementationsUnused.selector, 1, 0));
        uint256 first = _gasOf(f);
        f.usesMax += 1;
        assertGe(first, _gasOf(f) + 100_000);
    }

    // ------------------------------------------------------------------------------------------------------ helpers

    /// @dev A proxy of the arena that says so: none, a wrong one and one without code are refused, the arena is not.
    function _tells(address proxy) private {
        Fields memory f = _entries(proxy);
        _refuses(f, none, _notAccepted(proxy, address(arena), address(0)));
        _refuses(f, _list(address(another)), _notAccepted(proxy, address(arena), address(another)));
        _refuses(f, _list(thief), _notAccepted(proxy, address(arena), thief));
        _grants(f, _list(address(arena)));
    }

    /// @dev A target that can run others and does not say whom: whatever has code is the owner's word.
    function _doesNotTell(address proxy) private {
        Fields memory f = _entries(proxy);
        _refuses(f, none, _notAccepted(proxy, address(0), address(0)));
        _refuses(f, _list(thief), _notAccepted(proxy, address(0), thief));
        _grants(f, _list(address(arena)));
        f.usesMax += 1;
        _grants(f, _list(proxy));
    }

    function _transparent() private returns (address) {
        bytes memory data = abi.encodeCall(Arena.deposit, ());
        return address(new TransparentUpgradeableProxy(address(arena), owner, data));
    }

    function _refuses(Fields memory f, address[] memory implementations, bytes memory reason) private {
        bytes memory scope = pack(f);
        vm.prank(address(account));
        vm.expectRevert(reason);
        validator.grantSession(scope, implementations);
        assertState(scope, SessionState.None);
    }

    function _grants(Fields memory f, address[] memory implementations) private {
        bytes memory scope = pack(f);
        vm.prank(address(account));
        validator.grantSession(scope, implementations);
        assertState(scope, SessionState.Live);
    }

    function _gasOf(Fields memory f) private returns (uint256) {
        bytes memory scope = pack(f);
        vm.prank(address(account));
        validator.grantSession(scope, none);
        return vm.lastCallGas().gasTotalUsed;
    }

    function _notAccepted(address target, address told, address accepted) private pure returns (bytes memory) {
        return abi.encodeWithSelector(ISessionValidator.ImplementationNotAccepted.selector, target, told, accepted);
    }

    function _entries(address target) private view returns (Fields memory f) {
        f = fields();
        f.entries = new Entry[](1);
        f.entries[0] = Entry(target, Arena.move.selector, 0, 0);
    }

    function _entries(address low, address high) private view returns (Fields memory f) {
        f = fields();
        f.entries = new Entry[](2);
        f.entries[0] = Entry(low, Arena.move.selector, 0, 0);
        f.entries[1] = Entry(high, Arena.move.selector, 0, 0);
    }

    function _list(address a) private pure returns (address[] memory list) {
        list = new address[](1);
        list[0] = a;
    }

    function _list(address a, address b) private pure returns (address[] memory list) {
        list = new address[](2);
        (list[0], list[1]) = (a, b);
    }

    function _slot(string memory name) private pure returns (bytes32) {
        return bytes32(uint256(keccak256(bytes(name))) - 1);
    }
}

/// @notice An upgradeable proxy that names its implementation to whoever asks.
contract TellingProxy {
    address public implementation;

    constructor(address first) {
        implementation = first;
    }

    function upgradeTo(address next) external {
        implementation = next;
    }

    fallback() external {
        (bool done,) = implementation.delegatecall(msg.data);
        require(done);
    }
}

/// @notice A game with a library: its code stands at another address.
contract UsesLibrary {
    address private immutable _library;

    constructor(address library_) {
        _library = library_;
    }

    function move(int16, int16) external {
        (bool done,) = _library.delegatecall(msg.data);
        require(done);
    }
}

/// @notice Can run others, and answers these bytes when it is asked for its implementation.
contract Answers {
    bytes private _answer;

    constructor(bytes memory answer) {
        _answer = answer;
    }

    function implementation() external view {
        bytes memory answer = _answer;
        assembly ("memory-safe") {
            return(add(answer, 32), mload(answer))
        }
    }

    function move(address to) external {
        (bool done,) = to.delegatecall(msg.data);
        require(done);
    }
}

/// @notice Can run others, and answers every question with a megabyte of failure.
contract DelegatingBomb {
    fallback() external {
        assembly {
            if eq(calldatasize(), 1000) { pop(delegatecall(gas(), caller(), 0, 0, 0, 0)) }
            revert(0, 1000000)
        }
    }
}

/// @notice Can run others, and fails with these bytes when it is asked for its implementation.
contract Fails {
    bytes private _reason;

    constructor(bytes memory reason) {
        _reason = reason;
    }

    function implementation() external view {
        bytes memory reason = _reason;
        assembly ("memory-safe") {
            revert(add(reason, 32), mload(reason))
        }
    }

    function move(address to) external {
        (bool done,) = to.delegatecall(msg.data);
        require(done);
    }
}
