"""The master key's file and the epochs that it wraps."""

import stat
from pathlib import Path

import pytest

from gamekit.errors import ConfigInvalid, SigningFailed
from gamekit.keys import Keystore
from gamekit.keys.epochs import EPOCH_AGE_S_MAX
from tests.keys.canary import make


def test_open_behavior_makes_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "key"
    keystore = Keystore.open(path)
    make(keystore)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(bytes.fromhex(path.read_text())) == 32
    epochs = tmp_path / "key.epochs"
    assert stat.S_IMODE(epochs.stat().st_mode) == 0o600
    assert len(epochs.read_text().splitlines()) == 1
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["key", "key.epochs"]


def test_open_behavior_opens_again(tmp_path: Path) -> None:
    _, key = make(Keystore.open(tmp_path / "key"))
    first, second = bytearray(32), bytearray(32)
    Keystore.open(tmp_path / "key").unseal_into(key, first)
    Keystore.open(tmp_path / "key").unseal_into(key, second)
    assert first == second != bytes(32)


def test_open_behavior_new_epoch_after_its_age(tmp_path: Path) -> None:
    now = [1_000.0]
    keystore = Keystore.open(tmp_path / "key", now=lambda: now[0])
    _, old = make(keystore)
    now[0] += EPOCH_AGE_S_MAX
    assert make(keystore)[1].sealed[:4] == old.sealed[:4]
    now[0] += 1
    _, new = make(keystore)
    assert new.sealed[:4] == (2).to_bytes(4, "big")
    again = Keystore.open(tmp_path / "key", now=lambda: now[0])
    for key in (old, new):
        again.unseal_into(key, bytearray(32))


def test_open_behavior_a_line_taken_out_shreds_its_keys(tmp_path: Path) -> None:
    now = [1_000.0]
    keystore = Keystore.open(tmp_path / "key", now=lambda: now[0])
    _, old = make(keystore)
    now[0] += EPOCH_AGE_S_MAX + 1
    _, new = make(keystore)
    epochs = tmp_path / "key.epochs"
    epochs.write_text(epochs.read_text().splitlines()[1] + "\n")
    again = Keystore.open(tmp_path / "key", now=lambda: now[0])
    again.unseal_into(new, bytearray(32))
    with pytest.raises(SigningFailed, match="epoch"):
        again.unseal_into(old, bytearray(32))


def test_open_error_readable_by_others(tmp_path: Path) -> None:
    Keystore.open(tmp_path / "key")
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(ConfigInvalid, match="mode 0600, it has mode 0644"):
        Keystore.open(tmp_path / "key")


def test_open_error_symbolic_link(tmp_path: Path) -> None:
    Keystore.open(tmp_path / "key")
    (tmp_path / "link").symlink_to(tmp_path / "key")
    with pytest.raises(ConfigInvalid, match="cannot read the key file"):
        Keystore.open(tmp_path / "link")


@pytest.mark.parametrize("text", ["", "00" * 31, "00" * 33, "zz" * 32])
def test_open_error_malformed(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigInvalid, match="32 bytes in hexadecimal"):
        Keystore.open(path)


def test_open_error_other_master_key(tmp_path: Path) -> None:
    make(Keystore.open(tmp_path / "key"))
    Keystore.open(tmp_path / "other")
    (tmp_path / "other").rename(tmp_path / "key")
    with pytest.raises(ConfigInvalid, match="it is another one"):
        Keystore.open(tmp_path / "key")


def test_open_error_master_key_gone(tmp_path: Path) -> None:
    make(Keystore.open(tmp_path / "key"))
    (tmp_path / "key").unlink()
    with pytest.raises(ConfigInvalid, match="is gone"):
        Keystore.open(tmp_path / "key")


def test_open_error_damaged_epoch(tmp_path: Path) -> None:
    make(Keystore.open(tmp_path / "key"))
    with (tmp_path / "key.epochs").open("a") as file:
        file.write("00ff\n")
    with pytest.raises(ConfigInvalid, match="line 2"):
        Keystore.open(tmp_path / "key")


def test_open_error_no_directory(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="cannot write"):
        Keystore.open(tmp_path / "missing" / "key")
