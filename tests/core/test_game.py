import pytest
from msgspec.structs import replace

from gamekit.core.game import build_game
from gamekit.core.manifest import parse_manifest
from gamekit.errors import ConfigInvalid, EncodingInvalid
from gamekit.eth.calldata import Call
from gamekit.eth.hashing import checksum_address
from gamekit.eth.interface import CustomError, Function
from gamekit.units import ZERO_ADDRESS, Address, ChainId, Wei
from tests.core.games import ABI, QUEST, UNIT, function_of, game_of, quest
from tests.core.scopes import GAME
from tests.core.towns import BANK, FULL, TOWN, abi, manifest, town

MOVE = Function.parse("move(int16 dx,int16 dy)")


class TestBuildGame:
    def test_default(self) -> None:
        game = quest()
        assert (game.name, game.chain_id, game.address) == ("quest", ChainId(8453), GAME)
        assert sorted(game.functions) == ["attack", "brew", "craft", "enter", "forge", "sendTroops"]
        assert sorted(game.units) == ["raid"]

    def test_behavior_functions_that_are_not_play_are_left_out(self) -> None:
        game = game_of({"sellItem": function_of(play=False), "brew": function_of(play=False)})
        assert sorted(game.functions) == ["move"]

    def test_behavior_overloaded_functions_go_by_their_signature(self) -> None:
        game = game_of({"step(uint8,uint8)": function_of()})
        assert game.encode("step(uint8,uint8)", [1, 2]).data == Function.parse("step(uint8,uint8)").encode_call(1, 2)
        with pytest.raises(ConfigInvalid, match="2 functions named 'step'"):
            game_of({"step": function_of()})

    @pytest.mark.parametrize("name", ["sellItem", "claimTo", "transfer", "scores", "playAll", "enter", "craft", "hire"])
    def test_error_not_for_a_session(self, name: str) -> None:
        with pytest.raises(ConfigInvalid, match=f"function {name}"):
            game_of({name: function_of()})

    def test_error_unknown_function(self) -> None:
        with pytest.raises(ConfigInvalid, match="function fly"):
            game_of({"fly": function_of()})

    def test_error_one_function_twice(self) -> None:
        unit = replace(UNIT, functions=("move", "move(int16,int16)"))
        with pytest.raises(ConfigInvalid, match="must ascend"):
            game_of({"move(int16,int16)": function_of()}, {"play": unit})

    def test_error_abi(self) -> None:
        with pytest.raises(ConfigInvalid, match="game quest"):
            build_game(parse_manifest(QUEST), {"abi": []})

    def test_args_tokens(self) -> None:
        tokens = checksum_address(TOWN), checksum_address(BANK)
        manifest = replace(parse_manifest(QUEST), tokens=tokens)
        assert build_game(manifest, ABI).tokens == (TOWN, BANK)
        for wrong, said in ((("0x00",), "tokens"), (tokens * 9, "at most 16 tokens, got 18")):
            with pytest.raises(ConfigInvalid, match=said):
                build_game(replace(manifest, tokens=wrong), ABI)

    @pytest.mark.parametrize("written", ["0x00", "0x" + "00" * 20, ""])
    def test_error_address(self, written: str) -> None:
        manifest = replace(parse_manifest(QUEST), address=written)
        with pytest.raises(ConfigInvalid, match="game quest"):
            build_game(manifest, ABI)

    def test_error_two_addresses(self) -> None:
        with pytest.raises(ConfigInvalid, match="given is"):
            build_game(parse_manifest(QUEST), ABI, Address(b"\x01" * 20))
        assert build_game(parse_manifest(QUEST), ABI, GAME).address == GAME

    def test_error_chain_id(self) -> None:
        with pytest.raises(ConfigInvalid, match="chain_id"):
            build_game(replace(parse_manifest(QUEST), chain_id=0), ABI)

    def test_error_zero_address_given(self) -> None:
        with pytest.raises(ConfigInvalid, match="address is missing"):
            build_game(replace(parse_manifest(QUEST), address=""), ABI, ZERO_ADDRESS)


class TestContracts:
    def test_default(self) -> None:
        game = town()
        assert [(each.name, each.address) for each in game.contracts] == [("town", TOWN), ("bank", BANK)]
        assert (game.address, game.targets) == (TOWN, (TOWN, BANK))
        assert len(game.functions) == 20

    def test_behavior_a_call_goes_to_the_functions_own_contract(self) -> None:
        assert town().encode("play3", [1]).target == TOWN
        assert town().encode("bank.play3", [1]) == town().encode("play3", [1])._replace(target=BANK)

    def test_behavior_an_address_may_be_given(self) -> None:
        assert town(Address(b"\x21" * 20)).targets == (TOWN, Address(b"\x21" * 20))

    def test_behavior_errors_are_those_of_the_contract_that_was_called(self) -> None:
        data = FULL.encode(7)
        assert town().decode_revert(data, TOWN).values == town().decode_revert(data).values == {"square": 7}
        assert town().decode_revert(data, BANK).values == {"vault": 7}

    def test_behavior_a_contract_may_pass_on_anothers_error(self) -> None:
        game = build_game(parse_manifest(manifest()), abi("square"), further={"bank": (abi("vault")[:-1], None)})
        assert game.decode_revert(FULL.encode(7), BANK).name == "Full"
        assert game.decode_revert(b"\x01\x02\x03\x04", BANK).name == ""

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ("[contract.bank]", "[contract.shop]", "shop: its ABI is missing"),
            ("[contract.bank]", "[contract.town]", "not the game's"),
            ("[contract.bank]", '[contract."b.k"]', "a word of letters"),
            (checksum_address(BANK), checksum_address(TOWN), "2 contracts share 1 addresses"),
            (checksum_address(BANK), "0x00", "contract bank"),
            (f'address = "{checksum_address(BANK)}"', "", "bank: its contract's address is missing"),
            ('[function."bank.play1"]', '[function."vault.play1"]', "there is no contract 'vault'"),
            ('[function."bank.play1"]', '[function."bank.fly"]', "function bank.fly"),
        ],
    )
    def test_error_contracts(self, old: str, new: str, said: str) -> None:
        assert old in manifest()
        with pytest.raises(ConfigInvalid, match=said):
            build_game(parse_manifest(manifest().replace(old, new)), abi("a"), further={"bank": (abi("b"), None)})


class TestGame:
    def test_default_encode(self) -> None:
        assert game_of().encode("move", [1, -2]) == Call(GAME, Wei(0), MOVE.encode_call(1, -2))
        assert game_of().encode("move", {"dy": "-2", "dx": 1}, Wei(5)) == Call(GAME, Wei(5), MOVE.encode_call(1, -2))

    def test_error_encode(self) -> None:
        for function, arguments in (("fly", []), ("sellItem", [1]), ("move", [1]), ("move", ["x", 1])):
            with pytest.raises(EncodingInvalid):
                game_of().encode(function, arguments)

    def test_error_unit(self) -> None:
        with pytest.raises(ConfigInvalid, match="no unit 'walk', only"):
            game_of().unit("walk")

    def test_behavior_what_the_runtime_asks(self) -> None:
        game = quest()
        assert game.gas_ceiling("attack") == 70_000
        assert game.gas_ceiling("craft") == 0
        assert "attack(address,uint16)" in game.signatures
        assert game.call_template("brew").encode([7]) == game.encode("brew", [7]).data

    def test_behavior_errors_in_the_games_own_words(self) -> None:
        game = quest()
        data = CustomError.parse("NotEnoughGold(uint256 has)").encode(7)
        assert game.decode_revert(data).name == "NotEnoughGold"
        assert game.decode_revert(b"\x01\x02\x03\x04").name == ""
