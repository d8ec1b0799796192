"""`gamekit userop`: hashes as the vectors have them, and words."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from gamekit.cli import main
from gamekit.eth.calldata import Call, Mode, execute_batch
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import to_hex
from gamekit.eth.user_op_hash import user_op_hash
from gamekit.eth.user_operation import UserOperation
from gamekit.eth.user_operation_rpc import to_rpc
from gamekit.units import Address, ChainId, Gas, Wei

OPERATION = UserOperation(
    sender=Address(b"\x01" * 20),
    nonce=7 << 64 | 3,
    call_data=execute_batch(Mode.BATCH_TRY, [Call(Address(b"\x02" * 20), Wei(0), b"\xa6\xbe\x3f\xee" + bytes(64))]),
    call_gas_limit=Gas(100),
    verification_gas_limit=Gas(200),
    pre_verification_gas=Gas(300),
    max_fee_per_gas=Wei(2 * 10**9),
    max_priority_fee_per_gas=Wei(1),
)
BASE = ChainId(8453)


def status(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return ended.value.code


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "operations.json"
    path.write_text(json.dumps([to_rpc(OPERATION, EntryPointVersion.V07)] * 2))
    return path


def expected(version: EntryPointVersion, entry_point: Address | None = None) -> str:
    return to_hex(user_op_hash(OPERATION, version, entry_point or version.canonical_address, BASE))


@pytest.mark.parametrize("version", ["0.6", "0.7", "0.8", "0.9"])
def test_hash_default(version: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = EntryPointVersion(version)
    path = tmp_path / "one.json"
    path.write_text(json.dumps(to_rpc(OPERATION, known)))
    assert status("userop", "hash", "--entry-point-version", version, "--chain-id", "8453", str(path)) == 0
    assert capsys.readouterr().out == expected(known) + "\n"


def test_hash_args_an_array_gives_one_line_each(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("userop", "hash", "--entry-point-version", "0.7", "--chain-id", "8453", str(file)) == 0
    assert capsys.readouterr().out.splitlines() == [expected(EntryPointVersion.V07)] * 2


def test_hash_args_standard_input(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(file.read_bytes())))
    assert status("userop", "hash", "--entry-point-version", "0.7", "--chain-id", "8453", "--json", "-") == 0
    assert json.loads(capsys.readouterr().out) == [expected(EntryPointVersion.V07)] * 2


def test_hash_args_entry_point(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere = Address(b"\x09" * 20)
    options = ("--entry-point-version", "0.7", "--chain-id", "8453", "--entry-point", to_hex(elsewhere))
    assert status("userop", "hash", *options, str(file)) == 0
    assert capsys.readouterr().out.splitlines()[0] == expected(EntryPointVersion.V07, elsewhere)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is not JSON"),
        ("[]x", "is not JSON"),
        ('[{"sender": "0x01"}]', "operation 0"),
        ('{"sender": 5}', "operation 0"),
    ],
)
def test_hash_error_malformed(content: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content)
    assert status("userop", "hash", "--entry-point-version", "0.7", "--chain-id", "1", str(path)) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert said.out == ""
    assert "Traceback" not in said.err


@pytest.mark.parametrize("chain_id", ["0", "-1"])
def test_hash_error_chain_id(chain_id: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("userop", "hash", "--entry-point-version", "0.7", f"--chain-id={chain_id}", str(file)) == 2
    assert "a chain id is at least 1" in capsys.readouterr().err


def test_hash_error_no_such_file(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--entry-point-version", "0.7", "--chain-id", "1", "--json", "/nowhere")
    assert status("userop", "hash", *options) == 2
    error: dict[str, Any] = json.loads(capsys.readouterr().err)
    assert error["code"] == "encoding_invalid"


def test_decode_default(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("userop", "decode", "--entry-point-version", "0.7", "--chain-id", "8453", str(file)) == 0
    said = capsys.readouterr().out
    assert "number 3 on nonce key 0x7" in said
    assert "600 gas at 2 gwei" in said
    assert "each call by itself" in said
    assert "0xa6be3fee" in said


@pytest.mark.parametrize("error", ["AA25 invalid account nonce", "aa25"])
def test_decode_args_error(error: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("userop", "decode", "--entry-point-version", "0.7", "--error", error, "--json", str(file)) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["error"]["code"] == "AA25"
    assert told["error"]["outcome"] == "unknown"
    assert "hash" not in told["operations"][0]


def test_decode_behavior_says_when_a_version_has_no_such_code(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("userop", "decode", "--entry-point-version", "0.7", "--error", "AA51", str(file)) == 0
    assert "EntryPoint 0.7 never says this" in capsys.readouterr().out


def test_decode_error_unknown_code(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("userop", "decode", "--entry-point-version", "0.7", "--error", "XX99", str(file)) == 2
    assert "no EntryPoint says 'XX99'" in capsys.readouterr().err
