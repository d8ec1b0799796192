"""What differs between EntryPoints."""

from gamekit.eth.entry_point_version import CANONICAL_ENTRY_POINTS, EntryPointVersion
from gamekit.eth.hashing import checksum_address


def test_canonical_address_default() -> None:
    # Source: ERC-4337.
    assert [checksum_address(version.canonical_address) for version in EntryPointVersion] == [
        "0x5FF137D4b0FDCD49DcA30c7CF57E578a026d2789",
        "0x0000000071727De22E5E9d8BAf0edAc6f37da032",
        "0x4337084D9E255Ff0702461CF8895CE9E3b5Ff108",
        "0x433709009B8330FDa32311DF1C2AFA402eD8D009",
    ]
    assert {version.canonical_address for version in EntryPointVersion} == CANONICAL_ENTRY_POINTS


def test_version_default() -> None:
    assert [version.value for version in EntryPointVersion] == ["0.6", "0.7", "0.8", "0.9"]
    assert [version.is_packed for version in EntryPointVersion] == [False, True, True, True]
    assert [version.is_typed_data for version in EntryPointVersion] == [False, False, True, True]
