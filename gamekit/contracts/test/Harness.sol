// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IEntryPoint, IEntryPointNonces, PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {IERC7579Execution, Execution} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {Test} from "forge-std/Test.sol";
import {Session, SessionState} from "src/ISessionValidator.sol";
import {OwnerValidator} from "src/OwnerValidator.sol";
import {ReferenceAccount, ReferenceAccount07, ReferenceAccount08} from "src/ReferenceAccount.sol";
import {ReferenceAccountFactory} from "src/ReferenceAccountFactory.sol";
import {SessionValidator} from "src/SessionValidator.sol";
import {Arena} from "src/example/Arena.sol";

/// @notice One entry of a scope, in words.
struct Entry {
    address target;
    bytes4 selector;
    uint8 ruleFrom;
    uint8 ruleCount;
}

/// @notice One rule of a scope, in words.
struct Rule {
    uint8 argument;
    uint8 condition;
    uint8 lane;
    uint256 value;
}

/// @notice A scope, in words.
struct Fields {
    address signer;
    uint48 validAfter;
    uint48 validUntil;
    address revoker;
    uint8 version;
    uint8 callsMax;
    uint16 burst;
    uint192 nonceKey;
    uint32 usesMax;
    uint32 rateIntervalMs;
    uint128 gasBudgetWei;
    uint128 gasPerOperationWeiMax;
    uint128 valueTotalWeiMax;
    uint128 valuePerCallWeiMax;
    address paymaster;
    Entry[] entries;
    Rule[] rules;
}

/// @notice What the EntryPoints 0.7 and 0.8 have in common.
interface IEntryPointUnderTest is IEntryPoint {
    event UserOperationEvent(
        bytes32 indexed userOpHash,
        address indexed sender,
        address indexed paymaster,
        uint256 nonce,
        bool success,
        uint256 actualGasCost,
        uint256 actualGasUsed
    );

    function getUserOpHash(PackedUserOperation calldata op) external view returns (bytes32);
}

/// @notice The world of the tests: real EntryPoints, a player with a reference account, the example game, a session key.
/// @dev Packing and signing are written here a second time and differently (abi.encodePacked, not shifts), so that the
/// tests compare two independent descriptions of the bytes.
abstract contract Harness is Test {
    bytes32 internal constant SINGLE = bytes32(0);
    bytes32 internal constant SINGLE_TRY = 0x0001000000000000000000000000000000000000000000000000000000000000;
    bytes32 internal constant BATCH = 0x0100000000000000000000000000000000000000000000000000000000000000;
    bytes32 internal constant BATCH_TRY = 0x0101000000000000000000000000000000000000000000000000000000000000;

    uint256 internal constant NOW = 1_800_000_000;
    uint256 internal constant FEE = 1 gwei;
    uint128 internal constant VERIFICATION_GAS = 400_000;
    uint128 internal constant CALL_GAS = 2_000_000;
    uint256 internal constant PRE_VERIFICATION_GAS = 50_000;

    address internal constant CREATE2_DEPLOYER = 0x4e59b44847b379578588920cA78FbF26c0B4956C;

    /// @dev No target of the example game can run code of others, so a grant has no implementation to accept.
    address[] internal none;

    IEntryPointUnderTest internal entryPoint;
    SessionValidator internal validator;
    OwnerValidator internal ownerValidator;
    ReferenceAccountFactory internal factory;
    ReferenceAccount internal account;
    Arena internal arena;

    address internal owner;
    uint256 internal ownerKey;
    address internal signer;
    uint256 internal signerKey;
    address internal revoker = makeAddr("revoker");
    address internal bundler = makeAddr("bundler");
    address internal thief = makeAddr("thief");

    /// @dev 7 or 8. Suites that must hold on both have one concrete contract for each.
    function entryPointVersion() internal view virtual returns (uint256) {
        return 8;
    }

    function setUp() public virtual {
        vm.warp(NOW);
        (owner, ownerKey) = makeAddrAndKey("owner");
        (signer, signerKey) = makeAddrAndKey("session key");
        validator = new SessionValidator();
        ownerValidator = new OwnerValidator(address(validator));
        arena = new Arena();
        address implementation;
        if (entryPointVersion() == 7) {
            entryPoint = _deployEntryPoint(
                "aa07",
                0x90d8084deab30c2a37c45e8d47f49f2f7965183cb6990a98943ef94940681de3,
                0x0000000071727De22E5E9d8BAf0edAc6f37da032
            );
            implementation = address(new ReferenceAccount07());
        } else {
            entryPoint = _deployEntryPoint(
                "aa08",
                0x0a59dbff790c23c976a548690c27297883cc66b4c67024f9117b0238995e35e9,
                0x4337084D9E255Ff0702461CF8895CE9E3b5Ff108
            );
            implementation = address(new ReferenceAccount08());
        }
        factory = new ReferenceAccountFactory(implementation, address(ownerValidator), address(validator));
        account = ReferenceAccount(payable(factory.createAccount(owner, "player")));
        entryPoint.depositTo{value: 10 ether}(address(account));
        vm.deal(address(account), 5 ether);
        arena.welcome(address(account));
    }

    /// @dev From the npm package's own bytecode to the canonical address.
    function _deployEntryPoint(string memory package, bytes32 salt, address canonical)
        internal
        returns (IEntryPointUnderTest)
    {
        string memory artifact = vm.readFile(string.concat("node_modules/", package, "/artifacts/EntryPoint.json"));
        bytes memory code = vm.parseJsonBytes(artifact, ".bytecode");
        (bool deployed,) = CREATE2_DEPLOYER.call(bytes.concat(salt, code));
        assertTrue(deployed && canonical.code.length != 0, "EntryPoint at its canonical address");
        return IEntryPointUnderTest(canonical);
    }

    // ------------------------------------------------------------------------------------------------ scopes

    /// @dev Half an hour of move, attack and craft; no value, no rules, no rate, no paymaster.
    function fields() internal view returns (Fields memory f) {
        f.signer = signer;
        f.validAfter = uint48(NOW - 600);
        f.validUntil = uint48(NOW + 1800);
        f.revoker = revoker;
        f.version = 1;
        f.callsMax = 64;
        f.nonceKey = uint192(uint160(address(validator))) << 32 | 7;
        f.usesMax = 1000;
        f.gasBudgetWei = 1 ether;
        f.gasPerOperationWeiMax = 0.1 ether;
        f.entries = new Entry[](3);
        f.entries[0] = Entry(address(arena), Arena.move.selector, 0, 0);
        f.entries[1] = Entry(address(arena), Arena.attack.selector, 0, 0);
        f.entries[2] = Entry(address(arena), Arena.craft.selector, 0, 0);
        _sort(f.entries);
    }

    /// @dev One entry for one function, with these rules.
    function fieldsWithRules(bytes4 selector, Rule[] memory rules) internal view returns (Fields memory f) {
        f = fields();
        f.entries = new Entry[](1);
        f.entries[0] = Entry(address(arena), selector, 0, uint8(rules.length));
        f.rules = rules;
    }

    function fieldsWithRule(bytes4 selector, Rule memory rule) internal view returns (Fields memory) {
        Rule[] memory rules = new Rule[](1);
        rules[0] = rule;
        return fieldsWithRules(selector, rules);
    }

    function pack(Fields memory f) internal pure returns (bytes memory scope) {
        scope = abi.encodePacked(f.signer, f.validAfter, f.validUntil, f.revoker, f.version, f.callsMax);
        scope = abi.encodePacked(scope, uint8(f.entries.length), uint8(f.rules.length), f.burst, bytes6(0));
        scope = abi.encodePacked(scope, f.nonceKey, f.usesMax, f.rateIntervalMs, f.gasBudgetWei);
        scope = abi.encodePacked(scope, f.gasPerOperationWeiMax, f.valueTotalWeiMax, f.valuePerCallWeiMax);
        scope = abi.encodePacked(scope, f.paymaster, bytes12(0));
        for (uint256 i = 0; i < f.entries.length; ++i) {
            Entry memory e = f.entries[i];
            scope = abi.encodePacked(scope, e.target, e.selector, e.ruleFrom, e.ruleCount, bytes6(0));
        }
        for (uint256 i = 0; i < f.rules.length; ++i) {
            Rule memory r = f.rules[i];
            scope = abi.encodePacked(scope, r.argument, r.condition, r.lane, bytes29(0), r.value);
        }
    }

    function permissionIdOf(bytes memory scope) internal view returns (bytes32) {
        return keccak256(abi.encodePacked(block.chainid, address(validator), address(account), scope));
    }

    function grant(Fields memory f) internal returns (bytes memory scope) {
        scope = pack(f);
        vm.prank(address(account));
        validator.grantSession(scope, none);
    }

    function _sort(Entry[] memory entries) internal pure {
        for (uint256 i = 1; i < entries.length; ++i) {
            for (uint256 j = i; j > 0 && _key(entries[j]) < _key(entries[j - 1]); --j) {
                (entries[j], entries[j - 1]) = (entries[j - 1], entries[j]);
            }
        }
    }

    function _key(Entry memory e) private pure returns (uint192) {
        return uint192(bytes24(abi.encodePacked(e.target, e.selector)));
    }

    // ------------------------------------------------------------------------------------------------- calls

    function one(address target, uint256 value, bytes memory data) internal pure returns (Execution[] memory calls) {
        calls = new Execution[](1);
        calls[0] = Execution(target, value, data);
    }

    function one(bytes memory data) internal view returns (Execution[] memory) {
        return one(address(arena), 0, data);
    }

    function two(bytes memory first, bytes memory second) internal view returns (Execution[] memory calls) {
        calls = new Execution[](2);
        calls[0] = Execution(address(arena), 0, first);
        calls[1] = Execution(address(arena), 0, second);
    }

    /// @dev `count` times attack.
    function attacks(uint256 count) internal view returns (Execution[] memory calls) {
        calls = new Execution[](count);
        for (uint256 i = 0; i < count; ++i) {
            calls[i] = Execution(address(arena), 0, attackData(i + 1, 5));
        }
    }

    function moveData() internal pure returns (bytes memory) {
        return abi.encodeCall(Arena.move, (3, -4));
    }

    function attackData(uint256 target, uint16 strength) internal pure returns (bytes memory) {
        return abi.encodeCall(Arena.attack, (target, strength));
    }

    function craftData(uint256 recipe, uint256 amount) internal pure returns (bytes memory) {
        return abi.encodeCall(Arena.craft, (recipe, amount));
    }

    function claimData(address beneficiary) internal pure returns (bytes memory) {
        return abi.encodeCall(Arena.claimLoot, (beneficiary));
    }

    function batchData(bytes32 mode, Execution[] memory calls) internal pure returns (bytes memory) {
        return abi.encodeCall(IERC7579Execution.execute, (mode, abi.encode(calls)));
    }

    function singleData(bytes32 mode, Execution memory call) internal pure returns (bytes memory) {
        return
            abi.encodeCall(IERC7579Execution.execute, (mode, abi.encodePacked(call.target, call.value, call.callData)));
    }

    // -------------------------------------------------------------------------------------------- operations

    function operation(Fields memory f, bytes memory callData) internal view returns (PackedUserOperation memory op) {
        op.sender = address(account);
        op.nonce = IEntryPointNonces(address(entryPoint)).getNonce(address(account), f.nonceKey);
        op.callData = callData;
        op.accountGasLimits = bytes32(abi.encodePacked(VERIFICATION_GAS, CALL_GAS));
        op.preVerificationGas = PRE_VERIFICATION_GAS;
        op.gasFees = bytes32(abi.encodePacked(uint128(FEE), uint128(FEE)));
    }

    /// @dev What `operation` can cost.
    function gasWei() internal pure returns (uint256) {
        return (uint256(VERIFICATION_GAS) + CALL_GAS + PRE_VERIFICATION_GAS) * FEE;
    }

    /// @dev The hint of each call: the entry that allows it, or 0 if none does.
    function hintsOf(Fields memory f, Execution[] memory calls) internal pure returns (bytes memory hints) {
        for (uint256 i = 0; i < calls.length; ++i) {
            uint8 hint = 0;
            for (uint256 j = 0; j < f.entries.length; ++j) {
                bool same = f.entries[j].target == calls[i].target && f.entries[j].selector == bytes4(calls[i].callData);
                if (same) hint = uint8(j);
            }
            hints = abi.encodePacked(hints, hint);
        }
    }

    function digestOf(PackedUserOperation memory op, bytes32 permissionId, uint48 claimedAt, uint48 deadline)
        internal
        view
        returns (bytes32)
    {
        return keccak256(
            abi.encodePacked(
                keccak256("SessionOperation(bytes32 userOpHash,bytes32 permissionId,uint96 claimedAtAndDeadline)"),
                entryPoint.getUserOpHash(op),
                permissionId,
                bytes20(0),
                claimedAt,
                deadline
            )
        );
    }

    function seal(
        PackedUserOperation memory op,
        bytes memory hints,
        bytes memory scope,
        uint48 claimedAt,
        uint48 deadline,
        uint256 key
    ) internal view returns (PackedUserOperation memory) {
        bytes32 digest = digestOf(op, permissionIdOf(scope), claimedAt, deadline);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        op.signature = abi.encodePacked(claimedAt, deadline, r, s, v, hints, scope);
        return op;
    }

    /// @dev Claimed one second ago, good for a minute.
    function seal(PackedUserOperation memory op, bytes memory hints, bytes memory scope)
        internal
        view
        returns (PackedUserOperation memory)
    {
        return seal(op, hints, scope, uint48(block.timestamp - 1), uint48(block.timestamp + 60), signerKey);
    }

    function sealedBatch(Fields memory f, Execution[] memory calls) internal view returns (PackedUserOperation memory) {
        return seal(operation(f, batchData(BATCH_TRY, calls)), hintsOf(f, calls), pack(f));
    }

    // ------------------------------------------------------------------------------------------------ handleOps

    function submit(PackedUserOperation memory op) internal {
        PackedUserOperation[] memory ops = new PackedUserOperation[](1);
        ops[0] = op;
        // EntryPoint 0.8 wants a plain account as transaction origin.
        vm.prank(bundler, bundler);
        entryPoint.handleOps(ops, payable(bundler));
    }

    /// @dev Submits, and requires that the EntryPoint refuses because validation reverted with exactly `reason`.
    function submitRefused(PackedUserOperation memory op, bytes memory reason) internal {
        vm.expectRevert(abi.encodeWithSelector(IEntryPoint.FailedOpWithRevert.selector, 0, "AA23 reverted", reason));
        submit(op);
    }

    /// @dev Submits, and requires that the EntryPoint refuses with this reason of its own.
    function submitFailed(PackedUserOperation memory op, string memory reason) internal {
        vm.expectRevert(abi.encodeWithSelector(IEntryPoint.FailedOp.selector, 0, reason));
        submit(op);
    }

    function actions() internal view returns (uint256) {
        return arena.actionsOf(address(account));
    }

    function sessionOf(bytes memory scope) internal view returns (Session memory) {
        return validator.sessionOf(address(account), permissionIdOf(scope));
    }

    function assertState(bytes memory scope, SessionState state) internal view {
        assertEq(uint256(sessionOf(scope).state), uint256(state), "state");
    }
}
