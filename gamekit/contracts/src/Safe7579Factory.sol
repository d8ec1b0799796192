// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What is wanted of Safe's proxy factory, 1.4.1.
interface ISafeProxyFactory {
    /// @notice Deploys a proxy of `singleton` and calls it with `initializer`.
    function createProxyWithNonce(address singleton, bytes calldata initializer, uint256 saltNonce)
        external
        returns (address proxy);

    /// @notice The creation code of a proxy, without its argument.
    function proxyCreationCode() external pure returns (bytes memory);
}

/// @notice What is wanted of a Safe, 1.4.1.
interface ISafe {
    /// @notice Sets owners, modules and the fallback handler of a new Safe, once.
    function setup(
        address[] calldata owners,
        uint256 threshold,
        address to,
        bytes calldata data,
        address fallbackHandler,
        address paymentToken,
        uint256 payment,
        address payable paymentReceiver
    ) external;
}

/// @notice What is wanted of the launchpad of Safe7579, 1.0.0.
interface ISafe7579Launchpad {
    /// @notice A module, and what it is installed with.
    struct ModuleInit {
        address module;
        bytes initData;
    }

    /// @notice Called by delegation from a Safe: makes the adapter its module and fallback handler, installs modules.
    function addSafe7579(
        address safe7579,
        ModuleInit[] calldata validators,
        ModuleInit[] calldata executors,
        ModuleInit[] calldata fallbacks,
        ModuleInit[] calldata hooks,
        address[] calldata attesters,
        uint8 threshold
    ) external;
}

/// @title Deploys Safes with the Safe7579 adapter and our two validators, at addresses that follow from owner and salt.
/// @notice It has no rights and no state: owner and modules are part of what Safe's own factory derives the address from,
/// so whoever deploys an account, also without this contract, it is the same account. The Safe has one owner, the same as
/// the owner validator's, and a threshold of 1.
/// @dev The Safe is set up whole in the transaction that deploys it; the launchpad's other way, which does it in the first
/// user operation, would need a session's operation to deploy an account, and that is refused.
contract Safe7579Factory {
    /// @notice Safe's own factory.
    ISafeProxyFactory public immutable PROXY_FACTORY;
    /// @notice What the accounts are proxies of.
    address public immutable SINGLETON;
    /// @notice Sets the adapter up.
    address public immutable LAUNCHPAD;
    /// @notice The adapter that makes a Safe an ERC-7579 account.
    address public immutable ADAPTER;
    /// @notice The validator that speaks for the owner.
    address public immutable OWNER_VALIDATOR;
    /// @notice The validator of sessions.
    address public immutable SESSION_VALIDATOR;

    /// @notice An account came into being.
    event AccountCreated(address indexed account, address indexed owner, bytes32 salt);

    /// @notice Safe's factory made an account at another address than it should have.
    error AccountAddressMismatch(address account, address expected);

    constructor(
        ISafeProxyFactory proxyFactory,
        address singleton,
        address launchpad,
        address adapter,
        address ownerValidator,
        address sessionValidator
    ) {
        PROXY_FACTORY = proxyFactory;
        SINGLETON = singleton;
        LAUNCHPAD = launchpad;
        ADAPTER = adapter;
        OWNER_VALIDATOR = ownerValidator;
        SESSION_VALIDATOR = sessionValidator;
    }

    /// @notice Deploys the account of `owner` and `salt`, or does nothing if it is there.
    function createAccount(address owner, bytes32 salt) external returns (address account) {
        account = accountAddress(owner, salt);
        if (account.code.length != 0) return account;
        address created = PROXY_FACTORY.createProxyWithNonce(SINGLETON, _initializer(owner), uint256(salt));
        if (created != account) revert AccountAddressMismatch(created, account);
        emit AccountCreated(account, owner, salt);
    }

    /// @notice Where the account of `owner` and `salt` is, or will be.
    function accountAddress(address owner, bytes32 salt) public view returns (address) {
        bytes32 proxySalt = keccak256(abi.encodePacked(keccak256(_initializer(owner)), salt));
        bytes32 codeHash = keccak256(abi.encodePacked(PROXY_FACTORY.proxyCreationCode(), uint256(uint160(SINGLETON))));
        bytes32 hash = keccak256(abi.encodePacked(bytes1(0xff), PROXY_FACTORY, proxySalt, codeHash));
        return address(uint160(uint256(hash)));
    }

    function _initializer(address owner) private view returns (bytes memory) {
        address[] memory owners = new address[](1);
        owners[0] = owner;
        ISafe7579Launchpad.ModuleInit[] memory validators = new ISafe7579Launchpad.ModuleInit[](2);
        validators[0] = ISafe7579Launchpad.ModuleInit(OWNER_VALIDATOR, abi.encodePacked(owner));
        validators[1] = ISafe7579Launchpad.ModuleInit(SESSION_VALIDATOR, abi.encodePacked(OWNER_VALIDATOR));
        ISafe7579Launchpad.ModuleInit[] memory none = new ISafe7579Launchpad.ModuleInit[](0);
        bytes memory addAdapter = abi.encodeCall(
            ISafe7579Launchpad.addSafe7579, (ADAPTER, validators, none, none, none, new address[](0), 0)
        );
        return
            abi.encodeCall(ISafe.setup, (owners, 1, LAUNCHPAD, addAdapter, ADAPTER, address(0), 0, payable(address(0))));
    }
}
