import pytest

from gamekit.core.asset_selectors import ASSET_FUNCTIONS
from gamekit.core.lint import function_fault, name_fault, needs_classification, says_beneficiary
from gamekit.eth.abi_text import parse_type
from gamekit.eth.interface import Function
from tests.core.games import function_of


class TestNameFault:
    @pytest.mark.parametrize(
        "name",
        [
            "move", "attack", "craft", "buyPotion", "mintHero", "depositOre", "stakeHero", "claim", "claimReward",
            "unlockDoor", "rescuePrincess", "registerPlayer", "moveForward", "whitelist", "enlist", "counselKing",
            "moveTo", "attackFor", "multiAttack",
        ],
    )  # fmt: skip
    def test_default_play(self, name: str) -> None:
        assert name_fault(name) == ""

    @pytest.mark.parametrize(
        "name",
        [
            "sell", "sellItem", "sellERC20", "SellItem", "sell_item", "giftHero", "tradeCards", "bridgeOut", "withdraw",
            "withdrawTo", "emergencyWithdrawal", "transferHero", "safeTransferFrom", "redeemTickets", "cashOut",
            "cashout", "payOut", "approveAll", "setApprovalForAll", "permit", "increaseAllowance", "authorizeKey",
            "setOperator", "transferOwnership", "upgradeTo", "initialize", "multicall", "multicallV2", "delegatecall",
            "aggregate3", "functionCall", "claimTo", "mintFor", "harvestTo", "WITHDRAW", "sweepTokens",
        ],
    )  # fmt: skip
    def test_error_whatever_the_manifest_says(self, name: str) -> None:
        assert name_fault(name)
        assert name_fault(name, "it is harmless")

    @pytest.mark.parametrize(
        "name", ["sendTroops", "swapWeapon", "listQuests", "giveOrder", "offerPrayer", "payTribute", "executeMove"]
    )
    def test_args_harmless(self, name: str) -> None:
        assert "harmless_name" in name_fault(name)
        assert "harmless_name" in name_fault(name, "  ")
        assert name_fault(name, "troops stay yours") == ""


class TestNeedsClassification:
    @pytest.mark.parametrize(
        "kind",
        [
            "address",
            "address[]",
            "address[2]",
            "(uint8,address)",
            "(uint8,(address,bool))[]",
            "bytes",
            "uint160",
            "bytes20",
        ],
    )
    def test_default_types(self, kind: str) -> None:
        assert needs_classification("x", parse_type(kind))

    @pytest.mark.parametrize("name", ["to", "toPlayer", "recipient", "tokenReceiver", "_to", "payeeId", "newSpender"])
    def test_default_names(self, name: str) -> None:
        assert needs_classification(name, parse_type("uint256"))
        assert needs_classification("order", parse_type("uint256")) is False

    @pytest.mark.parametrize(
        ("name", "kind"), [("x", "uint8"), ("", "uint256"), ("words", "string"), ("id", "bytes32")]
    )
    def test_default_neither(self, name: str, kind: str) -> None:
        assert not needs_classification(name, parse_type(kind))

    def test_behavior_beneficiary_is_the_first_or_last_word(self) -> None:
        assert says_beneficiary("recipientOfGold")
        assert not says_beneficiary("stepsToGoal")


class TestFunctionFault:
    def test_default(self) -> None:
        assert function_fault(Function.parse("move(uint8 x)"), function_of()) == ""

    @pytest.mark.parametrize("text", [text for family in ASSET_FUNCTIONS.values() for text in family])
    def test_error_deny_list(self, text: str) -> None:
        assert "deny list" in function_fault(Function.parse(text), function_of(harmless_name="honestly"))

    @pytest.mark.parametrize("mutability", ["view", "pure"])
    def test_error_changes_nothing(self, mutability: str) -> None:
        assert "changes nothing" in function_fault(Function.parse("a()", "", mutability), function_of())

    @pytest.mark.parametrize("kind", ["bytes[]", "bytes[3]", "bytes[][]"])
    def test_error_raw_multicall(self, kind: str) -> None:
        assert "multicall" in function_fault(Function.parse(f"play({kind} calls)"), function_of())

    def test_error_no_meaning(self) -> None:
        assert "meaning" in function_fault(Function.parse("move()"), function_of(" "))

    def test_error_value(self) -> None:
        payable = Function.parse("enter()", "", "payable")
        assert "value_per_call_wei_max" in function_fault(payable, function_of())
        assert function_fault(payable, function_of(value_per_call_wei_max=0)) == ""
        assert "not payable" in function_fault(Function.parse("move()"), function_of(value_per_call_wei_max=1))
        assert function_fault(Function.parse("move()"), function_of(value_per_call_wei_max=0)) == ""

    def test_error_name(self) -> None:
        assert "gives value away" in function_fault(Function.parse("sellItem(uint256 id)"), function_of())
