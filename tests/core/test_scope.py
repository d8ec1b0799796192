import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gamekit.core import scope as scope_module
from gamekit.core.policy import (
    ArgumentRule,
    CallEntry,
    CallPolicy,
    Condition,
    GasPolicy,
    RateLimitPolicy,
    SpendingLimitPolicy,
    TimeFramePolicy,
    UsageLimitPolicy,
    ValueLimitPolicy,
)
from gamekit.core.scope import Scope, grant_fault, lane_limits, scope_fault
from gamekit.errors import ConfigInvalid, EncodingInvalid
from gamekit.eth.entry_point_version import CANONICAL_ENTRY_POINTS
from gamekit.eth.hashing import parse_hex, selector
from gamekit.units import ZERO_ADDRESS, Address, UnixSeconds, Wei
from tests.core.scopes import ACCOUNT, ATTACK, GAME, MOVE, PAYMASTER, START, entry, scope_of, scopes


class TestPack:
    def test_default(self) -> None:
        packed = scope_of(entry(MOVE)).pack()
        words = [packed[at : at + 32].hex() for at in range(0, len(packed), 32)]
        assert words == [
            "51" * 20 + "00006b49d200" + "00006b49d908",
            "52" * 20 + "01" + "20" + "01" + "00" + "0040" + "00" * 6,
            f"{7:048x}" + "000003e8" + "00000032",
            f"{10**16:032x}" + f"{10**15:032x}",
            "00" * 32,
            "00" * 32,
            "6a" * 20 + selector(MOVE).hex() + "00" + "00" + "00" * 6,
        ]

    def test_args_rules(self) -> None:
        pinned = ArgumentRule(3, Condition.PINNED_TO_ACCOUNT)
        spent = SpendingLimitPolicy(argument=1, total_max=500, lane=1)
        packed = scope_of(entry(ATTACK, pinned, spent)).pack()
        assert packed[55] == 2
        assert packed[192:224] == GAME + selector(ATTACK) + b"\x00\x02" + bytes(6)
        assert packed[224:288] == b"\x03\x05" + bytes(62)
        assert packed[288:] == b"\x01\x06\x01" + bytes(29) + (500).to_bytes(32, "big")

    def test_args_rules_of_several_entries_stand_one_after_another(self) -> None:
        equal = ArgumentRule(0, Condition.EQUAL, 9)
        packed = scope_of(entry(ATTACK, equal, equal), entry(MOVE, equal)).pack()
        counts = [packed[192 + 24 : 192 + 26], packed[224 + 24 : 224 + 26]]
        assert sorted(counts) in ([b"\x00\x01", b"\x01\x02"], [b"\x00\x02", b"\x02\x01"])
        assert len(packed) == 192 + 2 * 32 + 3 * 64

    def test_args_value_and_paymaster(self) -> None:
        scope = scope_of(value=ValueLimitPolicy(Wei(2), Wei(5)), gas=GasPolicy(Wei(9), Wei(3), PAYMASTER), rate=None)
        packed = scope.pack()
        assert packed[128:160] == (5).to_bytes(16, "big") + (2).to_bytes(16, "big")
        assert packed[160:192] == PAYMASTER + bytes(12)
        assert packed[56:58] == bytes(2)
        assert packed[92:96] == bytes(4)

    @pytest.mark.slow
    @given(scopes())
    def test_behavior_unpack_gives_the_scope_again(self, scope: Scope) -> None:
        packed = scope.pack()
        assert Scope.unpack(packed) == scope
        assert len(packed) == 192 + 32 * packed[54] + 64 * packed[55]


OUT_OF_BOUNDS: dict[str, dict[str, object]] = {
    "valid_until": {"time": TimeFramePolicy(START, START)},
    "valid_after": {"time": TimeFramePolicy(UnixSeconds(-1), START)},
    "calls_max": {"calls_max": 65},
    "nonce_key": {"nonce_key": 1 << 192},
    "uses_max": {"usage": UsageLimitPolicy(0)},
    "gas budget_wei": {"gas": GasPolicy(Wei(1 << 128), Wei(1))},
    "gas per_operation_wei_max": {"gas": GasPolicy(Wei(5), Wei(6))},
    "value total_wei_max": {"value": ValueLimitPolicy(Wei(1), Wei(1 << 128))},
    "value per_call_wei_max": {"value": ValueLimitPolicy(Wei(0), Wei(5))},
    "number of entries": {"calls": CallPolicy(())},
    "number of rules": {"calls": CallPolicy((entry(MOVE, *(ArgumentRule(0, Condition.EQUAL),) * 256),))},
    "interval_ms": {"rate": RateLimitPolicy(0, 64)},
    "burst must": {"rate": RateLimitPolicy(50, 31)},
    "burst after the end": {
        "time": TimeFramePolicy(START, UnixSeconds(2**48 // 1000 - 1)),
    },
    "signer": {"signer": ZERO_ADDRESS},
    "revoker": {"revoker": Address(b"\x01")},
    "paymaster": {"gas": GasPolicy(Wei(5), Wei(5), ZERO_ADDRESS)},
    "an entry is a target": {"calls": CallPolicy((CallEntry(ZERO_ADDRESS, b"abcd"),))},
    "a selector of 4": {"calls": CallPolicy((CallEntry(GAME, b"abc"),))},
    "must ascend": {"calls": CallPolicy((CallEntry(GAME, b"abcd"), CallEntry(GAME, b"abcd")))},
    "has the selector": {"calls": CallPolicy((CallEntry(GAME, b"abcd", MOVE),))},
    "argument must be": {"calls": CallPolicy((CallEntry(GAME, b"abcd", "", (ArgumentRule(256, Condition.EQUAL),)),))},
    "the value of a rule": {"calls": CallPolicy((entry(MOVE, ArgumentRule(0, Condition.PINNED_TO_ACCOUNT, 1)),))},
    "a spending limit": {"calls": CallPolicy((entry(MOVE, SpendingLimitPolicy(0, 1 << 128, 0)),))},
    "lane must be": {"calls": CallPolicy((entry(MOVE, SpendingLimitPolicy(0, 1, 2)),))},
    "share lane": {"calls": CallPolicy((entry(MOVE, SpendingLimitPolicy(0, 1, 0), SpendingLimitPolicy(0, 2, 0)),))},
    "counts the value": {
        "calls": CallPolicy((entry(MOVE, SpendingLimitPolicy(0, 5, 0)),)),
        "value": ValueLimitPolicy(Wei(1), Wei(5)),
    },
}


class TestScopeFault:
    def test_default(self) -> None:
        assert scope_fault(scope_of()) == ""

    @pytest.mark.parametrize("words", OUT_OF_BOUNDS)
    def test_error_out_of_bounds(self, words: str) -> None:
        scope = scope_of(**OUT_OF_BOUNDS[words])
        assert words in scope_fault(scope)
        with pytest.raises(ConfigInvalid, match="scope: "):
            scope.pack()

    def test_behavior_limits_that_are_equal_may_share_a_lane(self) -> None:
        shared = SpendingLimitPolicy(0, 5, 1)
        assert scope_fault(scope_of(entry(MOVE, shared), entry(ATTACK, shared))) == ""


class TestUnpack:
    def test_args_functions_name_entries(self) -> None:
        scope = scope_of(entry(MOVE), entry(ATTACK))
        assert Scope.unpack(scope.pack(), (ATTACK, MOVE, "unused()")) == scope

    @pytest.mark.slow
    @given(scopes(), st.data())
    def test_error_any_changed_length(self, scope: Scope, data: st.DataObject) -> None:
        packed = scope.pack()
        cut = data.draw(st.integers(0, len(packed) - 1))
        for other in (packed[:cut], packed + b"\x00"):
            with pytest.raises(EncodingInvalid):
                Scope.unpack(other)

    @pytest.mark.slow
    @given(scopes(), st.data())
    def test_behavior_what_is_read_packs_to_the_same_bytes(self, scope: Scope, data: st.DataObject) -> None:
        changed = bytearray(scope.pack())
        changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
        with suppress(EncodingInvalid):
            assert Scope.unpack(bytes(changed)).pack() == changed

    @pytest.mark.parametrize("at", [*range(58, 64), *range(180, 192), *range(218, 224), 224 + 2, *range(227, 256)])
    def test_error_reserved_byte(self, at: int) -> None:
        changed = bytearray(scope_of(entry(MOVE, ArgumentRule(0, Condition.EQUAL, 1))).pack())
        changed[at] = 1
        with pytest.raises(EncodingInvalid):
            Scope.unpack(bytes(changed))

    @pytest.mark.parametrize(("at", "byte"), [(52, 2), (225, 7), (216, 1), (217, 0)])
    def test_error_version_condition_or_rule_range(self, at: int, byte: int) -> None:
        changed = bytearray(scope_of(entry(MOVE, ArgumentRule(0, Condition.EQUAL, 1))).pack())
        changed[at] = byte
        with pytest.raises(EncodingInvalid):
            Scope.unpack(bytes(changed))

    def test_behavior_the_work_is_in_proportion_to_the_bytes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """255 entries that each claim all 255 rules: 24 KB that would be 65,025 rules."""
        work = 0
        for name in ("_unpack_rule", "_rule_fault", "_pack_rule"):
            step = getattr(scope_module, name)

            def counted(data: Any, step: Any = step) -> Any:
                nonlocal work
                work += 1
                return step(data)

            monkeypatch.setattr(scope_module, name, counted)
        entries = b"".join(
            bytes(16) + at.to_bytes(4, "big") + selector(MOVE) + bytes((0, 255, *bytes(6))) for at in range(1, 256)
        )
        header = scope_of(entry(MOVE)).pack()[:192]
        shared = header[:54] + b"\xff\xff" + header[56:] + entries + bytes(255 * 64)
        with pytest.raises(EncodingInvalid, match="begin at 0, those of the entry before end at 255"):
            Scope.unpack(shared)
        assert 0 < work <= len(shared) // 64
        work, rules = 0, (ArgumentRule(0, Condition.EQUAL, 1),) * 20
        honest = scope_of(entry(MOVE, *rules), entry(ATTACK, *rules))
        assert Scope.unpack(honest.pack()) == replace(
            honest, calls=CallPolicy(tuple(replace(each, function="") for each in honest.calls.entries))
        )
        assert 0 < work <= 6 * 40, "read once, checked and written at most twice"

    def test_error_burst_without_a_pace(self) -> None:
        changed = bytearray(scope_of(rate=None).pack())
        changed[57] = 64
        with pytest.raises(EncodingInvalid, match="canonical"):
            Scope.unpack(bytes(changed))


class TestGrantFault:
    MODULE = Address(b"\x5e" * 20)

    def test_default(self) -> None:
        assert grant_fault(scope_of(), ACCOUNT, self.MODULE, START) == ""

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"calls_max": 0}, "calls_max must be"),
            ({"signer": ACCOUNT}, "cannot be the account or the module"),
            ({"signer": MODULE}, "cannot be the account or the module"),
            ({"calls": CallPolicy((entry(MOVE, target=ACCOUNT),))}, "no session may call"),
            ({"calls": CallPolicy((entry(MOVE, target=MODULE),))}, "no session may call"),
            ({"calls": CallPolicy((entry(MOVE, target=min(CANONICAL_ENTRY_POINTS)),))}, "no session may call"),
            ({"calls": CallPolicy((entry("withdraw(uint256)"),))}, "no session may call withdraw"),
        ],
    )
    def test_error(self, changes: dict[str, object], words: str) -> None:
        assert words in grant_fault(scope_of(**changes), ACCOUNT, self.MODULE, START)

    @pytest.mark.parametrize(
        ("now", "allowed"),
        [
            (START + 1800, True),
            (START + 1801, False),
            (START + 1800 - 30 * 86400, True),
            (START + 1799 - 30 * 86400, False),
        ],
    )
    def test_args_now(self, now: int, allowed: bool) -> None:
        assert (grant_fault(scope_of(), ACCOUNT, self.MODULE, UnixSeconds(now)) == "") == allowed


STRICTER = {"two games, rules on each": "the rules stand in another order than their entries; the contract takes any"}
"""Scopes that the contract grants and Python does not write or read, each with the reason."""


def number(text: object) -> int:
    return int(str(text), 0)


class TestVectors:
    """Scopes that the contract has granted, and others that it has refused."""

    VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "session_scope.json").read_text())

    @pytest.mark.parametrize("vector", VECTORS["scopes"], ids=lambda vector: str(vector["name"]))
    def test_granted(self, vector: dict[str, Any]) -> None:
        packed, fields = parse_hex(vector["scope"]), vector["fields"]
        if vector["name"] in STRICTER:
            with pytest.raises(EncodingInvalid, match="canonical"):
                Scope.unpack(packed)
            return
        scope = Scope.unpack(packed, vector["grant"]["functions"])
        assert scope.pack() == packed
        account, module = (Address(parse_hex(self.VECTORS[each])) for each in ("account", "module"))
        assert grant_fault(scope, account, module, self.VECTORS["granted_at"]) == ""
        assert [each.function for each in scope.calls.entries] == vector["grant"]["functions"]
        rate = scope.rate or RateLimitPolicy(0, 0)
        assert {
            "signer": scope.signer,
            "valid_after": scope.time.valid_after,
            "valid_until": scope.time.valid_until,
            "revoker": scope.revoker,
            "calls_max": scope.calls_max,
            "burst": rate.burst,
            "nonce_key": scope.nonce_key,
            "uses_max": scope.usage.uses_max,
            "rate_interval_ms": rate.interval_ms,
            "gas_budget_wei": scope.gas.budget_wei,
            "gas_per_operation_wei_max": scope.gas.per_operation_wei_max,
            "value_total_wei_max": scope.value.total_wei_max,
            "value_per_call_wei_max": scope.value.per_call_wei_max,
            "paymaster": scope.gas.paymaster or ZERO_ADDRESS,
        } == {
            name: parse_hex(value) if name in ("signer", "revoker", "paymaster") else number(value)
            for name, value in fields.items()
            if name not in ("entries", "rules")
        }
        rules = [rule for each in scope.calls.entries for rule in each.rules]
        assert [_rule(rule) for rule in rules] == [
            (each["argument"], each["condition"], each["lane"], number(each["value"])) for each in fields["rules"]
        ]

    @pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda vector: str(vector["name"]))
    def test_refused(self, vector: dict[str, str]) -> None:
        account, module = (Address(parse_hex(self.VECTORS[each])) for each in ("account", "module"))
        try:
            scope = Scope.unpack(parse_hex(vector["scope"]))
        except EncodingInvalid:
            return
        assert grant_fault(scope, account, module, self.VECTORS["granted_at"])


def _rule(rule: ArgumentRule | SpendingLimitPolicy) -> tuple[int, int, int, int]:
    if isinstance(rule, SpendingLimitPolicy):
        return rule.argument, 6, rule.lane, rule.total_max
    return rule.argument, rule.condition, 0, rule.value


class TestLaneLimits:
    def test_default(self) -> None:
        assert lane_limits(scope_of()) == (0, 0)

    def test_args_value_and_spending(self) -> None:
        scope = scope_of(entry(MOVE, SpendingLimitPolicy(0, 9, 1)), value=ValueLimitPolicy(Wei(1), Wei(5)))
        assert lane_limits(scope) == (5, 9)
