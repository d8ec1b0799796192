"""Compiled contracts are found by name."""

import pytest

from gamekit.contracts import FOLDERS, artifact
from gamekit.errors import ConfigInvalid


def test_artifact_default_ours_with_abi_and_both_codes() -> None:
    gold = artifact("Gold")
    assert gold.name == "Gold"
    assert 0 < len(gold.deployed_bytecode) < len(gold.bytecode)
    assert "mint" in {entry.get("name") for entry in gold.abi}


@pytest.mark.parametrize("name", ["EntryPoint06", "EntryPoint07", "EntryPoint08"])
def test_artifact_behaviour_entry_points_from_the_devnet_folder(name: str) -> None:
    assert "handleOps" in {entry.get("name") for entry in artifact(name).abi}


def test_artifact_behaviour_is_read_once() -> None:
    assert artifact("Gold") is artifact("Gold")


def test_artifact_error_unknown_name() -> None:
    with pytest.raises(ConfigInvalid, match="no compiled contract 'Silver'"):
        artifact("Silver")


def test_artifacts_behaviour_nothing_of_others_is_shipped() -> None:
    shipped, devnet_only = ({path.stem for path in folder.glob("*.json")} for folder in FOLDERS)
    assert {"EntryPoint06", "EntryPoint07", "EntryPoint08", "Nexus"} <= devnet_only
    assert not shipped & devnet_only
