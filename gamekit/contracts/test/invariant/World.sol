// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ReferenceAccount, ReferenceAccount08} from "src/ReferenceAccount.sol";
import {ReferenceAccountFactory} from "src/ReferenceAccountFactory.sol";
import {IEntryPointUnderTest} from "test/Harness.sol";
import {NexusHarness} from "test/NexusHarness.sol";
import {CalmGame, Game, Market, UpgradableGame, Vault} from "./Games.sol";
import {Journal} from "./Journal.sol";
import {Marker} from "./Marker.sol";
import {OpenPaymaster, TollPaymaster} from "./Paymasters.sol";
import {Raider, Scheme} from "./Raider.sol";
import {Coin, Trinket, Wares} from "./Tokens.sol";

/// @notice One account of the world.
struct Player {
    ReferenceAccount account;
    IEntryPointUnderTest entryPoint;
    /// Whether it is a Nexus; else it is a reference account.
    bool nexus;
    /// Wei that it must have, in itself and as its deposit: what it had, less what the book has seen leaving.
    uint256 worthWei;
    /// Times that its sessions were ended all at once, as the book counts them.
    uint256 epoch;
    /// Most that all sessions ever granted on it may cost and send, in wei.
    uint256 lossWeiMax;
    uint256 startWorthWei;
    /// Hash of its code, and what its proxy's slot points at.
    bytes32 codeHash;
    bytes32 implementation;
}

/// @title The world that the adversaries play in.
/// @notice Real EntryPoints 0.7 and 0.8, four accounts with assets, the game that sessions are for, and everything that
/// could do harm if an account only called it: tokens that third parties hold approvals in, a market, a vault whose fallback
/// takes all it can, a game that calls back, a game behind a proxy, a paymaster with an approval.
///
/// What the game may take by itself is known and told apart: each account approved GOLD_APPROVED gold to it before any
/// session existed. So for gold, and the game as its spender, the invariants say: what is missing is exactly what the
/// game took, allowance and balance fell by the same, and it is at most what was approved. Every other balance, allowance,
/// operator and owner must not change at all.
abstract contract World is NexusHarness {
    uint256 internal constant REFERENCE_07 = 0;
    uint256 internal constant REFERENCE_08 = 1;
    uint256 internal constant NEXUS = 2;
    /// @dev A reference account of the same owner on 0.7, whose only session key is nobody's.
    uint256 internal constant VICTIM = 3;
    uint256 internal constant PLAYERS = 4;

    uint256 internal constant COINS = 1000 ether;
    uint256 internal constant GOLD_APPROVED = 500 ether;
    uint256 internal constant FRIEND_APPROVED = 7 ether;
    /// @dev Source: ERC-1967.
    bytes32 internal constant IMPLEMENTATION = 0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc;

    Player[PLAYERS] internal players;

    Journal internal journal;
    Coin internal coin;
    Coin internal gold;
    Trinket internal trinket;
    Wares internal wares;
    Game internal game;
    Vault internal vault;
    Market internal market;
    Scheme internal scheme;
    Raider internal raider;
    CalmGame internal calmGame;
    UpgradableGame internal upgradable;
    OpenPaymaster internal paymaster;
    TollPaymaster internal tollPaymaster;
    Marker internal marker;
    address internal friend = makeAddr("friend");

    function setUp() public virtual override {
        super.setUp();
        // tests/proof/invariants.py puts a planted validator in the place of the real one.
        string memory planted = vm.envOr("INVARIANT_VALIDATOR", string(""));
        if (bytes(planted).length != 0) deployCodeTo(planted, address(validator));
        address[PLAYERS] memory accounts;
        accounts[NEXUS] = address(account);
        accounts[REFERENCE_07] = factory.createAccount(owner, "player");
        accounts[VICTIM] = factory.createAccount(owner, "victim");
        IEntryPointUnderTest entryPoint07 = entryPoint;
        IEntryPointUnderTest entryPoint08 = _deployEntryPoint(
            "aa08",
            0x0a59dbff790c23c976a548690c27297883cc66b4c67024f9117b0238995e35e9,
            0x4337084D9E255Ff0702461CF8895CE9E3b5Ff108
        );
        ReferenceAccountFactory factory08 =
            new ReferenceAccountFactory(address(new ReferenceAccount08()), address(ownerValidator), address(validator));
        accounts[REFERENCE_08] = factory08.createAccount(owner, "player");

        _deployGames();
        for (uint256 i = 0; i < PLAYERS; ++i) {
            Player storage player = players[i];
            player.account = ReferenceAccount(payable(accounts[i]));
            player.entryPoint = i == REFERENCE_08 ? entryPoint08 : entryPoint07;
            player.nexus = i == NEXUS;
            player.epoch = 1;
            _furnish(player);
        }
        _deployHelpers(entryPoint07);
        _deployHelpers(entryPoint08);
    }

    function _deployGames() private {
        journal = new Journal();
        coin = new Coin(journal);
        gold = new Coin(journal);
        trinket = new Trinket(journal);
        wares = new Wares(journal);
        game = new Game(journal, gold);
        vault = new Vault(journal, coin, trinket, wares, thief);
        market = new Market(journal, coin, trinket);
        scheme = new Scheme();
        raider = new Raider(journal, scheme);
        calmGame = new CalmGame();
        upgradable = new UpgradableGame(journal, address(calmGame));
        paymaster = new OpenPaymaster();
        tollPaymaster = new TollPaymaster(coin);
        marker = new Marker(journal);
    }

    /// @dev Gives an account its assets, and the approvals that it gave to others in an earlier life.
    function _furnish(Player storage player) private {
        address owned = address(player.account);
        vm.deal(owned, 5 ether);
        player.entryPoint.depositTo{value: 15 ether - player.entryPoint.balanceOf(owned)}(owned);
        coin.mint(owned, COINS);
        gold.mint(owned, COINS);
        trinket.mint(owned, uint160(owned));
        wares.mint(owned, 1, 100);
        vm.startPrank(owned);
        gold.approve(address(game), GOLD_APPROVED);
        coin.approve(address(market), type(uint256).max);
        coin.approve(address(vault), type(uint256).max);
        coin.approve(address(tollPaymaster), type(uint256).max);
        coin.approve(friend, FRIEND_APPROVED);
        trinket.setApprovalForAll(address(market), true);
        trinket.setApprovalForAll(address(vault), true);
        wares.setApprovalForAll(address(vault), true);
        vm.stopPrank();
        journal.watch(owned);
        player.startWorthWei = worthOf(player);
        player.worthWei = player.startWorthWei;
        player.codeHash = owned.codehash;
        player.implementation = vm.load(owned, IMPLEMENTATION);
    }

    function _deployHelpers(IEntryPointUnderTest on) private {
        on.depositTo{value: 1000 ether}(address(paymaster));
        on.depositTo{value: 1000 ether}(address(tollPaymaster));
        on.depositTo{value: 1000 ether}(address(marker));
    }

    /// @dev What an account has in ether, itself and as its deposit.
    function worthOf(Player storage player) internal view returns (uint256) {
        return address(player.account).balance + player.entryPoint.balanceOf(address(player.account));
    }
}
