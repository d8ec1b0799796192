// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {Coin} from "./Tokens.sol";

/// @title Pays for everybody, and takes nothing.
contract OpenPaymaster {
    function validatePaymasterUserOp(PackedUserOperation calldata op, bytes32, uint256)
        external
        virtual
        returns (bytes memory, uint256)
    {
        _charge(op.sender);
        return ("", 0);
    }

    function _charge(address) internal virtual {}
}

/// @title Pays, and takes coins for it: players approved it once, for operations of their own.
contract TollPaymaster is OpenPaymaster {
    Coin private immutable _coin;

    error TollRefused(address sender);

    constructor(Coin coin) {
        _coin = coin;
    }

    function _charge(address sender) internal override {
        if (!_coin.transferFrom(sender, address(this), 1 ether)) revert TollRefused(sender);
    }
}
