// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ScopeLib} from "src/ScopeLib.sol";
import {Entry, Fields, Rule} from "test/Harness.sol";
import {Lists} from "./Lists.sol";
import {Dice} from "./Dice.sol";
import {Game, Vault} from "./Games.sol";
import {Raider} from "./Raider.sol";

/// @title The sessions of the world: eight kinds of scopes, with limits by chance.
abstract contract Grants is Lists {
    uint256 internal constant PLAIN = 0;
    uint256 internal constant RULES = 1;
    uint256 internal constant VALUE = 2;
    uint256 internal constant RATE = 3;
    uint256 internal constant MANY = 4;
    uint256 internal constant SPONSORED = 5;
    uint256 internal constant TIGHT = 6;
    uint256 internal constant LONG = 7;
    uint256 internal constant KINDS = 8;

    uint256 internal constant KEYS = 5;
    /// @dev The victim's session key. No adversary has it.
    uint256 internal constant VICTIM_KEY = 0x71c717;

    function setUp() public virtual override {
        super.setUp();
        Fields memory f = _fieldsOf(VICTIM, MANY, Dice(0));
        f.validUntil = uint48(block.timestamp + 29 days);
        f.signer = vm.addr(VICTIM_KEY);
        _grant(VICTIM, MANY, VICTIM_KEY, f);
        for (uint256 i = 0; i < VICTIM; ++i) {
            for (uint256 kind = 0; kind < KINDS; ++kind) {
                _grantKind(i, kind, Dice(i * KINDS + kind));
            }
        }
    }

    /// @dev A session key of the thief's.
    function _key(uint256 index) internal pure returns (uint256) {
        return 0x1001 + index;
    }

    /// @dev The owner grants a session of this kind, by the account itself or by a signature that somebody submits.
    function _grantKind(uint256 player, uint256 kind, Dice memory dice) internal returns (uint256) {
        uint256 key = _key(dice.roll(KEYS));
        Fields memory f = _fieldsOf(player, kind, dice);
        f.signer = vm.addr(key);
        if (sessionWith(player, _shown(kind, f)) != NO_SESSION) return NO_SESSION;
        return dice.chance(30) ? _grantSigned(player, kind, key, f) : _grant(player, kind, key, f);
    }

    function _grant(uint256 player, uint256 kind, uint256 key, Fields memory f) private returns (uint256) {
        address[] memory accepted = _implementations(f);
        vm.prank(address(players[player].account));
        validator.grantSession(_packed(kind, f), accepted);
        return _note(player, kind, key, f);
    }

    function _note(uint256 player, uint256 kind, uint256 key, Fields memory f) private returns (uint256) {
        return _enter(player, kind, key, f, _packed(kind, f), _shown(kind, f));
    }

    function _grantSigned(uint256 player, uint256 kind, uint256 key, Fields memory f)
        private
        returns (uint256 session)
    {
        address owned = address(players[player].account);
        bytes memory scope = _packed(kind, f);
        uint48 deadline = uint48(block.timestamp + 1 days);
        bytes32 digest = validator.grantDigest(owned, scope, _texts(f), _implementations(f), deadline);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(ownerKey, digest);
        bytes memory signature = abi.encodePacked(r, s, v);
        validator.grantSessionFor(owned, scope, _texts(f), _implementations(f), deadline, signature);
        session = _note(player, kind, key, f);
        granted[session].ownerSignature = signature;
        granted[session].grantDeadline = deadline;
    }

    /// @dev A scope as it is granted.
    function _packed(uint256 kind, Fields memory f) internal pure returns (bytes memory) {
        return kind == LONG ? packLong(f) : pack(f);
    }

    /// @dev A scope as signatures show it.
    function _shown(uint256 kind, Fields memory f) internal pure returns (bytes memory) {
        return kind == LONG ? packRoot(f) : pack(f);
    }

    /// @dev What the owner accepts: the code that the upgradable game had at the start, whatever it runs by now.
    function _implementations(Fields memory f) internal view returns (address[] memory accepted) {
        for (uint256 i = 0; i < f.entries.length; ++i) {
            if (f.entries[i].target != address(upgradable)) continue;
            accepted = new address[](1);
            accepted[0] = address(calmGame);
        }
    }

    function _texts(Fields memory f) internal pure returns (string[] memory texts) {
        texts = new string[](f.entries.length);
        for (uint256 i = 0; i < texts.length; ++i) {
            texts[i] = _text(f.entries[i].selector);
        }
    }

    function _text(bytes4 selector) private pure returns (string memory) {
        if (selector == Game.play.selector) return "play(uint256)";
        if (selector == Game.attack.selector) return "attack(uint256,uint16)";
        if (selector == Game.craft.selector) return "craft(uint256,uint256)";
        if (selector == Game.spend.selector) return "spend(uint256)";
        if (selector == Game.claim.selector) return "claim(address,uint256)";
        if (selector == Game.stake.selector) return "stake()";
        if (selector == Game.enter.selector) return "enter(uint256)";
        if (selector == Vault.stash.selector) return "stash(uint256)";
        return "raid(uint256)";
    }

    // -------------------------------------------------------------------------------------------------- scopes

    function _fieldsOf(uint256 player, uint256 kind, Dice memory dice) internal view returns (Fields memory f) {
        f.validAfter = uint48(block.timestamp - dice.between(5, 60));
        f.validUntil = uint48(block.timestamp + dice.between(600, 3 hours));
        f.revoker = revoker;
        f.version = 1;
        f.callsMax = uint8(dice.between(4, 8));
        f.usesMax = uint32(dice.between(8, 80));
        f.nonceKey = _nonceKey(player, dice.between(1, 4));
        f.gasPerOperationWeiMax = uint128(dice.between(0.004 ether, 0.01 ether));
        f.gasBudgetWei = uint128(f.gasPerOperationWeiMax * dice.between(4, 24));
        if (kind == PLAIN) _plain(f);
        else if (kind == RULES) _rules(f, dice);
        else if (kind == VALUE) _value(f, dice);
        else if (kind == RATE) _rate(f, dice);
        else if (kind == MANY) _many(f);
        else if (kind == SPONSORED) _sponsored(f, dice);
        else if (kind == TIGHT) _tight(f, dice);
        else _long(f, dice);
        _sort(f.entries);
    }

    /// @dev The nonce key under which the account asks the session validator.
    function _nonceKey(uint256 player, uint256 lane) internal view returns (uint192) {
        return _nonceKeyOf(player, lane, address(validator));
    }

    function _nonceKeyOf(uint256 player, uint256 lane, address module) internal view returns (uint192) {
        // Nexus: lane 3 | mode 1 | validator 20. Reference: validator 20 | lane 4.
        return
            players[player].nexus
                ? uint192(lane) << 168 | uint160(module)
                : uint192(uint160(module)) << 32 | uint192(lane);
    }

    function _plain(Fields memory f) private view {
        f.entries = new Entry[](4);
        f.entries[0] = Entry(address(game), Game.play.selector, 0, 0);
        f.entries[1] = Entry(address(game), Game.attack.selector, 0, 0);
        f.entries[2] = Entry(address(game), Game.enter.selector, 0, 0);
        f.entries[3] = Entry(address(vault), Vault.stash.selector, 0, 0);
    }

    function _rules(Fields memory f, Dice memory dice) private view {
        f.rules = new Rule[](10);
        for (uint256 i = 0; i < 3; ++i) {
            f.rules[i] = Rule(0, uint8(ScopeLib.ONE_OF), 0, 1 + 3 * i);
        }
        f.rules[3] = Rule(1, uint8(ScopeLib.CUMULATIVE), 0, dice.between(50, 300));
        f.rules[4] = Rule(0, uint8(ScopeLib.PINNED), 0, 0);
        f.rules[5] = Rule(1, uint8(ScopeLib.AT_MOST), 0, 50);
        f.rules[6] = Rule(0, uint8(ScopeLib.NOT_EQUAL), 0, 7);
        f.rules[7] = Rule(1, uint8(ScopeLib.AT_LEAST), 0, 3);
        f.rules[8] = Rule(0, uint8(ScopeLib.EQUAL), 0, 42);
        f.rules[9] = Rule(0, uint8(ScopeLib.CUMULATIVE), 1, dice.between(30, 200));
        f.entries = new Entry[](5);
        f.entries[0] = Entry(address(game), Game.craft.selector, 0, 4);
        f.entries[1] = Entry(address(game), Game.claim.selector, 4, 2);
        f.entries[2] = Entry(address(game), Game.attack.selector, 6, 2);
        f.entries[3] = Entry(address(game), Game.play.selector, 8, 1);
        f.entries[4] = Entry(address(game), Game.spend.selector, 9, 1);
    }

    function _value(Fields memory f, Dice memory dice) private view {
        f.valuePerCallWeiMax = 0.01 ether;
        f.valueTotalWeiMax = uint128(dice.between(0.02 ether, 0.1 ether));
        f.rules = new Rule[](1);
        f.rules[0] = Rule(0, uint8(ScopeLib.CUMULATIVE), 1, dice.between(30, 200));
        f.entries = new Entry[](3);
        f.entries[0] = Entry(address(game), Game.stake.selector, 0, 0);
        f.entries[1] = Entry(address(game), Game.spend.selector, 0, 1);
        f.entries[2] = Entry(address(game), Game.play.selector, 0, 0);
    }

    function _rate(Fields memory f, Dice memory dice) private view {
        f.rateIntervalMs = uint32(dice.between(10_000, 60_000));
        f.burst = f.callsMax;
        f.entries = new Entry[](2);
        f.entries[0] = Entry(address(game), Game.play.selector, 0, 0);
        f.entries[1] = Entry(address(raider), Raider.raid.selector, 0, 0);
    }

    function _many(Fields memory f) private view {
        f.rules = new Rule[](1);
        f.rules[0] = Rule(0, uint8(ScopeLib.PINNED), 0, 0);
        f.entries = new Entry[](5);
        f.entries[0] = Entry(address(game), Game.play.selector, 0, 0);
        f.entries[1] = Entry(address(raider), Raider.raid.selector, 0, 0);
        f.entries[2] = Entry(address(upgradable), Raider.raid.selector, 0, 0);
        f.entries[3] = Entry(address(vault), Vault.stash.selector, 0, 0);
        f.entries[4] = Entry(address(game), Game.claim.selector, 0, 1);
    }

    function _sponsored(Fields memory f, Dice memory dice) private view {
        f.paymaster = address(paymaster);
        f.rules = new Rule[](1);
        f.rules[0] = Rule(0, uint8(ScopeLib.CUMULATIVE), 0, dice.between(30, 200));
        f.entries = new Entry[](2);
        f.entries[0] = Entry(address(game), Game.spend.selector, 0, 1);
        f.entries[1] = Entry(address(upgradable), Raider.raid.selector, 0, 0);
    }

    function _tight(Fields memory f, Dice memory dice) private view {
        f.callsMax = 2;
        f.usesMax = uint32(dice.between(8, 30));
        f.gasBudgetWei = f.gasPerOperationWeiMax * uint128(dice.between(2, 8));
        f.valuePerCallWeiMax = 0.005 ether;
        f.valueTotalWeiMax = 0.008 ether;
        f.rateIntervalMs = 5_000;
        f.burst = 4;
        f.rules = new Rule[](2);
        f.rules[0] = Rule(0, uint8(ScopeLib.CUMULATIVE), 1, 40);
        f.rules[1] = Rule(0, uint8(ScopeLib.PINNED), 0, 0);
        f.entries = new Entry[](4);
        f.entries[0] = Entry(address(game), Game.stake.selector, 0, 0);
        f.entries[1] = Entry(address(game), Game.spend.selector, 0, 1);
        f.entries[2] = Entry(address(game), Game.claim.selector, 1, 1);
        f.entries[3] = Entry(address(vault), Vault.stash.selector, 0, 0);
    }

    /// @dev More than a list that is shown whole would have, and an odd number of them.
    function _long(Fields memory f, Dice memory dice) private view {
        f.valuePerCallWeiMax = 0.01 ether;
        f.valueTotalWeiMax = uint128(dice.between(0.02 ether, 0.1 ether));
        f.rules = new Rule[](4);
        f.rules[0] = Rule(0, uint8(ScopeLib.CUMULATIVE), 1, dice.between(30, 200));
        f.rules[1] = Rule(0, uint8(ScopeLib.PINNED), 0, 0);
        f.rules[2] = Rule(1, uint8(ScopeLib.AT_MOST), 0, 50);
        f.rules[3] = Rule(0, uint8(ScopeLib.EQUAL), 0, 42);
        f.entries = new Entry[](9);
        f.entries[0] = Entry(address(game), Game.play.selector, 3, 1);
        f.entries[1] = Entry(address(game), Game.attack.selector, 0, 0);
        f.entries[2] = Entry(address(game), Game.craft.selector, 0, 0);
        f.entries[3] = Entry(address(game), Game.spend.selector, 0, 1);
        f.entries[4] = Entry(address(game), Game.claim.selector, 1, 2);
        f.entries[5] = Entry(address(game), Game.stake.selector, 0, 0);
        f.entries[6] = Entry(address(raider), Raider.raid.selector, 0, 0);
        f.entries[7] = Entry(address(upgradable), Raider.raid.selector, 0, 0);
        f.entries[8] = Entry(address(vault), Vault.stash.selector, 0, 0);
    }
}
