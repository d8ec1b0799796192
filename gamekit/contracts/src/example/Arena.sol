// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Gold} from "./Gold.sol";
import {Item} from "./Item.sol";

/// @title The example game.
/// @notice `move`, `attack`, `craft` and `claimLoot` are play. `deposit`, `withdraw`, `withdrawTo`, `sell` and
/// `giveLoot` move value, and no session should ever be granted them: they are what a thief would want.
/// @dev Each action of play writes one word per player and emits one event, so that anyone can count from the chain
/// what was executed: the event's numbers of a player are 1, 2, 3 ... without a gap.
contract Arena {
    /// @notice What the game knows of a player: one word.
    /// `| actions 8 | loot 8 | crafted 8 | y 4 | x 4 |`
    struct Player {
        /// Where the player stands. The field wraps around.
        int32 x;
        int32 y;
        /// Things crafted so far.
        uint64 crafted;
        /// Points won and not yet claimed.
        uint64 loot;
        /// Actions of play so far.
        uint64 actions;
    }

    /// @notice The strength that an attack can have.
    uint256 public constant STAMINA = 100;

    /// @notice Recipes are numbered from 1 to this.
    uint256 public constant RECIPES = 50;

    /// @notice Most that one `craft` makes.
    uint256 public constant CRAFT_MAX = 1000;

    /// @notice What a point of loot sells for, in wei.
    uint256 public constant LOOT_PRICE_WEI = 1 gwei;

    /// @notice The game's currency.
    Gold public immutable gold = new Gold();

    /// @notice The game's items.
    Item public immutable item = new Item();

    mapping(address player => Player) private _players;
    mapping(address player => uint256) private _deposits;
    mapping(address player => bool) private _welcomed;

    /// @notice A player's action of play was executed. `number` counts that player's actions from 1.
    event ActionExecuted(address indexed player, bytes4 indexed action, uint256 number);

    /// @notice The player's value in the game changed.
    event DepositChanged(address indexed player, uint256 depositWei);

    /// @notice An attack takes strength from 1 to STAMINA.
    error NoStamina(uint256 strength, uint256 stamina);

    /// @notice There is nobody with number 0.
    error NoSuchTarget(uint256 target);

    /// @notice There is no such recipe, or not that much of it.
    error CannotCraft(uint256 recipe, uint256 amount);

    /// @notice There is no loot to claim.
    error NoLoot(address player);

    /// @notice The player has less in the game.
    error DepositTooSmall(uint256 depositWei, uint256 askedWei);

    /// @notice The receiver refused the value.
    error PaymentFailed(address to, uint256 amountWei);

    /// @notice Players get one welcome.
    error AlreadyWelcome(address player);

    // --------------------------------------------------------------------------------------------------- play

    /// @notice Steps by (dx, dy).
    function move(int16 dx, int16 dy) external {
        Player memory player = _begin();
        unchecked {
            player.x += dx;
            player.y += dy;
        }
        _players[msg.sender] = player;
    }

    /// @notice Attacks `target` and wins as much loot as it took strength.
    function attack(uint256 target, uint16 strength) external {
        if (target == 0) revert NoSuchTarget(target);
        if (strength == 0 || strength > STAMINA) revert NoStamina(strength, STAMINA);
        Player memory player = _begin();
        player.loot += strength;
        _players[msg.sender] = player;
    }

    /// @notice Makes `amount` things by `recipe`.
    function craft(uint256 recipe, uint256 amount) external {
        if (recipe == 0 || recipe > RECIPES || amount == 0 || amount > CRAFT_MAX) revert CannotCraft(recipe, amount);
        Player memory player = _begin();
        player.crafted += uint64(amount);
        _players[msg.sender] = player;
    }

    /// @notice Turns all loot into gold for `beneficiary`, one whole gold a point. In a session it is to be pinned to
    /// the account.
    function claimLoot(address beneficiary) external {
        Player memory player = _begin();
        uint256 loot = player.loot;
        if (loot == 0) revert NoLoot(msg.sender);
        player.loot = 0;
        _players[msg.sender] = player;
        gold.mint(beneficiary, loot * 1 ether);
    }

    // -------------------------------------------------------------------------------------------- value, not play

    /// @notice Brings value into the game.
    function deposit() external payable {
        _deposits[msg.sender] += msg.value;
        emit DepositChanged(msg.sender, _deposits[msg.sender]);
    }

    /// @notice Takes the player's own value out.
    function withdraw(uint256 amountWei) external {
        _withdraw(msg.sender, amountWei);
    }

    /// @notice Takes the player's own value out, to anybody.
    function withdrawTo(address to, uint256 amountWei) external {
        _withdraw(to, amountWei);
    }

    /// @notice Sells loot to the house, for anybody's profit.
    function sell(uint256 points, address to) external {
        Player storage player = _players[msg.sender];
        if (points > player.loot) revert NoLoot(msg.sender);
        player.loot -= uint64(points);
        _pay(to, points * LOOT_PRICE_WEI);
    }

    /// @notice Gives loot to another player.
    function giveLoot(address to, uint256 points) external {
        if (points > _players[msg.sender].loot) revert NoLoot(msg.sender);
        _players[msg.sender].loot -= uint64(points);
        _players[to].loot += uint64(points);
    }

    /// @notice Gives a new player 1000 gold and an item. Anyone may ask for anyone, once.
    function welcome(address player) external {
        if (_welcomed[player]) revert AlreadyWelcome(player);
        _welcomed[player] = true;
        gold.mint(player, 1000 ether);
        item.mint(player);
    }

    // -------------------------------------------------------------------------------------------------- views

    /// @notice How many actions of play were executed for the player.
    function actionsOf(address player) external view returns (uint256) {
        return _players[player].actions;
    }

    /// @notice Everything that the game knows of a player, but for the deposit.
    function playerOf(address player) external view returns (Player memory) {
        return _players[player];
    }

    /// @notice The player's value in the game, in wei.
    function depositOf(address player) external view returns (uint256) {
        return _deposits[player];
    }

    /// @dev Counts the action. The caller stores the player.
    function _begin() private returns (Player memory player) {
        player = _players[msg.sender];
        ++player.actions;
        emit ActionExecuted(msg.sender, msg.sig, player.actions);
    }

    function _withdraw(address to, uint256 amountWei) private {
        uint256 depositWei = _deposits[msg.sender];
        if (amountWei > depositWei) revert DepositTooSmall(depositWei, amountWei);
        _deposits[msg.sender] = depositWei - amountWei;
        emit DepositChanged(msg.sender, depositWei - amountWei);
        _pay(to, amountWei);
    }

    function _pay(address to, uint256 amountWei) private {
        (bool paid,) = to.call{value: amountWei}("");
        if (!paid) revert PaymentFailed(to, amountWei);
    }
}
