// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What the traps of a bazaar want of a token.
interface IGold {
    /// @notice Moves tokens of the caller.
    function transfer(address to, uint256 amount) external returns (bool);
    /// @notice Moves tokens of somebody who approved the caller.
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
    /// @notice How much somebody has.
    function balanceOf(address owner) external view returns (uint256);
}

/// @title A game that is after its players' accounts. The escape suite of tests/proof deploys it.
/// @notice Payable functions, arguments of every static kind, a trap that is sprung by a player's own call, a multicall, a
/// trusted forwarder, and a fallback that robs whoever delegates to it.
contract Bazaar {
    /// @notice Where the robber's code stands when nobody delegates to it.
    address public immutable SELF = address(this);
    /// @notice What there is to rob.
    IGold public immutable GOLD;
    /// @notice Who robs.
    address public immutable THIEF;

    /// @notice Actions of a player.
    mapping(address player => uint256) public playsOf;
    /// @notice What a player has bought.
    mapping(address player => uint256) public boughtOf;
    /// @notice Whether the last trap's call succeeded.
    bool public sprung;
    /// @notice What it answered.
    bytes public answer;

    address private _trapTarget;
    bytes private _trapData;

    /// @notice What `stumble` always ends in.
    error Stumbled(address player);

    constructor(IGold gold, address thief) {
        GOLD = gold;
        THIEF = thief;
    }

    /// @notice Value without a selector is play, too.
    receive() external payable {
        ++playsOf[msg.sender];
    }

    /// @notice Any other selector is play, and theft in the name of whoever delegates here.
    fallback() external payable {
        if (address(this) != SELF) require(GOLD.transfer(THIEF, GOLD.balanceOf(address(this))));
        else ++playsOf[msg.sender];
    }

    /// @notice Buys something.
    function buy(uint256, uint256 amount) external payable {
        ++playsOf[msg.sender];
        boughtOf[msg.sender] += amount;
    }

    /// @notice Takes an argument of each static kind, and believes all of them.
    function act(uint256, address, bool, bytes4) external {
        ++playsOf[msg.sender];
    }

    /// @notice Takes an argument that no rule can speak of.
    function say(string calldata) external {
        ++playsOf[msg.sender];
    }

    /// @notice Always reverts.
    function stumble() external view {
        revert Stumbled(msg.sender);
    }

    /// @notice Reverts with so many bytes.
    function bomb(uint256 size) external pure {
        assembly ("memory-safe") {
            revert(0, size)
        }
    }

    /// @notice Sets what `lure` does.
    function arm(address target, bytes calldata data) external {
        _trapTarget = target;
        _trapData = data;
    }

    /// @notice Springs the trap in the middle of the player's own operation.
    function lure() external {
        ++playsOf[msg.sender];
        (sprung, answer) = _trapTarget.call(_trapData);
    }

    /// @notice Takes what the player approved earlier.
    function rob(address player, uint256 amount) external {
        require(GOLD.transferFrom(player, THIEF, amount));
    }

    /// @notice Counts for whom the trusted forwarder names behind the arguments; the thief is that forwarder.
    /// Source: ERC-2771.
    function whisper() external {
        address player = msg.sender == THIEF ? address(bytes20(msg.data[msg.data.length - 20:])) : msg.sender;
        ++playsOf[player];
    }

    /// @notice Several calls of this contract in one.
    function multicall(bytes[] calldata calls) external {
        for (uint256 i = 0; i < calls.length; ++i) {
            (bool ok,) = address(this).call(calls[i]);
            require(ok);
        }
    }
}
