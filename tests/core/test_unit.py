import msgspec
import pytest
from msgspec.structs import replace

from gamekit.core.manifest import UnitManifest
from gamekit.core.policy import (
    CONFIGURED_PAYMASTER,
    ArgumentRule,
    CallEntry,
    Condition,
    GasPolicy,
    RateLimitPolicy,
    SpendingLimitPolicy,
    TimeFramePolicy,
    UsageLimitPolicy,
    ValueLimitPolicy,
)
from gamekit.core.scope import Scope
from gamekit.core.sponsoring import Sponsoring
from gamekit.core.unit import Unit, raw_scope, raw_unit
from gamekit.errors import ConfigInvalid
from gamekit.units import ZERO_ADDRESS, Address, NonceKey, Wei
from tests.core.games import UNIT, function_of, game_of, quest
from tests.core.scopes import ACCOUNT, ATTACK, GAME, MOVE, PAYMASTER, REVOKER, SIGNER, START, entry, scope_of
from tests.core.towns import BANK, TOWN, town


def unit_of(**settings: object) -> Unit:
    return game_of(units={"play": replace(UNIT, **settings)}).unit("play")


def bind(unit: Unit, account: Address = ACCOUNT, **settings: int) -> Scope:
    minutes = settings.get("minutes")
    return unit.bind(
        account=account, signer=SIGNER, revoker=REVOKER, nonce_key=NonceKey(9), valid_after=START, minutes=minutes
    )


class TestBind:
    def test_default_is_short_and_narrow(self) -> None:
        scope = bind(unit_of())
        assert scope.time == TimeFramePolicy(START, START + 1800)  # type: ignore[arg-type]
        assert {each.target for each in scope.calls.entries} == {GAME}
        assert scope.value == ValueLimitPolicy()
        assert (scope.signer, scope.revoker, scope.nonce_key) == (SIGNER, REVOKER, 9)
        assert scope.gas == GasPolicy(Wei(10**16), Wei(10**15))
        assert scope.rate == RateLimitPolicy(100, 64)
        assert scope.usage == UsageLimitPolicy(64 + 1920 * 10)
        assert Scope.unpack(scope.pack(), ["move(int16,int16)"]) == scope

    def test_args_everything(self) -> None:
        scope = bind(quest().unit("raid"))
        assert scope.gas.paymaster == PAYMASTER
        assert scope.rate == RateLimitPolicy(334, 40)
        assert scope.usage == UsageLimitPolicy(5_000)
        assert scope.value == ValueLimitPolicy(Wei(5 * 10**16), Wei(25 * 10**16))
        gold = SpendingLimitPolicy(0, 1500, 1)
        spending = {each.function for each in scope.calls.entries if gold in each.rules}
        assert spending == {"brew(uint256)", "forge(uint256,uint8)"}
        assert Scope.unpack(scope.pack(), quest().signatures) == scope

    def test_args_minutes(self) -> None:
        assert bind(unit_of(), minutes=5).time.valid_until == START + 300

    @pytest.mark.parametrize("minutes", [0, -1, 31])
    def test_error_minutes(self, minutes: int) -> None:
        with pytest.raises(ConfigInvalid, match="lasts 1 to 30 minutes"):
            bind(unit_of(), minutes=minutes)

    @pytest.mark.parametrize("account", [SIGNER, GAME, ZERO_ADDRESS])
    def test_error_account_is_key_or_game(self, account: Address) -> None:
        with pytest.raises(ConfigInvalid, match="neither the session key nor the game"):
            bind(unit_of(), account)

    def test_behavior_the_explanation_needs_no_key(self) -> None:
        assert "For 30 minutes from its grant" in unit_of().explain()


class TestSponsored:
    """A unit whose gas the game pays."""

    def test_nobody_by_default(self) -> None:
        assert unit_of().sponsoring is None
        assert bind(unit_of()).gas.paymaster is None

    def test_the_configured_paymaster_is_known_once_it_is_bound(self) -> None:
        unit = unit_of(paymaster="configured")
        assert unit.sponsoring == Sponsoring(by_signature=False, limit_wei=Wei(10**16))
        assert unit.policies.gas.paymaster == CONFIGURED_PAYMASTER
        assert "paid by the game's paymaster" in unit.explain()
        scope = unit.bind(
            account=ACCOUNT,
            signer=SIGNER,
            revoker=REVOKER,
            nonce_key=NonceKey(9),
            valid_after=START,
            paymaster=PAYMASTER,
        )
        assert scope.gas == GasPolicy(Wei(10**16), Wei(10**15), PAYMASTER)

    def test_error_none_is_configured(self) -> None:
        with pytest.raises(ConfigInvalid, match="no paymaster is configured"):
            bind(unit_of(paymaster="configured"))

    def test_args(self) -> None:
        unit = unit_of(paymaster="configured", sponsored_by="signature", sponsored_wei_max=7)
        assert unit.sponsoring == Sponsoring(by_signature=True, limit_wei=Wei(7))

    def test_an_address_is_meant_as_it_stands(self) -> None:
        unit = unit_of(paymaster="0x" + PAYMASTER.hex())
        assert unit.sponsoring is not None
        assert bind(unit).gas.paymaster == PAYMASTER

    def test_error_another_way(self) -> None:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({**msgspec.to_builtins(UNIT), "sponsored_by": "magic"}, UnitManifest)


class TestBuildUnit:
    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"meaning": " "}, "has no `meaning`"),
            ({"minutes": 0}, "minutes must be 1 to 43200"),
            ({"minutes": 43_201}, "minutes must be 1 to 43200"),
            ({"burst": 31}, "burst 31 must admit an operation of 32 calls"),
            ({"rate_per_s": 0.0}, "rate_per_s"),
            ({"rate_per_s": -1.0}, "rate_per_s"),
            ({"rate_per_s": 1001.0}, "rate_per_s"),
            ({"rate_per_s": float("nan")}, "rate_per_s"),
            ({"calls_max": 65, "burst": 65}, "calls_max must be 1 to 64"),
            ({"gas_budget_wei": 0}, "gas budget_wei must be 1"),
            ({"gas_per_operation_wei_max": 10**17}, "gas per_operation_wei_max must be 1"),
            ({"uses_max": 0}, "uses_max must be 1"),
            ({"paymaster": "0x01"}, "paymaster"),
            ({"sponsored_wei_max": 5}, "sponsored_wei_max needs a paymaster"),
            ({"paymaster": "configured", "sponsored_wei_max": 0}, "sponsored_wei_max must be 1"),
            ({"paymaster": "configured", "sponsored_wei_max": 1 << 96}, "sponsored_wei_max must be 1"),
            ({"value_total_wei_max": 5}, "value needs both caps"),
            ({"functions": ()}, "number of entries must be 1"),
            ({"functions": ("fly",)}, "not play"),
            ({"functions": ("move", "move")}, "named twice"),
        ],
    )
    def test_error(self, settings: dict[str, object], words: str) -> None:
        with pytest.raises(ConfigInvalid, match=f"unit play: .*{words}"):
            unit_of(**settings)

    @pytest.mark.parametrize(
        ("rate", "interval_ms"), [(20.0, 50), (3.0, 334), (1000.0, 1), (0.5, 2000), (0.01, 100_000)]
    )
    def test_behavior_never_faster_than_the_manifest_says(self, rate: float, interval_ms: int) -> None:
        found = unit_of(rate_per_s=rate).policies.rate
        assert found is not None
        assert found.interval_ms == interval_ms

    def test_behavior_the_largest_budget_keeps_a_smallest_operation(self) -> None:
        assert unit_of(gas_budget_wei=5).policies.gas == GasPolicy(Wei(5), Wei(1))
        assert unit_of(gas_budget_wei=5, gas_per_operation_wei_max=4).policies.gas == GasPolicy(Wei(5), Wei(4))

    def test_error_value_caps_differ(self) -> None:
        functions = {
            "enter": function_of(value_per_call_wei_max=1),
            "wager": function_of(value_per_call_wei_max=2),
        }
        unit = replace(UNIT, functions=("enter", "wager"), value_total_wei_max=5)
        with pytest.raises(ConfigInvalid, match=r"differently: \[1, 2\]; split"):
            game_of(functions, {"play": unit})

    def test_error_value_per_call_without_a_total(self) -> None:
        functions = {"enter": function_of(value_per_call_wei_max=1)}
        with pytest.raises(ConfigInvalid, match="value needs both caps"):
            game_of(functions, {"play": replace(UNIT, functions=("enter",))})

    def test_behavior_a_payable_function_without_value(self) -> None:
        functions = {"enter": function_of(value_per_call_wei_max=0)}
        game = game_of(functions, {"play": replace(UNIT, functions=("enter",))})
        assert game.unit("play").policies.value == ValueLimitPolicy()

    def test_error_too_many_things_counted(self) -> None:
        rules = {"gold": {"total_at_most": 1}, "metal": {"total_at_most": 1}}
        functions = {
            "forge": function_of(rules=rules),
            "enter": function_of(value_per_call_wei_max=1),
        }
        assert game_of(functions, {"play": replace(UNIT, functions=("forge",))}).unit("play").counted == (
            "forge.gold",
            "forge.metal",
        )
        unit = replace(UNIT, functions=("forge", "enter"), value_total_wei_max=5)
        with pytest.raises(ConfigInvalid, match="at most 2 things can be counted"):
            game_of(functions, {"play": unit})

    def test_error_shared_caps_that_differ(self) -> None:
        functions = {
            "brew": function_of(rules={"gold": {"total_at_most": 1, "of": "gold"}}),
            "forge": function_of(rules={"gold": {"total_at_most": 2, "of": "gold"}}),
        }
        with pytest.raises(ConfigInvalid, match="limits that share lane 0 must be equal"):
            game_of(functions, {"play": replace(UNIT, functions=("brew", "forge"))})


class TestSeveralContracts:
    def test_default_entries_ascend_by_contract_and_selector(self) -> None:
        entries = town().unit("all").policies.calls.entries
        keys = [each.target + each.selector for each in entries]
        assert len(keys) == 20
        assert keys == sorted(set(keys))
        assert [each.target for each in entries] == [BANK] * 10 + [TOWN] * 10

    def test_behavior_the_account_is_none_of_them(self) -> None:
        for target in (TOWN, BANK):
            with pytest.raises(ConfigInvalid, match="neither the session key nor the game"):
                town().unit("two").bind(
                    account=target, signer=SIGNER, revoker=REVOKER, nonce_key=NonceKey(1), valid_after=START
                )

    def test_behavior_a_raw_scope_takes_each_contracts_own(self) -> None:
        scope = scope_of(entry("play3(uint256)", target=TOWN), entry("play4(uint256)", target=BANK))
        assert [each.key for each in raw_unit(town(), scope, 30, "play").functions] == ["bank.play4", "play3"]

    def test_error_a_raw_scope_with_another_contract(self) -> None:
        with pytest.raises(ConfigInvalid, match="is not play in town"):
            raw_unit(town(), scope_of(entry("play3(uint256)", target=GAME)), 30, "play")


class TestRawScope:
    def test_default(self) -> None:
        scope = scope_of(entry(MOVE), entry(ATTACK))
        assert raw_scope(scope) is scope

    def test_args_addresses_are_pinned_or_references(self) -> None:
        hire = "hire(uint8[2],address,address)"
        pinned = ArgumentRule(2, Condition.PINNED_TO_ACCOUNT)
        scope = scope_of(entry(hire, pinned, SpendingLimitPolicy(0, 1, 0), ArgumentRule(3, Condition.EQUAL)))
        with pytest.raises(ConfigInvalid, match="argument 2 may name"):
            raw_scope(scope)
        assert raw_scope(scope, {(hire, 2)}) is scope

    @pytest.mark.parametrize(
        ("function", "words"),
        [
            ("approve(address,uint256)", "may name"),
            ("withdraw(uint256)", "deny list"),
            ("sellItem(uint256)", "gives value away"),
            ("multicall(bytes[])", "may name"),
        ],
    )
    def test_error_by_the_same_list_and_names(self, function: str, words: str) -> None:
        with pytest.raises(ConfigInvalid, match=words):
            raw_scope(scope_of(entry(function)))

    def test_error_no_signature(self) -> None:
        with pytest.raises(ConfigInvalid, match="needs its signature text"):
            raw_scope(scope_of(CallEntry(GAME, b"abcd")))

    def test_error_what_the_contract_would_refuse(self) -> None:
        with pytest.raises(ConfigInvalid, match="raw scope: calls_max"):
            raw_scope(scope_of(calls_max=0))
