// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ISessionValidator} from "src/ISessionValidator.sol";
import {SessionValidator} from "src/SessionValidator.sol";
import {Arena} from "src/example/Arena.sol";
import {Entry, Fields, Harness, Rule} from "test/Harness.sol";

/// @notice Writes, or checks, the vectors that the Python side is tested against. Every scope in them was granted by the
/// contract, every id and digest was computed by it, and every refusal is its own error.
/// @dev WRITE_VECTORS=true forge test --match-path test/Vectors.t.sol
contract VectorsTest is Harness {
    string private constant FILE = "../../tests/vectors/session_scope.json";
    uint256 private constant CHAIN = 31_337;
    address private constant MODULE = 0x5e55104900000000000000000000000000000001;
    address private constant GAME = 0xA43e4a0000000000000000000000000000000001;
    address private constant OTHER_GAME = 0xB43E4a0000000000000000000000000000000002;
    address private constant PLAYER = 0xACC0000000000000000000000000000000000003;
    uint48 private constant GRANT_DEADLINE = uint48(NOW + 300);

    string private accepted;
    string private refused;

    function setUp() public override {
        super.setUp();
        vm.chainId(CHAIN);
        deployCodeTo("SessionValidator.sol:SessionValidator", MODULE);
        validator = SessionValidator(MODULE);
        vm.etch(GAME, address(arena).code);
        vm.etch(OTHER_GAME, address(arena).code);
        vm.prank(PLAYER);
        validator.onInstall("");
    }

    function test_vectors_success_areCurrent() public {
        _accepted();
        _refused();
        string memory origin = string.concat(
            '{\n  "origin": "gamekit/contracts/test/Vectors.t.sol; every id, digest and error is the contract\'s own",\n',
            '  "regenerate": "WRITE_VECTORS=true forge test --match-path test/Vectors.t.sol",\n'
        );
        string memory world = string.concat(
            '  "chain_id": ',
            vm.toString(CHAIN),
            ',\n  "module": ',
            _quoted(MODULE),
            ',\n  "account": ',
            _quoted(PLAYER),
            ',\n  "account_epoch": 1,\n  "granted_at": ',
            vm.toString(NOW),
            ',\n  "session_private_key": ',
            _quoted(bytes32(signerKey))
        );
        string memory json = string.concat(
            origin, world, ',\n  "scopes": [\n', accepted, '\n  ],\n  "refused": [\n', refused, "\n  ]\n}\n"
        );
        if (vm.envOr("WRITE_VECTORS", false)) vm.writeFile(FILE, json);
        assertEq(keccak256(bytes(json)), keccak256(bytes(vm.readFile(FILE))), "regenerate the vectors");
    }

    // ----------------------------------------------------------------------------------------------- the scopes

    function _accepted() private {
        Fields memory f = _fields();
        _accept("three functions, nothing else allowed", f);
        _accept("one function", _only(Arena.attack.selector));
        f = _fields();
        f.validAfter = 0;
        _accept("from the beginning of time", f);
        f = _fields();
        f.validUntil = uint48(NOW + 30 days);
        _accept("longest", f);
        f = _fields();
        (f.callsMax, f.usesMax) = (1, 1);
        _accept("one call ever", f);
        f = _fields();
        f.usesMax = type(uint32).max;
        _accept("most uses", f);
        f = _fields();
        (f.callsMax, f.burst, f.rateIntervalMs) = (20, 40, 50);
        _accept("20 calls a second, 40 at once", f);
        f = _fields();
        (f.burst, f.rateIntervalMs) = (type(uint16).max, 1);
        _accept("largest burst", f);
        f = _fields();
        (f.callsMax, f.burst, f.rateIntervalMs) = (1, 1, type(uint32).max);
        _accept("slowest rate", f);
        f = _fields();
        f.gasBudgetWei = f.gasPerOperationWeiMax = type(uint128).max;
        _accept("largest gas budget", f);
        f = _fields();
        f.gasBudgetWei = f.gasPerOperationWeiMax = 1;
        _accept("smallest gas budget", f);
        f = _fields();
        (f.valueTotalWeiMax, f.valuePerCallWeiMax) = (1 ether, 0.01 ether);
        _accept("value", f);
        f = _fields();
        f.paymaster = 0x9a90000000000000000000000000000000000004;
        _accept("paymaster", f);
        f = _fields();
        f.nonceKey = type(uint192).max;
        _accept("largest nonce key", f);
        f = _fields();
        f.nonceKey = uint192(5) << 168 | uint160(MODULE);
        _accept("nonce key as Nexus writes it", f);
        f = _fields();
        f.revoker = address(0);
        _accept("no revoker", f);
        _accept("equal", _ruled(Arena.attack.selector, Rule(0, 0, 0, 7)));
        _accept("not equal", _ruled(Arena.attack.selector, Rule(0, 1, 0, type(uint256).max)));
        _accept("at most", _ruled(Arena.attack.selector, Rule(1, 2, 0, 50)));
        _accept("at least", _ruled(Arena.attack.selector, Rule(1, 3, 0, 1)));
        _accept("pinned beneficiary", _ruled(Arena.claimLoot.selector, Rule(0, 5, 0, 0)));
        _accept("cumulative in lane 0", _ruled(Arena.craft.selector, Rule(1, 6, 0, 500)));
        _accept("cumulative in lane 1", _ruled(Arena.craft.selector, Rule(1, 6, 1, type(uint128).max)));
        _accept("last argument that can be named", _ruled(Arena.craft.selector, Rule(255, 3, 0, 1)));
        f = _ruled(Arena.craft.selector, Rule(1, 6, 1, 500));
        (f.valueTotalWeiMax, f.valuePerCallWeiMax) = (3, 2);
        _accept("value and one cumulative rule", f);
        f = _only(Arena.attack.selector);
        f.rules = new Rule[](4);
        f.rules[0] = Rule(0, 4, 0, 3);
        f.rules[1] = Rule(0, 4, 0, 5);
        f.rules[2] = Rule(0, 4, 0, 8);
        f.rules[3] = Rule(1, 2, 0, 20);
        f.entries[0].ruleCount = 4;
        _accept("one of three, and at most", f);
        _accept("two games, rules on each", _everything());
    }

    function _refused() private {
        Fields memory f = _fields();
        f.version = 2;
        _refuse("version 2", f);
        f = _fields();
        f.signer = address(0);
        _refuse("signer 0", f);
        f = _fields();
        f.signer = PLAYER;
        _refuse("signer is the account", f);
        f = _fields();
        f.validUntil = f.validAfter;
        _refuse("empty time frame", f);
        f = _fields();
        (f.validAfter, f.validUntil) = (0, 0);
        _refuse("for ever", f);
        f = _fields();
        f.validUntil = uint48(NOW + 30 days + 1);
        _refuse("too long", f);
        f = _fields();
        f.callsMax = 0;
        _refuse("no calls", f);
        f = _fields();
        f.callsMax = 65;
        _refuse("65 calls", f);
        f = _fields();
        f.usesMax = 0;
        _refuse("no uses", f);
        f = _fields();
        (f.burst, f.rateIntervalMs) = (63, 1);
        _refuse("burst below the largest batch", f);
        f = _fields();
        (f.burst, f.rateIntervalMs) = (type(uint16).max, type(uint32).max);
        _refuse("rate too slow", f);
        f = _fields();
        f.gasPerOperationWeiMax = 0;
        _refuse("no gas", f);
        f = _fields();
        f.gasPerOperationWeiMax = f.gasBudgetWei + 1;
        _refuse("more gas for one operation than in all", f);
        f = _fields();
        f.valueTotalWeiMax = 1;
        _refuse("value in all but not per call", f);
        f = _fields();
        f.entries = new Entry[](0);
        _refuse("no entries", f);
        f = _fields();
        f.entries[2] = f.entries[1];
        _refuse("entry twice", f);
        f = _fields();
        f.entries[2].ruleCount = 1;
        _refuse("rules that are not there", f);
        f = _only(Arena.withdraw.selector);
        _refuse("denied selector", f);
        f = _fields();
        f.entries[0].target = address(0);
        _refuse("target 0", f);
        _refuse("unknown condition", _ruled(Arena.attack.selector, Rule(0, 7, 0, 0)));
        _refuse("pinned with a value", _ruled(Arena.attack.selector, Rule(0, 5, 0, 1)));
        _refuse("lane 2", _ruled(Arena.attack.selector, Rule(0, 6, 2, 1)));
        _refuse("limit of 129 bits", _ruled(Arena.attack.selector, Rule(0, 6, 1, 1 << 128)));
        f = _ruled(Arena.attack.selector, Rule(0, 6, 0, 1));
        (f.valueTotalWeiMax, f.valuePerCallWeiMax) = (1, 1);
        _refuse("lane 0 with value", f);
    }

    function _everything() private view returns (Fields memory f) {
        f = _fields();
        (f.callsMax, f.burst, f.rateIntervalMs) = (25, 50, 100);
        (f.valueTotalWeiMax, f.valuePerCallWeiMax) = (1 ether, 1 gwei);
        f.paymaster = 0x9a90000000000000000000000000000000000004;
        f.entries = new Entry[](4);
        f.entries[0] = Entry(OTHER_GAME, Arena.craft.selector, 3, 1);
        f.entries[1] = Entry(GAME, Arena.claimLoot.selector, 0, 1);
        f.entries[2] = Entry(GAME, Arena.attack.selector, 1, 2);
        f.entries[3] = Entry(GAME, Arena.move.selector, 0, 0);
        _sort(f.entries);
        f.rules = new Rule[](4);
        f.rules[0] = Rule(0, 5, 0, 0);
        f.rules[1] = Rule(0, 4, 0, 1);
        f.rules[2] = Rule(0, 4, 0, 2);
        f.rules[3] = Rule(1, 6, 1, 100);
    }

    function _fields() private view returns (Fields memory f) {
        f = fields();
        f.nonceKey = uint192(uint160(MODULE)) << 32 | 7;
        for (uint256 i = 0; i < f.entries.length; ++i) {
            f.entries[i].target = GAME;
        }
    }

    function _only(bytes4 selector) private view returns (Fields memory f) {
        f = _fields();
        f.entries = new Entry[](1);
        f.entries[0] = Entry(GAME, selector, 0, 0);
    }

    function _ruled(bytes4 selector, Rule memory rule) private view returns (Fields memory f) {
        f = _only(selector);
        f.rules = new Rule[](1);
        f.rules[0] = rule;
        f.entries[0].ruleCount = 1;
    }

    // ------------------------------------------------------------------------------------------------- the JSON

    function _accept(string memory name, Fields memory f) private {
        bytes memory scope = pack(f);
        vm.prank(PLAYER);
        bytes32 permissionId = validator.grantSession(scope, none);
        string[] memory functions = new string[](f.entries.length);
        for (uint256 i = 0; i < functions.length; ++i) {
            functions[i] = _text(f.entries[i].selector);
        }
        string memory json = string.concat(
            '    {\n      "name": "',
            name,
            '",\n      "fields": ',
            _fieldsJson(f),
            ',\n      "scope": ',
            _quoted(scope),
            ',\n      "permission_id": ',
            _quoted(permissionId)
        );
        json = string.concat(json, ',\n      "operation": ', _operationJson(scope, permissionId));
        json = string.concat(
            json,
            ',\n      "grant": {"functions": ',
            _list(functions),
            ', "deadline": ',
            vm.toString(GRANT_DEADLINE),
            ', "digest": ',
            _quoted(validator.grantDigest(PLAYER, scope, functions, none, GRANT_DEADLINE)),
            '},\n      "revoke_digest": ',
            _quoted(validator.revokeDigest(PLAYER, permissionId)),
            "\n    }"
        );
        accepted = bytes(accepted).length == 0 ? json : string.concat(accepted, ",\n", json);
    }

    function _operationJson(bytes memory scope, bytes32 permissionId) private view returns (string memory) {
        bytes32 userOpHash = keccak256(bytes.concat("an operation of ", permissionId));
        (uint48 claimedAt, uint48 deadline) = (uint48(NOW - 1), uint48(NOW + 60));
        bytes32 digest = validator.operationDigest(userOpHash, permissionId, claimedAt, deadline);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(signerKey, digest);
        bytes memory envelope = abi.encodePacked(claimedAt, deadline, r, s, v, hex"0000", scope);
        string memory json = string.concat(
            '{"user_op_hash": ',
            _quoted(userOpHash),
            ', "claimed_at": ',
            vm.toString(claimedAt),
            ', "deadline": ',
            vm.toString(deadline)
        );
        return string.concat(
            json, ', "digest": ', _quoted(digest), ', "hints": "0x0000", "envelope": ', _quoted(envelope), "}"
        );
    }

    function _refuse(string memory name, Fields memory f) private {
        bytes memory scope = pack(f);
        vm.prank(PLAYER);
        (bool granted, bytes memory reason) = MODULE.call(abi.encodeCall(ISessionValidator.grantSession, (scope, none)));
        assertFalse(granted, name);
        string memory json =
            string.concat('    {"name": "', name, '", "scope": ', _quoted(scope), ', "error": ', _quoted(reason), "}");
        refused = bytes(refused).length == 0 ? json : string.concat(refused, ",\n", json);
    }

    function _fieldsJson(Fields memory f) private pure returns (string memory json) {
        json = string.concat(
            '{"signer": ',
            _quoted(f.signer),
            _number("valid_after", f.validAfter),
            _number("valid_until", f.validUntil),
            ', "revoker": ',
            _quoted(f.revoker),
            _number("calls_max", f.callsMax)
        );
        json = string.concat(
            json,
            _number("burst", f.burst),
            // Wider than what JSON readers take for a number.
            ', "nonce_key": ',
            _quoted(abi.encodePacked(f.nonceKey)),
            _number("uses_max", f.usesMax),
            _number("rate_interval_ms", f.rateIntervalMs)
        );
        json = string.concat(
            json,
            _wide("gas_budget_wei", f.gasBudgetWei),
            _wide("gas_per_operation_wei_max", f.gasPerOperationWeiMax),
            _wide("value_total_wei_max", f.valueTotalWeiMax),
            _wide("value_per_call_wei_max", f.valuePerCallWeiMax),
            ', "paymaster": ',
            _quoted(f.paymaster)
        );
        return string.concat(json, ', "entries": [', _entriesJson(f), '], "rules": [', _rulesJson(f), "]}");
    }

    function _entriesJson(Fields memory f) private pure returns (string memory json) {
        for (uint256 i = 0; i < f.entries.length; ++i) {
            Entry memory e = f.entries[i];
            json = string.concat(
                json,
                i == 0 ? '{"target": ' : ', {"target": ',
                _quoted(e.target),
                ', "function": "',
                _text(e.selector),
                '", "selector": ',
                _quoted(abi.encodePacked(e.selector)),
                _number("rule_from", e.ruleFrom),
                _number("rule_count", e.ruleCount),
                "}"
            );
        }
    }

    function _rulesJson(Fields memory f) private pure returns (string memory json) {
        for (uint256 i = 0; i < f.rules.length; ++i) {
            Rule memory r = f.rules[i];
            json = string.concat(
                json,
                i == 0 ? '{"argument": ' : ', {"argument": ',
                vm.toString(r.argument),
                _number("condition", r.condition),
                _number("lane", r.lane),
                ', "value": ',
                _quoted(bytes32(r.value)),
                "}"
            );
        }
    }

    function _text(bytes4 selector) private pure returns (string memory) {
        if (selector == Arena.move.selector) return "move(int16,int16)";
        if (selector == Arena.attack.selector) return "attack(uint256,uint16)";
        if (selector == Arena.craft.selector) return "craft(uint256,uint256)";
        return "claimLoot(address)";
    }

    function _list(string[] memory texts) private pure returns (string memory json) {
        for (uint256 i = 0; i < texts.length; ++i) {
            json = string.concat(json, i == 0 ? '"' : ', "', texts[i], '"');
        }
        return string.concat("[", json, "]");
    }

    function _number(string memory name, uint256 value) private pure returns (string memory) {
        return string.concat(', "', name, '": ', vm.toString(value));
    }

    /// @dev Numbers that may pass 2^53, as text.
    function _wide(string memory name, uint256 value) private pure returns (string memory) {
        return string.concat(', "', name, '": "', vm.toString(value), '"');
    }

    function _quoted(address value) private pure returns (string memory) {
        return _quoted(abi.encodePacked(value));
    }

    function _quoted(bytes32 value) private pure returns (string memory) {
        return _quoted(abi.encodePacked(value));
    }

    function _quoted(bytes memory value) private pure returns (string memory) {
        return string.concat('"', vm.toString(value), '"');
    }
}
