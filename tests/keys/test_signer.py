"""Signatures: right, deterministic, bound to their row, and without a trace of the key."""

import json
import logging
import os
import pickle
import traceback
from hashlib import sha256
from pathlib import Path

import coincurve
import pytest

from gamekit.errors import SigningFailed
from gamekit.eth.signature import S_MAX, parse_signature, recover_address
from gamekit.keys import Keystore, LocalSigner, StoredKey
from gamekit.keys import signer as signer_module
from gamekit.keys.secp256k1 import recover
from gamekit.units import Address, Hash32
from tests.keys.canary import DIGEST, Canary, make

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "rfc6979_secp256k1.json").read_text())["vectors"]


def relayer(keystore: Keystore, tmp_path: Path, secret: str) -> StoredKey:
    """Give a keystore one particular key, as relayers' keys come in."""
    path = tmp_path / "relayers"
    path.write_text(secret)
    path.chmod(0o600)
    return next(iter(keystore.relayers(path).values()))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["message"][:20])
def test_sign_vectors(keystore: Keystore, signer: LocalSigner, tmp_path: Path, vector: dict[str, str]) -> None:
    key = relayer(keystore, tmp_path, vector["secret"])
    signature = signer.sign(key, Hash32(sha256(vector["message"].encode()).digest()))
    assert signature[:64].hex() == vector["r"] + vector["s"]


def test_sign_behavior_equals_coincurve(keystore: Keystore, signer: LocalSigner) -> None:
    for n in range(50):
        _, key = make(keystore)
        digest = Hash32(sha256(bytes([n])).digest())
        secret = bytearray(32)
        keystore.unseal_into(key, secret)
        expected = coincurve.PrivateKey(bytes(secret)).sign_recoverable(digest, hasher=None)
        assert signer.sign(key, digest) == expected[:64] + bytes([27 + expected[64]])


def test_sign_behavior_recovers_to_the_address(keystore: Keystore, signer: LocalSigner) -> None:
    address, key = make(keystore)
    signature = signer.sign(key, DIGEST)
    assert recover_address(DIGEST, signature) == address
    assert parse_signature(signature).s <= S_MAX


def test_sign_behavior_same_bytes_again(keystore: Keystore, tmp_path: Path) -> None:
    _, key = make(keystore)
    again = Keystore.open(tmp_path / "gamekit.key")
    assert LocalSigner(keystore).sign(key, DIGEST) == LocalSigner(again).sign(key, DIGEST)


def test_sign_many_default(keystore: Keystore, signer: LocalSigner) -> None:
    keys = [make(keystore)[1] for _ in range(5)]
    digests = [Hash32(sha256(bytes([n])).digest()) for n in range(5)]
    assert signer.sign_many(keys, digests) == [signer.sign(*pair) for pair in zip(keys, digests, strict=True)]
    assert signer.sign_many((), ()) == []


def test_sign_many_error_other_lengths(keystore: Keystore, signer: LocalSigner) -> None:
    with pytest.raises(SigningFailed, match="1 keys for 0 digests"):
        signer.sign_many((make(keystore)[1],), ())


def test_sign_many_error_one_of_them(keystore: Keystore, signer: LocalSigner) -> None:
    good = make(keystore)[1]
    with pytest.raises(SigningFailed):
        signer.sign_many((good, StoredKey(good.sealed, b"elsewhere"), good), (DIGEST,) * 3)


def test_sign_error_row_swap(keystore: Keystore, signer: LocalSigner) -> None:
    (_, one), (_, other) = make(keystore), make(keystore)
    for key in (StoredKey(one.sealed, other.binding), StoredKey(other.sealed, one.binding)):
        with pytest.raises(SigningFailed, match="does not open"):
            signer.sign(key, DIGEST)


def test_sign_error_each_byte_of_the_binding_counts(keystore: Keystore, signer: LocalSigner) -> None:
    _, key = make(keystore)
    for place in range(len(key.binding)):
        binding = bytearray(key.binding)
        binding[place] ^= 1
        with pytest.raises(SigningFailed):
            signer.sign(StoredKey(key.sealed, bytes(binding)), DIGEST)


@pytest.mark.parametrize("cut", [slice(0), slice(3), slice(10), slice(-1), slice(4, None)])
def test_sign_error_damaged(keystore: Keystore, signer: LocalSigner, cut: slice) -> None:
    _, key = make(keystore)
    with pytest.raises(SigningFailed, match="does not open"):
        signer.sign(StoredKey(key.sealed[cut], key.binding), DIGEST)


def test_sign_error_other_master_key(keystore: Keystore, tmp_path: Path) -> None:
    _, key = make(keystore)
    with pytest.raises(SigningFailed):
        LocalSigner(Keystore.open(tmp_path / "other.key")).sign(key, DIGEST)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_sign_error_digest_of_other_length(keystore: Keystore, signer: LocalSigner, length: int) -> None:
    with pytest.raises(SigningFailed, match=f"got {length}"):
        signer.sign(make(keystore)[1], Hash32(bytes(length)))


def test_sign_behavior_wipes_the_buffer(keystore: Keystore, canary: Canary) -> None:
    buffers: list[bytearray] = []
    unseals = keystore.unseals
    for epoch, unseal in list(unseals.items()):

        def spy(nonce: bytes, data: bytes, binding: bytes, into: bytearray, unseal=unseal) -> int:  # type: ignore[no-untyped-def]  # noqa: ANN001
            buffers.append(into)
            length: int = unseal(nonce, data, binding, into)
            assert canary.found_in(bytes(into))
            return length

        unseals[epoch] = spy
    _, key = make(keystore)
    unseals[key.sealed[:4]] = unseals.pop(key.sealed[:4])
    signer = LocalSigner(keystore)
    signer.sign(key, DIGEST)
    with pytest.raises(SigningFailed):
        signer.sign(StoredKey(key.sealed, b"elsewhere"), DIGEST)
    assert all(buffer == bytes(32) for buffer in buffers)


def test_sign_behavior_sample_finds_a_wrong_signature(keystore: Keystore, signer: LocalSigner) -> None:
    (_, key), (address, _) = make(keystore), make(keystore)
    secret = bytearray(32)
    keystore.unseal_into(key, secret)
    # A key that is not its binding's: what a machine that computes wrongly would look like.
    epoch = keystore._epochs.current
    binding = b"gamekit/sk/v1" + address
    wrong = StoredKey(epoch.number + bytes(12) + epoch.cipher.encrypt(bytes(12), bytes(secret), binding), binding)
    with pytest.raises(SigningFailed, match="do not trust this machine"):
        signer.sign(wrong, DIGEST)


def test_sign_many_behavior_samples_one_in_many(
    keystore: Keystore, signer: LocalSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[bytes] = []

    def count(digest: bytes, signature: bytes) -> Address | None:
        checked.append(digest)
        return recover(digest, signature)

    monkeypatch.setattr(signer_module, "recover", count)
    _, key = make(keystore)
    digests = [Hash32(n.to_bytes(32, "big")) for n in range(1, 1_101)]
    for start in range(0, 1_100, 100):
        signer.sign_many([key] * 100, digests[start : start + 100])
    assert checked == [digests[0], digests[512], digests[1_024]]


def test_init_error_library(keystore: Keystore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signer_module, "_VECTOR_SIGNATURE", bytes(64))
    with pytest.raises(SigningFailed, match="RFC 6979"):
        LocalSigner(keystore)


def test_canary_leaves_no_trace(
    keystore: Keystore, signer: LocalSigner, canary: Canary, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, key = make(keystore)
    assert len(canary.secrets) >= 4
    signer.sign(key, DIGEST)
    log = logging.getLogger("canary")
    texts: list[str | bytes] = [repr(key), repr(signer), repr(keystore), repr(vars(signer)), repr(vars(keystore))]
    texts.append(pickle.dumps(key))
    for act in (
        lambda: signer.sign(StoredKey(key.sealed, b"elsewhere"), DIGEST),
        lambda: keystore.unseal_into(StoredKey(key.sealed, b"elsewhere"), bytearray(32)),
        lambda: keystore.make(lambda _: b"no address"),
    ):
        with pytest.raises(SigningFailed) as caught:
            act()
        log.error("failed", exc_info=caught.value)
        told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        texts += ["".join(told.format()), repr(caught.value.to_dict()), pickle.dumps(caught.value.compared)]
    with pytest.raises((TypeError, AttributeError), match=r"(?i)pickle|local object"):
        pickle.dumps(signer)
    texts += [caplog.text, repr(dict(os.environ)), (tmp_path / "gamekit.key.epochs").read_bytes()]
    assert not any(canary.found_in(text) for text in texts)


def test_canary_finds_what_is_planted(keystore: Keystore, canary: Canary) -> None:
    secret = bytearray(32)
    keystore.unseal_into(make(keystore)[1], secret)
    for leak in (bytes(secret), f"key={secret.hex()}", repr(coincurve.PrivateKey(bytes(secret)).__dict__)):
        assert canary.found_in(leak)
