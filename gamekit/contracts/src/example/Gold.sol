// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title The example game's currency, an ordinary ERC-20.
/// @notice Only the game that created it mints. Here so that a thief of a session key has something to steal.
contract Gold is ERC20 {
    /// @notice Only the game may mint.
    error GoldMinterOnly(address caller, address minter);

    /// @notice The game that may mint.
    address public immutable minter = msg.sender;

    constructor() ERC20("Arena Gold", "GOLD") {}

    /// @notice Creates `amount` (18 decimals) for `to`.
    function mint(address to, uint256 amount) external {
        if (msg.sender != minter) revert GoldMinterOnly(msg.sender, minter);
        _mint(to, amount);
    }
}
