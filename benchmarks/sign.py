"""Signs one user operation, everything included, beside the limit and beside others.

Everything means: the user operation's hash (entry point 0.7), the digest of the session key, opening the sealed key,
signing, wiping, and the envelope that stands in `signature`. gamekit_sign does it one by one; gamekit_sign_many 32 at a
time. eth_account and viem do the same to the same operation with a key that is open already. zerodev is its session
keys' own signUserOperation: hash, personal message, signature, prefix. limit and coincurve only sign: a digest that is
given, with a key that is open.

All take turns, round after round. A row's figure is its median; its ratio is the median, over the rounds, of the
limit's time in that round divided by its own, so that a machine that slows down for a while slows both. Whoever
disagrees with another about the bytes ends the run.

Run: python -m benchmarks.sign [--rounds 100]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from operator import truediv
from pathlib import Path

import coincurve
from eth_keys.main import KeyAPI

from benchmarks.limit import Limit
from benchmarks.peers import EthAccount, Node, peer_versions
from benchmarks.report import write_report
from gamekit.accounts import stack
from gamekit.core.session import Account, key_binding
from gamekit.eth.calldata import Call
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import keccak256, to_hex
from gamekit.eth.session_validator import OPERATION_TYPEHASH, envelope, operation_digest, permission_id
from gamekit.eth.user_op_hash import UserOpHasher
from gamekit.eth.user_operation import UserOperation
from gamekit.keys import Keystore, LocalSigner, StoredKey
from gamekit.units import Address, ChainId, Gas, Hash32, PlayerId, UnixSeconds, Wei

OPERATIONS = 256
"""Operations of a turn, 6 to 10 ms: long enough that what the turn before left in the caches does not count."""
BATCH = 32
PEER_OPERATIONS = 32
"""Operations of a slow peer's turn."""
AGREE_ON = 64
WARM_UP_ROUNDS = 20
PEERS = ("@zerodev/permissions", "@zerodev/sdk", "tslib", "viem")

CHAIN = ChainId(8453)
ACCOUNT = Address(b"\xac" * 20)
MODULE = Address(b"\x5e" * 20)
ARENA = Address(b"\xa7" * 20)
VERSION = EntryPointVersion.V07
ENTRY_POINT = VERSION.canonical_address
PLAYER = Account(ACCOUNT, PlayerId("player"), CHAIN, "reference", VERSION.value, ACCOUNT, ACCOUNT, b"")
SCOPE = sha256(b"scope").digest() * 11
"""As long as the scope of a unit with four functions and one pinned argument, 352 bytes; signing never reads it."""
PERMISSION = permission_id(CHAIN, MODULE, ACCOUNT, SCOPE)
HINTS = b"\x00"
NOW = UnixSeconds(1_800_000_000)
DEADLINE = UnixSeconds(NOW + 90)


def operation(sequence: int) -> UserOperation:
    """One action of the example game: a call with two arguments, 228 bytes of calldata."""
    data = keccak256(b"attack(uint256,uint256)")[:4] + sequence.to_bytes(32, "big") + bytes(32)
    return UserOperation(
        sender=ACCOUNT,
        nonce=int.from_bytes(MODULE, "big") << 96 | sequence,
        call_data=stack("reference").execute([Call(ARENA, Wei(0), data)], True),
        call_gas_limit=Gas(120_000),
        verification_gas_limit=Gas(110_000),
        pre_verification_gas=Gas(60_000),
        max_fee_per_gas=Wei(2_000_000_000),
        max_priority_fee_per_gas=Wei(1_000_000),
    )


class Contest:
    """Everybody who signs, each with what a turn of theirs does."""

    def __init__(self, folder: Path) -> None:
        """Prepare what no signer pays for: operations, keys, processes."""
        self.operations = [operation(sequence) for sequence in range(OPERATIONS)]
        self._hash = UserOpHasher(VERSION, ENTRY_POINT, CHAIN, ACCOUNT).hash
        self.digests = [operation_digest(self._hash(op), PERMISSION, NOW, DEADLINE) for op in self.operations]
        keystore = Keystore.open(folder / "gamekit.key")
        _, sealed, binding = keystore.make(lambda signer: key_binding(PLAYER, MODULE, ENTRY_POINT, signer))
        self._key = StoredKey(sealed, binding)
        self._signer = LocalSigner(keystore)
        opened = bytearray(32)
        keystore.unseal_into(self._key, opened)
        secret = bytes(opened)  # the others want it so
        self._coincurve = coincurve.PrivateKey(secret)
        self._eth_account = EthAccount(secret, ENTRY_POINT, CHAIN, PERMISSION)
        self.limit = Limit(secret, self.digests)
        self.node = Node(self._work(secret))
        self.turns: dict[str, Callable[[], float]] = {
            "limit": lambda: timed(self.limit.run),
            "coincurve": lambda: timed(lambda: self.coincurve(self.digests)),
            "gamekit_sign": lambda: timed(lambda: self.gamekit_sign(self.operations)),
            "gamekit_sign_many": lambda: timed(lambda: self.gamekit_sign_many(self.operations)),
            "eth_account": lambda: timed(lambda: self.eth_account(self.operations[:PEER_OPERATIONS]), PEER_OPERATIONS),
            "viem": lambda: self.node.microseconds("viem", PEER_OPERATIONS),
            "zerodev": lambda: self.node.microseconds("zerodev", PEER_OPERATIONS),
        }

    def gamekit_sign(self, operations: list[UserOperation]) -> list[bytes]:
        """Everything, one operation after the other."""
        hash_operation, sign, key = self._hash, self._signer.sign, self._key
        signed = []
        for op in operations:
            signature = sign(key, operation_digest(hash_operation(op), PERMISSION, NOW, DEADLINE))
            signed.append(envelope(NOW, DEADLINE, signature, HINTS, SCOPE))
        return signed

    def gamekit_sign_many(self, operations: list[UserOperation]) -> list[bytes]:
        """Everything, a batch at a time."""
        hash_operation, keys = self._hash, [self._key] * BATCH
        signed = []
        for start in range(0, len(operations), BATCH):
            batch = operations[start : start + BATCH]
            digests = [operation_digest(hash_operation(op), PERMISSION, NOW, DEADLINE) for op in batch]
            signatures = self._signer.sign_many(keys, digests)
            signed += [envelope(NOW, DEADLINE, signature, HINTS, SCOPE) for signature in signatures]
        return signed

    def eth_account(self, operations: list[UserOperation]) -> list[bytes]:
        """Everything but opening the key."""
        sign = self._eth_account.sign
        return [envelope(NOW, DEADLINE, sign(op, NOW, DEADLINE), HINTS, SCOPE) for op in operations]

    def coincurve(self, digests: list[Hash32]) -> list[bytes]:
        """Sign only."""
        sign = self._coincurve.sign_recoverable
        return [sign(digest, hasher=None) for digest in digests]

    def agree(self) -> None:
        """Compare everybody's bytes, and end the run where two differ."""
        chosen = self.operations[:AGREE_ON]
        references = [with_v(signature) for signature in self.coincurve(self.digests[:AGREE_ON])]
        expected = [envelope(NOW, DEADLINE, signature, HINTS, SCOPE) for signature in references]
        self.limit.run()
        require("limit", [self.limit.signature(place) for place in range(AGREE_ON)], references)
        require("gamekit_sign", self.gamekit_sign(chosen), expected)
        require("gamekit_sign_many", self.gamekit_sign_many(chosen), expected)
        require("eth_account", self.eth_account(chosen), expected)
        require("viem", self.node.results("viem", AGREE_ON), expected)
        personal = [
            b"\xff" + with_v(self._coincurve.sign_recoverable(personal_digest(self._hash(op)), hasher=None))
            for op in chosen
        ]
        require("zerodev", self.node.results("zerodev", AGREE_ON), personal)

    def _work(self, secret: bytes) -> dict[str, object]:
        """The operations as Node reads them."""
        return {
            "chainId": CHAIN,
            "secret": to_hex(secret),
            "typehash": to_hex(OPERATION_TYPEHASH),
            "permissionId": to_hex(PERMISSION),
            "scope": to_hex(SCOPE),
            "operations": [
                {
                    "claimedAt": NOW,
                    "deadline": DEADLINE,
                    "hints": to_hex(HINTS),
                    "userOperation": {
                        "sender": to_hex(op.sender),
                        "nonce": str(op.nonce),
                        "callData": to_hex(op.call_data),
                        "callGasLimit": op.call_gas_limit,
                        "verificationGasLimit": op.verification_gas_limit,
                        "preVerificationGas": op.pre_verification_gas,
                        "maxFeePerGas": op.max_fee_per_gas,
                        "maxPriorityFeePerGas": op.max_priority_fee_per_gas,
                        "signature": "0x",
                    },
                }
                for op in self.operations[: max(PEER_OPERATIONS, AGREE_ON)]
            ],
        }


def timed(run: Callable[[], object], count: int = OPERATIONS) -> float:
    """Give the microseconds of one of `count` operations."""
    begin = time.perf_counter()
    run()
    return (time.perf_counter() - begin) / count * 1e6


def with_v(signature: bytes) -> bytes:
    """Write a recovery id as contracts read it."""
    return signature[:64] + bytes([27 + signature[64]])


def personal_digest(user_op_hash: bytes) -> bytes:
    """What a wallet signs for 32 bytes that a person is shown. Source: EIP-191, version 0x45."""
    return keccak256(b"\x19Ethereum Signed Message:\n32" + user_op_hash)


def require(name: str, found: list[bytes], expected: list[bytes]) -> None:
    """End the run where a signer gives other bytes."""
    for place, (one, other) in enumerate(zip(found, expected, strict=True)):
        if one != other:
            raise SystemExit(f"{name} disagrees on operation {place}:\n  {one.hex()}\n  {other.hex()}")


def main() -> None:
    """Compare, measure, print, write `benchmarks/results/sign.json`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        contest = Contest(Path(folder))
        contest.agree()
        times: dict[str, list[float]] = {name: [] for name in contest.turns}
        for number in range(WARM_UP_ROUNDS + arguments.rounds):
            for name, turn in contest.turns.items():
                microseconds = turn()
                if number >= WARM_UP_ROUNDS:
                    times[name].append(microseconds)
        contest.node.close()
    medians = {name: statistics.median(found) for name, found in times.items()}
    rows: list[dict[str, object]] = [
        {
            "name": name,
            "us_median": round(median, 2),
            "us_min": round(min(times[name]), 2),
            "ratio_to_limit": round(statistics.median(map(truediv, times["limit"], times[name])), 4),
        }
        for name, median in medians.items()
    ]
    for row in rows:
        print(f"{row['name']:<18} {row['us_median']:>9} µs  {row['ratio_to_limit']:>7} of the limit")
    method = " ".join(" ".join((__doc__ or "").split("\n\n")[1:3]).split())
    write_report(
        "sign",
        method,
        rows,
        limit=contest.limit.how,
        peers=peer_versions(*PEERS)
        | {"node": contest.node.version, "eth-keys backend": type(KeyAPI().backend).__name__},
        rounds=arguments.rounds,
    )


if __name__ == "__main__":
    main()
