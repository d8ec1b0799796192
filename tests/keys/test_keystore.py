"""Keys are made, sealed and read from files."""

from pathlib import Path

import pytest

from gamekit.errors import ConfigInvalid, SigningFailed
from gamekit.eth.signature import CURVE_ORDER
from gamekit.keys import Keystore, StoredKey
from gamekit.keys import keystore as keystore_module
from gamekit.keys.secp256k1 import address_of
from gamekit.units import Address
from tests.keys.canary import Canary, bind, make

FIRST_ADDRESS = "7e5f4552091a69125d5dfcb7b8c2659029395bdf"
"""The address of private key 1."""


def relayers_file(tmp_path: Path, text: str, mode: int = 0o600) -> Path:
    path = tmp_path / "relayers"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_make_default(keystore: Keystore) -> None:
    address, key = make(keystore)
    secret = bytearray(32)
    keystore.unseal_into(key, secret)
    assert address_of(secret) == address
    assert key.binding == bind(address)
    assert len(key.sealed) == 4 + 12 + 32 + 16


def test_has_sealed_behavior_also_by_an_earlier_process(tmp_path: Path) -> None:
    assert not Keystore.open(tmp_path / "key").has_sealed
    make(Keystore.open(tmp_path / "key"))
    assert Keystore.open(tmp_path / "key").has_sealed


def test_make_behavior_keys_and_nonces_differ(keystore: Keystore) -> None:
    made = [make(keystore) for _ in range(20)]
    assert len({address for address, _ in made}) == 20
    assert len({key.sealed[4:16] for _, key in made}) == 20


@pytest.mark.parametrize("first", [0, CURVE_ORDER, CURVE_ORDER + 1, (1 << 256) - 1])
def test_make_behavior_draws_again(tmp_path: Path, first: int) -> None:
    canary = Canary()
    keystore = Keystore.open(tmp_path / "key", fill=canary)
    draws: list[int] = []

    def fill(buffer: bytearray) -> None:
        canary(buffer)
        if len(buffer) == 32:
            draws.append(1)
            if len(draws) == 1:
                buffer[:] = first.to_bytes(32, "big")

    keystore._fill = fill
    make(keystore)
    assert len(draws) == 2


def test_make_error_binding_without_address(keystore: Keystore) -> None:
    with pytest.raises(SigningFailed, match="must end with the address"):
        keystore.make(lambda address: address + b"more")


def test_make_behavior_epoch_ends_after_many(keystore: Keystore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keystore_module, "EPOCH_SEALS_MAX", 3)
    keys = [make(keystore)[1] for _ in range(7)]
    assert [key.sealed[3] for key in keys] == [1, 1, 1, 2, 2, 2, 3]
    for key in keys:
        keystore.unseal_into(key, bytearray(32))


def test_unseal_error_epoch_gone(keystore: Keystore) -> None:
    _, key = make(keystore)
    with pytest.raises(SigningFailed, match="epoch"):
        keystore.unseal_into(StoredKey(b"\xff" * 4 + key.sealed[4:], key.binding), bytearray(32))


def test_unseal_error_leaves_nothing(keystore: Keystore) -> None:
    _, key = make(keystore)
    buffer = bytearray(b"\xff" * 32)
    with pytest.raises(SigningFailed):
        keystore.unseal_into(StoredKey(key.sealed, b"elsewhere"), buffer)
    assert buffer == bytes(32)


def test_relayers_default(keystore: Keystore, tmp_path: Path) -> None:
    path = relayers_file(tmp_path, f"# gas money\n\n0x{1:064x}\n  {2:064X}\r\n")
    keys = keystore.relayers(path)
    assert [address.hex() for address in keys] == [FIRST_ADDRESS, "2b5ad5c4795c026514f8317c7a215e218dccd6cf"]
    secret = bytearray(32)
    keystore.unseal_into(keys[Address(bytes.fromhex(FIRST_ADDRESS))], secret)
    assert secret == (1).to_bytes(32, "big")


def test_relayers_behavior_sealed_for_this_process(keystore: Keystore, tmp_path: Path) -> None:
    path = relayers_file(tmp_path, f"{1:064x}")
    key = next(iter(keystore.relayers(path).values()))
    with pytest.raises(SigningFailed):
        Keystore.open(tmp_path / "gamekit.key").unseal_into(key, bytearray(32))


@pytest.mark.parametrize(
    "line", ["0" * 64, f"{CURVE_ORDER:x}", "1" * 63, "1" * 65, "g" * 64, "0x", "secret", f"{1:064x} {2:064x}"]
)
def test_relayers_error_line(keystore: Keystore, tmp_path: Path, line: str) -> None:
    path = relayers_file(tmp_path, f"{1:064x}\n{line}\n")
    with pytest.raises(ConfigInvalid, match="line 2") as caught:
        keystore.relayers(path)
    assert line not in str(caught.value).replace(str(path), "")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o700])
def test_relayers_error_mode(keystore: Keystore, tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigInvalid, match=f"has mode {mode:04o}"):
        keystore.relayers(relayers_file(tmp_path, f"{1:064x}", mode))
