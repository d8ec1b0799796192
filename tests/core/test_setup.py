import pytest
from msgspec.structs import replace

from gamekit.config import ChainConfig, StackConfig
from gamekit.core.setup import chain_setup
from gamekit.errors import ConfigInvalid
from gamekit.eth.entry_point_version import EntryPointVersion

PLACES = [f"0x{digit * 40}" for digit in "123456"]
REFERENCE = StackConfig("reference", "0.7", PLACES[0], PLACES[1], PLACES[2])
REFERENCE_08 = replace(REFERENCE, entry_point_version="0.8", entry_point=PLACES[5])
NEXUS = StackConfig("nexus", "0.7", PLACES[0], PLACES[1], PLACES[2], PLACES[3])


def chain(*stacks: StackConfig, **changes: object) -> ChainConfig:
    plain = ChainConfig(session_validator=PLACES[4], session_opener=PLACES[3], stacks=stacks)
    return replace(plain, **changes)


def test_default() -> None:
    setup = chain_setup(chain(REFERENCE, NEXUS))
    assert setup.chain_id == 31337
    assert (setup.session_validator, setup.opener) == (b"\x55" * 20, b"\x44" * 20)
    first, second = setup.stacks
    assert (first.name, first.version, first.entry_point) == ("reference", EntryPointVersion.V07, b"\x11" * 20)
    assert (first.contracts.factory, first.contracts.owner_validator) == (b"\x22" * 20, b"\x33" * 20)
    assert first.contracts.session_validator == setup.session_validator
    assert (first.contracts.bootstrap, second.contracts.bootstrap) == (None, b"\x44" * 20)


def test_an_account_whose_own_key_is_the_owner_has_no_owner_validator() -> None:
    own = replace(REFERENCE_08, stack="reference_7702", owner_validator="")
    assert chain_setup(chain(own)).stacks[0].contracts.owner_validator == bytes(20)
    with pytest.raises(ConfigInvalid, match="owner_validator"):
        chain_setup(chain(replace(own, owner_validator="0x12")))


def test_every_entry_point_counts() -> None:
    assert chain_setup(chain(REFERENCE, REFERENCE_08, NEXUS)).entry_points == {b"\x11" * 20, b"\x66" * 20}


def test_paymasters() -> None:
    assert chain_setup(chain(REFERENCE, NEXUS)).paymasters == {}
    both = chain_setup(
        chain(replace(REFERENCE, paymaster=PLACES[1]), replace(NEXUS, paymaster=PLACES[1]), REFERENCE_08)
    )
    assert both.paymasters == {b"\x22" * 20: b"\x11" * 20}
    assert [each.paymaster for each in both.stacks] == [b"\x22" * 20, b"\x22" * 20, None]


class TestStack:
    @pytest.mark.parametrize(
        ("asked", "place"), [(("", ""), 0), (("nexus", ""), 2), (("", "0.8"), 1), (("reference", "0.8"), 1)]
    )
    def test_the_first_that_fits(self, asked: tuple[str, str], place: int) -> None:
        setup = chain_setup(chain(REFERENCE, REFERENCE_08, NEXUS))
        assert setup.stack(*asked) is setup.stacks[place]

    @pytest.mark.parametrize("asked", [("nexus", "0.8"), ("kernel", ""), ("", "0.6")])
    def test_what_is_not_configured_is_named_beside_what_is(self, asked: tuple[str, str]) -> None:
        with pytest.raises(ConfigInvalid) as refused:
            chain_setup(chain(REFERENCE, NEXUS)).stack(*asked)
        assert refused.value.compared["known"] == ["reference on 0.7", "nexus on 0.7"]


class TestInvalid:
    @pytest.mark.parametrize(
        ("config", "setting"),
        [
            (chain(REFERENCE, session_validator=""), "chain.session_validator"),
            (chain(replace(REFERENCE, factory="0x12")), "chain.stacks reference on 0.7: factory"),
            (chain(replace(REFERENCE, entry_point="x")), "chain.stacks reference on 0.7: entry_point"),
            (chain(replace(REFERENCE, owner_validator="")), "chain.stacks reference on 0.7: owner_validator"),
            (chain(replace(NEXUS, bootstrap="0x")), "chain.stacks nexus on 0.7: bootstrap"),
            (chain(replace(NEXUS, paymaster="0x1")), "chain.stacks nexus on 0.7: paymaster"),
        ],
    )
    def test_the_setting_is_named(self, config: ChainConfig, setting: str) -> None:
        with pytest.raises(ConfigInvalid) as refused:
            chain_setup(config)
        assert refused.value.compared["setting"] == setting
        assert setting in str(refused.value)

    def test_an_unknown_entry_point(self) -> None:
        with pytest.raises(ConfigInvalid, match="entry_point_version") as refused:
            chain_setup(chain(replace(REFERENCE, entry_point_version="0.5")))
        assert "0.7" in str(refused.value.compared["known"])
