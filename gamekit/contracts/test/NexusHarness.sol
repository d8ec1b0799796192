// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ReferenceAccount} from "src/ReferenceAccount.sol";
import {Arena} from "src/example/Arena.sol";
import {Fields, Harness} from "test/Harness.sol";

/// @notice What Nexus' bootstrap takes for each module.
struct BootstrapConfig {
    address module;
    bytes data;
}

/// @notice Nexus' own interface, as far as it is needed here.
interface INexusBootstrap {
    function initNexusScoped(
        BootstrapConfig[] calldata validators,
        BootstrapConfig calldata hook,
        address registry,
        address[] calldata attesters,
        uint8 threshold
    ) external;
}

/// @notice Makes Nexus accounts.
interface INexusFactory {
    function createAccount(bytes calldata initData, bytes32 salt) external payable returns (address payable);
}

/// @notice The world of the tests with somebody else's account: Biconomy's Nexus 1.0.0 from npm, on EntryPoint 0.7.
abstract contract NexusHarness is Harness {
    function entryPointVersion() internal pure virtual override returns (uint256) {
        return 7;
    }

    function setUp() public virtual override {
        super.setUp();
        address implementation = _deploy("Nexus", abi.encode(entryPoint));
        address nexusFactory = _deploy("NexusAccountFactory", abi.encode(implementation, address(this)));
        address bootstrap = _deploy("NexusBootstrap", "");
        BootstrapConfig[] memory validators = new BootstrapConfig[](2);
        validators[0] = BootstrapConfig(address(ownerValidator), abi.encodePacked(owner));
        validators[1] = BootstrapConfig(address(validator), abi.encodePacked(ownerValidator));
        bytes memory init = abi.encodeCall(
            INexusBootstrap.initNexusScoped,
            (validators, BootstrapConfig(address(0), ""), address(0), new address[](0), 0)
        );
        // The functions used here are those that it shares with the reference account.
        account = ReferenceAccount(
            payable(INexusFactory(nexusFactory).createAccount(abi.encode(bootstrap, init), bytes32(uint256(1))))
        );
        entryPoint.depositTo{value: 10 ether}(address(account));
        vm.deal(address(account), 5 ether);
        arena.welcome(address(account));
    }

    function nexusFields() internal view returns (Fields memory f) {
        f = fields();
        // lane 3 | mode 1 | validator 20
        f.nonceKey = uint192(9) << 168 | uint160(address(validator));
    }

    function grantByOwner(Fields memory f) internal returns (bytes memory scope) {
        scope = pack(f);
        string[] memory texts = new string[](f.entries.length);
        for (uint256 i = 0; i < texts.length; ++i) {
            bytes4 selector = f.entries[i].selector;
            texts[i] = selector == Arena.move.selector
                ? "move(int16,int16)"
                : selector == Arena.attack.selector ? "attack(uint256,uint16)" : "craft(uint256,uint256)";
        }
        bytes32 digest = validator.grantDigest(address(account), scope, texts, none, uint48(NOW + 300));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(ownerKey, digest);
        validator.grantSessionFor(address(account), scope, texts, none, uint48(NOW + 300), abi.encodePacked(r, s, v));
    }

    function _deploy(string memory name, bytes memory arguments) private returns (address deployed) {
        bytes memory code =
            vm.parseJsonBytes(vm.readFile(string.concat("devnet_artifacts/", name, ".json")), ".bytecode");
        code = bytes.concat(code, arguments);
        assembly ("memory-safe") {
            deployed := create(0, add(code, 32), mload(code))
        }
        assertTrue(deployed != address(0), name);
    }
}
