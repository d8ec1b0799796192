// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {KernelHarness} from "test/KernelHarness.sol";
import {NexusHarness} from "test/NexusHarness.sol";
import {Reference7702Harness} from "test/Reference7702Harness.sol";
import {ReferenceHarness} from "test/ReferenceHarness.sol";
import {Safe7579Harness} from "test/Safe7579Harness.sol";
import {StackSuite} from "test/account/Stacks.sol";

contract StackReference07Test is ReferenceHarness, StackSuite {
    function entryPointOfStack() internal pure override returns (uint256) {
        return 7;
    }
}

contract StackReference08Test is ReferenceHarness, StackSuite {
    function entryPointOfStack() internal pure override returns (uint256) {
        return 8;
    }
}

contract StackReference7702Test is Reference7702Harness, StackSuite {}

contract StackNexusTest is NexusHarness, StackSuite {}

contract StackSafe7579Test is Safe7579Harness, StackSuite {}

contract StackKernelTest is KernelHarness, StackSuite {}
