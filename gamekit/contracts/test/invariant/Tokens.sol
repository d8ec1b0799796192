// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {Journal, Sink} from "./Journal.sol";

/// @title A token that counts its changes: if nothing was counted, nothing moved and nobody was approved.
abstract contract Token is Sink {
    /// @notice Changes of any balance, allowance, operator or owner so far.
    uint256 public changes;

    error NotAllowed(address caller);

    modifier changing() {
        journal.record(msg.sender, 0, msg.data);
        ++changes;
        _;
    }
}

/// @title A fungible token, also with approvals by signature (ERC-1271).
contract Coin is Token {
    mapping(address owner => uint256) public balanceOf;
    mapping(address owner => mapping(address spender => uint256)) public allowance;

    constructor(Journal journal_) Sink(journal_) {}

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function transfer(address to, uint256 amount) external changing returns (bool) {
        _move(msg.sender, to, amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external changing returns (bool) {
        uint256 allowed = allowance[from][msg.sender];
        if (allowed < amount) revert NotAllowed(msg.sender);
        if (allowed != type(uint256).max) allowance[from][msg.sender] = allowed - amount;
        _move(from, to, amount);
        return true;
    }

    function approve(address spender, uint256 amount) external changing returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    /// @notice Burns. Games have a harmless function of the same name, so the same selector.
    function spend(uint256 amount) external changing {
        balanceOf[msg.sender] -= amount;
    }

    function increaseAllowance(address spender, uint256 amount) external changing returns (bool) {
        allowance[msg.sender][spender] += amount;
        return true;
    }

    /// @notice Approves in the name of an account that says yes to the digest.
    function permit(address owner, address spender, uint256 amount, bytes32 digest, bytes calldata signature)
        external
        changing
    {
        bool valid = IERC1271(owner).isValidSignature(digest, signature) == IERC1271.isValidSignature.selector;
        if (!valid) revert NotAllowed(msg.sender);
        allowance[owner][spender] = amount;
    }

    function _move(address from, address to, uint256 amount) private {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}

/// @title A token of unique things.
contract Trinket is Token {
    mapping(uint256 id => address) public ownerOf;
    mapping(uint256 id => address) public getApproved;
    mapping(address owner => mapping(address operator => bool)) public isApprovedForAll;

    constructor(Journal journal_) Sink(journal_) {}

    function mint(address to, uint256 id) external {
        ownerOf[id] = to;
    }

    function approve(address spender, uint256 id) external changing {
        if (ownerOf[id] != msg.sender) revert NotAllowed(msg.sender);
        getApproved[id] = spender;
    }

    function setApprovalForAll(address operator, bool approved) external changing {
        isApprovedForAll[msg.sender][operator] = approved;
    }

    function transferFrom(address from, address to, uint256 id) external changing {
        bool allowed = msg.sender == from || isApprovedForAll[from][msg.sender] || getApproved[id] == msg.sender;
        if (!allowed || ownerOf[id] != from) revert NotAllowed(msg.sender);
        ownerOf[id] = to;
        delete getApproved[id];
    }
}

/// @title A token of many kinds of things.
contract Wares is Token {
    mapping(address owner => mapping(uint256 id => uint256)) public balanceOf;
    mapping(address owner => mapping(address operator => bool)) public isApprovedForAll;

    constructor(Journal journal_) Sink(journal_) {}

    function mint(address to, uint256 id, uint256 amount) external {
        balanceOf[to][id] += amount;
    }

    function setApprovalForAll(address operator, bool approved) external changing {
        isApprovedForAll[msg.sender][operator] = approved;
    }

    function safeTransferFrom(address from, address to, uint256 id, uint256 amount, bytes calldata) external changing {
        if (msg.sender != from && !isApprovedForAll[from][msg.sender]) revert NotAllowed(msg.sender);
        balanceOf[from][id] -= amount;
        balanceOf[to][id] += amount;
    }
}
