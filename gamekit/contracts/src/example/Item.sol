// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";

/// @title The example game's items, an ordinary ERC-721.
/// @notice Only the game that created it mints. Here so that a thief of a session key has something to steal.
contract Item is ERC721 {
    /// @notice Only the game may mint.
    error ItemMinterOnly(address caller, address minter);

    /// @notice The game that may mint.
    address public immutable minter = msg.sender;

    /// @notice Number of items, and the id of the latest.
    uint256 public itemCount;

    constructor() ERC721("Arena Item", "ITEM") {}

    /// @notice Creates the next item for `to`.
    function mint(address to) external returns (uint256 tokenId) {
        if (msg.sender != minter) revert ItemMinterOnly(msg.sender, minter);
        tokenId = ++itemCount;
        _mint(to, tokenId);
    }
}
