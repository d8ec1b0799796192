// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";

/// @notice What a SmartSession core asks of every policy.
/// @dev Written from the interface's selectors. The core checks at the time of enabling that the policy has them.
interface IPolicy is IERC165 {
    /// @notice The core, which is the caller, configures the policy for an account.
    function initializeWithMultiplexer(address account, bytes32 configId, bytes calldata initData) external;
}

/// @notice A policy that is asked once for each operation.
interface IUserOpPolicy {
    /// @return validationData as an account returns it to the EntryPoint.
    function checkUserOpPolicy(bytes32 id, PackedUserOperation calldata op) external returns (uint256 validationData);
}

/// @notice A policy that is asked once for each call of an operation.
interface IActionPolicy {
    /// @return validationData as an account returns it to the EntryPoint.
    function checkAction(bytes32 id, address account, address target, uint256 value, bytes calldata data)
        external
        returns (uint256 validationData);
}

/// @title Limits for the SmartSession core that npm carries, for the benchmark alone.
/// @notice npm carries the core and none of its policies, so these are ours: each the cheapest that we could write which
/// still holds its limit, so the figures are a lower bound for that core. Only the benchmark deploys them.
///
/// Configuration lies at id, core, account, as the core's storage rules want; every word is packed as far as it goes.
abstract contract MinimalPolicy is IPolicy {
    /// @notice The limit was reached.
    error LimitExceeded(uint256 found, uint256 limit);

    /// @notice Knows nothing of the caller: nobody configured it.
    error NotConfigured(bytes32 id);

    uint256 internal constant PASSED = 0;

    /// @inheritdoc IERC165
    function supportsInterface(bytes4 interfaceId) external pure returns (bool) {
        return interfaceId == type(IERC165).interfaceId || interfaceId == type(IUserOpPolicy).interfaceId
            || interfaceId == type(IActionPolicy).interfaceId;
    }
}

/// @title Whoever signs is the session.
/// @notice Data is the session key's address, 20 bytes; the hash is signed as it is.
contract MinimalSigner {
    uint256 private constant STATELESS_VALIDATOR = 7;

    /// @notice Whether the session key signed `hash`.
    function validateSignatureWithData(bytes32 hash, bytes calldata signature, bytes calldata data)
        external
        pure
        returns (bool)
    {
        if (signature.length != 65) return false;
        address signer = address(bytes20(data));
        bytes32 s = bytes32(signature[32:64]);
        if (uint256(s) > 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0) return false;
        return signer != address(0) && ecrecover(hash, uint8(signature[64]), bytes32(signature[:32]), s) == signer;
    }

    /// @notice It has no state, so it is ready for everybody.
    function isInitialized(address) external pure returns (bool) {
        return true;
    }

    /// @notice It is what the core calls a session validator, and nothing else.
    function isModuleType(uint256 moduleTypeId) external pure returns (bool) {
        return moduleTypeId == STATELESS_VALIDATOR;
    }
}

/// @title Everything is allowed: what the core costs by itself.
contract SudoPolicy is MinimalPolicy, IActionPolicy {
    /// @inheritdoc IPolicy
    function initializeWithMultiplexer(address, bytes32, bytes calldata) external pure {}

    /// @inheritdoc IActionPolicy
    function checkAction(bytes32, address, address, uint256, bytes calldata) external pure returns (uint256) {
        return PASSED;
    }
}

/// @title When the session holds.
/// @notice Data: validUntil 6 | validAfter 6.
contract TimePolicy is MinimalPolicy, IUserOpPolicy {
    mapping(bytes32 id => mapping(address core => mapping(address account => uint256))) private _frames;

    /// @inheritdoc IPolicy
    function initializeWithMultiplexer(address account, bytes32 configId, bytes calldata initData) external {
        _frames[configId][msg.sender][account] = uint96(bytes12(initData));
    }

    /// @inheritdoc IUserOpPolicy
    function checkUserOpPolicy(bytes32 id, PackedUserOperation calldata op) external view returns (uint256) {
        uint256 frame = _frames[id][msg.sender][op.sender];
        if (frame == 0) revert NotConfigured(id);
        return uint48(frame) << 208 | frame >> 48 << 160;
    }
}

/// @title How many calls the session may make.
/// @notice Data: the limit, 16.
contract UsagePolicy is MinimalPolicy, IActionPolicy {
    /// @dev used 16 | limit 16.
    mapping(bytes32 id => mapping(address core => mapping(address account => uint256))) private _uses;

    /// @inheritdoc IPolicy
    function initializeWithMultiplexer(address account, bytes32 configId, bytes calldata initData) external {
        _uses[configId][msg.sender][account] = uint128(bytes16(initData));
    }

    /// @inheritdoc IActionPolicy
    function checkAction(bytes32 id, address account, address, uint256, bytes calldata) external returns (uint256) {
        uint256 word = _uses[id][msg.sender][account];
        unchecked {
            word += 1 << 128;
        }
        if (word >> 128 > uint128(word)) revert LimitExceeded(word >> 128, uint128(word));
        _uses[id][msg.sender][account] = word;
        return PASSED;
    }
}

/// @title How much value calls may carry in all.
/// @notice Data: the limit, 16; 0 for none.
contract ValuePolicy is MinimalPolicy, IActionPolicy {
    /// @dev spent 16 | limit 16, plus 1 so that a limit of 0 is told from none.
    mapping(bytes32 id => mapping(address core => mapping(address account => uint256))) private _values;

    /// @inheritdoc IPolicy
    function initializeWithMultiplexer(address account, bytes32 configId, bytes calldata initData) external {
        _values[configId][msg.sender][account] = uint256(uint128(bytes16(initData))) + 1;
    }

    /// @inheritdoc IActionPolicy
    function checkAction(bytes32 id, address account, address, uint256 value, bytes calldata)
        external
        returns (uint256)
    {
        uint256 word = _values[id][msg.sender][account];
        if (word == 0) revert NotConfigured(id);
        if (value == 0) return PASSED;
        uint256 spent = (word >> 128) + value;
        if (spent >= uint128(word)) revert LimitExceeded(spent, uint128(word) - 1);
        _values[id][msg.sender][account] = spent << 128 | uint128(word);
        return PASSED;
    }
}

/// @title What arguments may be.
/// @notice Data: rules, each argument 1 | condition 1 | value 32. Conditions: 2 at most, 3 at least, 6 the sum is at
/// most. At most one rule sums.
contract ArgumentPolicy is MinimalPolicy, IActionPolicy {
    /// @dev Three words a rule would be the plain way; one is the head of them all: count 1 | (argument 1 | condition 1)*.
    struct Rules {
        uint256 head;
        /// The value; of a sum, used 16 | limit 16.
        mapping(uint256 index => uint256) values;
    }

    mapping(bytes32 id => mapping(address core => mapping(address account => Rules))) private _rules;

    /// @inheritdoc IPolicy
    function initializeWithMultiplexer(address account, bytes32 configId, bytes calldata initData) external {
        Rules storage rules = _rules[configId][msg.sender][account];
        uint256 count = initData.length / 34;
        uint256 head = count;
        for (uint256 i = 0; i < count; ++i) {
            head |= uint256(uint16(bytes2(initData[34 * i:]))) << (8 + 16 * i);
            rules.values[i] = uint256(bytes32(initData[34 * i + 2:]));
        }
        rules.head = head;
    }

    /// @inheritdoc IActionPolicy
    function checkAction(bytes32 id, address account, address, uint256, bytes calldata data)
        external
        returns (uint256)
    {
        Rules storage rules = _rules[id][msg.sender][account];
        uint256 head = rules.head;
        uint256 count = uint8(head);
        if (count == 0) revert NotConfigured(id);
        unchecked {
            for (uint256 i = 0; i < count; ++i) {
                head >>= i == 0 ? 8 : 16;
                uint256 at = 4 + 32 * uint256(uint8(head >> 8));
                uint256 found = uint256(bytes32(data[at:at + 32]));
                uint256 value = rules.values[i];
                if (uint8(head) == 6) {
                    uint256 sum = (value >> 128) + found;
                    if (found >> 128 != 0 || sum > uint128(value)) revert LimitExceeded(sum, uint128(value));
                    rules.values[i] = sum << 128 | uint128(value);
                } else if (uint8(head) == 2 ? found > value : found < value) {
                    revert LimitExceeded(found, value);
                }
            }
        }
        return PASSED;
    }
}

/// @title What the session may burn in gas, on which nonce key, and that nobody else pays.
/// @notice Data: budget in wei 16 | nonce key 24 | most for one operation, in gwei 8. Operations have no paymaster.
contract GasPolicy is MinimalPolicy, IUserOpPolicy {
    struct Config {
        /// spent 16 | budget 16
        uint256 budget;
        /// nonce key 24 | most for one operation, in gwei, 8
        uint256 lane;
    }

    mapping(bytes32 id => mapping(address core => mapping(address account => Config))) private _configs;

    /// @inheritdoc IPolicy
    function initializeWithMultiplexer(address account, bytes32 configId, bytes calldata initData) external {
        _configs[configId][msg.sender][account] = Config(uint128(bytes16(initData)), uint256(bytes32(initData[16:])));
    }

    /// @inheritdoc IUserOpPolicy
    function checkUserOpPolicy(bytes32 id, PackedUserOperation calldata op) external returns (uint256) {
        Config storage config = _configs[id][msg.sender][op.sender];
        config.budget = OperationLib.charge(op, config.budget, config.lane);
        return PASSED;
    }
}

/// @title All that concerns the operation, in one policy: a lower bound that nobody ships.
/// @notice Data: as GasPolicy, then validUntil 6 | validAfter 6.
contract MergedUserOpPolicy is MinimalPolicy, IUserOpPolicy {
    struct Config {
        /// spent 16 | budget 16
        uint256 budget;
        /// nonce key 24 | most for one operation, in gwei, 8
        uint256 lane;
        /// validUntil 6 | validAfter 6
        uint256 frame;
    }

    mapping(bytes32 id => mapping(address core => mapping(address account => Config))) private _configs;

    /// @inheritdoc IPolicy
    function initializeWithMultiplexer(address account, bytes32 configId, bytes calldata initData) external {
        _configs[configId][msg.sender][account] =
            Config(uint128(bytes16(initData)), uint256(bytes32(initData[16:])), uint96(bytes12(initData[48:])));
    }

    /// @inheritdoc IUserOpPolicy
    function checkUserOpPolicy(bytes32 id, PackedUserOperation calldata op) external returns (uint256) {
        Config storage config = _configs[id][msg.sender][op.sender];
        config.budget = OperationLib.charge(op, config.budget, config.lane);
        uint256 frame = config.frame;
        return uint48(frame) << 208 | frame >> 48 << 160;
    }
}

/// @title All that concerns a call, in one policy: a lower bound that nobody ships.
/// @notice No value; uses; arguments. Data: limit of uses 16 | rules as ArgumentPolicy's, or none.
contract MergedActionPolicy is MinimalPolicy, IActionPolicy {
    struct Config {
        /// used 8 | limit 8 | rules as in ArgumentPolicy, up to 7: count 1 | (argument 1 | condition 1)*
        uint256 head;
        /// As ArgumentPolicy's.
        mapping(uint256 index => uint256) values;
    }

    mapping(bytes32 id => mapping(address core => mapping(address account => Config))) private _configs;

    /// @inheritdoc IPolicy
    function initializeWithMultiplexer(address account, bytes32 configId, bytes calldata initData) external {
        Config storage config = _configs[configId][msg.sender][account];
        uint256 head = uint256(uint64(uint128(bytes16(initData)))) << 128;
        uint256 count = (initData.length - 16) / 34;
        head |= count;
        for (uint256 i = 0; i < count; ++i) {
            head |= uint256(uint16(bytes2(initData[16 + 34 * i:]))) << (8 + 16 * i);
            config.values[i] = uint256(bytes32(initData[18 + 34 * i:]));
        }
        config.head = head;
    }

    /// @inheritdoc IActionPolicy
    function checkAction(bytes32 id, address account, address, uint256 value, bytes calldata data)
        external
        returns (uint256)
    {
        if (value != 0) revert LimitExceeded(value, 0);
        Config storage config = _configs[id][msg.sender][account];
        uint256 head = config.head;
        unchecked {
            uint256 used = (head >> 192) + 1;
            if (used > uint64(head >> 128)) revert LimitExceeded(used, uint64(head >> 128));
            config.head = used << 192 | uint192(head);
            uint256 count = uint8(head);
            for (uint256 i = 0; i < count; ++i) {
                head >>= i == 0 ? 8 : 16;
                uint256 at = 4 + 32 * uint256(uint8(head >> 8));
                uint256 found = uint256(bytes32(data[at:at + 32]));
                uint256 limit = config.values[i];
                if (uint8(head) == 6) {
                    uint256 sum = (limit >> 128) + found;
                    if (found >> 128 != 0 || sum > uint128(limit)) revert LimitExceeded(sum, uint128(limit));
                    config.values[i] = sum << 128 | uint128(limit);
                } else if (uint8(head) == 2 ? found > limit : found < limit) {
                    revert LimitExceeded(found, limit);
                }
            }
        }
        return PASSED;
    }
}

/// @title What two of the policies above have in common.
library OperationLib {
    /// @notice Refuses another nonce key, a paymaster, and gas beyond the limits.
    /// @param budget spent 16 | budget 16.
    /// @param lane nonce key 24 | most for one operation, in gwei, 8.
    /// @return The budget with what this operation can cost spent.
    function charge(PackedUserOperation calldata op, uint256 budget, uint256 lane) internal pure returns (uint256) {
        if (op.nonce >> 64 != lane >> 64) revert MinimalPolicy.LimitExceeded(op.nonce >> 64, lane >> 64);
        if (op.paymasterAndData.length != 0) revert MinimalPolicy.LimitExceeded(op.paymasterAndData.length, 0);
        uint256 gas =
            op.preVerificationGas + uint128(bytes16(op.accountGasLimits)) + uint128(uint256(op.accountGasLimits));
        uint256 costWei = gas * uint128(uint256(op.gasFees));
        uint256 mostWei = uint256(uint64(lane)) * 1 gwei;
        if (costWei > mostWei) revert MinimalPolicy.LimitExceeded(costWei, mostWei);
        uint256 spent = (budget >> 128) + costWei;
        if (spent > uint128(budget)) revert MinimalPolicy.LimitExceeded(spent, uint128(budget));
        return spent << 128 | uint128(budget);
    }
}
