"""A thief with one stolen session key: goes to the entry point by itself, with an account of its own.

Each escape is simulated, then sent as a real transaction that must revert with the expected error; its twin is
simulated from the same state, then sent as well and must be executed. Escape and twin of a pair claim the same place of
the session's lane, and all of a stack's transactions come from one account in order, so every pair meets one state.

Runs as a process of its own: `python -m gamekit.demo.thief --rpc URL --loot FILE --contracts FILE --report FILE`.
"""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import coincurve
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gamekit.chain.rpc import JsonRpc, from_data, from_quantity, to_data, to_quantity
from gamekit.demo.escapes import Escape, World, after_the_end, after_the_revocation, escapes
from gamekit.demo.forgery import Attempt, Forger, sign
from gamekit.demo.loot import Loot, read_loot
from gamekit.devnet.deployment import DevnetContracts
from gamekit.eth.entry_point import (
    USER_OPERATION_EVENT,
    decode_failed_op,
    encode_get_nonce,
    encode_handle_ops,
)
from gamekit.eth.hashing import keccak256, parse_address, parse_hex, to_hex
from gamekit.eth.interface import Function
from gamekit.eth.session_validator_abi import SESSION_OF, SESSION_VALIDATOR, decode_session
from gamekit.eth.signature import public_key_address
from gamekit.eth.transaction import Transaction, signing_hash, with_signature
from gamekit.units import Address, ChainId, Gas, PermissionId, UnixSeconds, Wei

GAS_MAX: Final = 16_000_000
"""Of one transaction: below the cap of EIP-7825."""
MINED_S_MAX: Final = 30.0
LEAK_S_MAX: Final = 30.0
POLL_S: Final = 0.2
YOUNG_S: Final = 5
"""A session younger than this leaves no room for what has expired within it."""


EXECUTED: Final = "executed"
LOGIN: Final = keccak256(b"log in to another game")
"""What a thief would like to sign in the account's name."""
IS_VALID_SIGNATURE: Final = Function.parse("isValidSignature(bytes32 hash,bytes signature)", "bytes4", "view")
VALID: Final = to_hex(IS_VALID_SIGNATURE.selector)
"""What ERC-1271 answers to a good signature."""


class Trial(Struct):
    """How one escape ended on one account stack."""

    stack: str
    name: str
    expected: str
    simulated: str = ""
    """What the node's simulation of the escape reverted with."""
    sent: str = ""
    """What the mined transaction reverted with."""
    transaction_hash: str = ""
    twin_simulated: str = ""
    """`executed`, or what went wrong."""
    twin_sent: str = ""
    """The same of the mined twin; empty where the twin is only simulated."""

    @property
    def refused(self) -> bool:
        """Whether the chain refused the escape with exactly the expected error, each time."""
        return self.simulated == self.expected and self.sent in ("", self.expected)

    @property
    def refused_on_chain(self) -> bool:
        """Whether a mined transaction shows it."""
        return self.refused and self.sent == self.expected

    @property
    def twin_passed(self) -> bool:
        """Whether the honest twin was executed, each time."""
        return self.twin_simulated == EXECUTED and self.twin_sent in ("", EXECUTED)


class Thief:
    """One thief on one chain."""

    def __init__(self, rpc: JsonRpc, secret: coincurve.PrivateKey, contracts: DevnetContracts) -> None:
        self._rpc = rpc
        self._secret = secret
        self._contracts = contracts
        self.address = address_of(secret)

    async def raid(self, loot: Loot, neighbour: Address, owner_signature: bytes) -> list[Trial]:
        """Try every escape of a living session, and every twin.

        Args:
            loot: what was stolen.
            neighbour: another player's account on the same stack.
            owner_signature: the owner's over `LOGIN`, which the thief cannot make: for a twin.
        """
        world = await self._world(loot, neighbour)
        table = escapes(world)
        forger = await self._forger(loot)
        while forger.now < world.scope.time.valid_after + YOUNG_S:
            await asyncio.sleep(POLL_S)
            forger = await self._forger(loot)
        trials = [await self.simulate(forger, escape) for escape in table]
        await self._send(forger, table, trials)
        return [*trials, await self._sign_in(loot, owner_signature), *await self.end(loot)]

    async def end(self, loot: Loot) -> list[Trial]:
        """Try to act past the end, in the chain's own arithmetic: the second is chosen, not waited for."""
        world = await self._world(loot, self.address)
        forger = Forger(loot, world.scope.time.valid_until, 10**9)
        return [await self.simulate(forger, escape) for escape in after_the_end(world)]

    async def send_after_the_end(self, loot: Loot) -> Trial:
        """Send what `end` simulated, once the chain's clock is past the end."""
        world = await self._world(loot, self.address)
        forger = Forger(loot, world.scope.time.valid_until, 10**9)
        escape = after_the_end(world)[0]
        trial = await self.simulate(forger, escape)
        await self._send(forger, [replace(escape, spends=True)], [trial])
        return trial

    async def after_the_revocation(self, loot: Loot, before: int) -> Trial:
        """Try the same bytes at a block in which the session lived, and now."""
        world = await self._world(loot, self.address)
        escape = after_the_revocation(world)
        forger = await self._forger(loot, to_quantity(before))
        trial = Trial(name_of(loot), escape.name, expected(escape))
        sequence = await self._sequence(loot)
        trial.twin_simulated = await self._simulated(forger, escape.twin, sequence, block=to_quantity(before))
        trial.simulated = await self._simulated(forger, escape.attempt, sequence)
        await self._send(forger, [replace(escape, spends=True)], [trial])
        return trial

    async def simulate(self, forger: Forger, escape: Escape) -> Trial:
        """Try an escape and its twin from the same state, without sending them."""
        trial = Trial(name_of(forger.loot), escape.name, expected(escape))
        sequence = await self._sequence(forger.loot)
        trial.simulated = await self._simulated(forger, escape.attempt, sequence, escape.time)
        trial.twin_simulated = await self._simulated(forger, escape.twin, sequence, escape.twin_time)
        return trial

    async def _sign_in(self, loot: Loot, owner_signature: bytes) -> Trial:
        """Sign a message in the account's name: a login, a permit, an order. Asked as the one who may ask at all."""
        trial = Trial(name_of(loot), "sign a message for the account", "0xffffffff")
        stolen = loot.module + sign(loot.secret, LOGIN)
        owners = self._contracts.owner_validator + owner_signature
        for signature, is_twin in ((stolen, False), (owners, True)):
            data = IS_VALID_SIGNATURE.encode_call(LOGIN, signature)
            answer = to_hex((await self._call(loot.sender, data, loot.module))[:4])
            if is_twin:
                trial.twin_simulated = EXECUTED if answer == VALID else answer
            else:
                trial.simulated = answer
        return trial

    async def _world(self, loot: Loot, neighbour: Address) -> World:
        """Look around: what the stolen session has used up, and who else is there."""
        permission = PermissionId(parse_hex(loot.permission_id))
        used = decode_session(await self._call(loot.module, SESSION_OF.encode_call(loot.sender, permission)))
        contracts = self._contracts
        return World(loot, neighbour, contracts.arena, contracts.gold, contracts.item, self.address, used)

    async def _forger(self, loot: Loot, at: str = "latest") -> Forger:
        """Look at the clock and the price of gas."""
        block = await self._rpc.request(dict[str, Any], "eth_getBlockByNumber", at, False)
        fee = 2 * from_quantity(block["baseFeePerGas"]) + 10**6
        return Forger(loot, UnixSeconds(from_quantity(block["timestamp"])), fee)

    async def _send(self, forger: Forger, table: Sequence[Escape], trials: Sequence[Trial]) -> None:
        """Send every escape and every twin, and read what became of them.

        First what uses the session up, while it is unused; then by the time that the twins claim, which must not go
        back, or the session's pace would refuse them.
        """
        order = sorted(range(len(table)), key=lambda place: (not table[place].spends, -table[place].twin.age_s))
        nonce = await self._count()
        sequence = await self._sequence(forger.loot)
        pending: list[tuple[Trial, str, bool]] = []
        for place in order:
            escape, trial = table[place], trials[place]
            pending.append((trial, await self._submit(forger, escape.attempt, sequence, nonce), False))
            nonce += 1
            if not escape.spends:
                pending.append((trial, await self._submit(forger, escape.twin, sequence, nonce), True))
                nonce += 1
                sequence += 1 + len(escape.twin.first)
        for trial, transaction_hash, is_twin in pending:
            found = await self._outcome(transaction_hash)
            if is_twin:
                trial.twin_sent = found
            else:
                trial.sent, trial.transaction_hash = found, transaction_hash

    async def _sequence(self, loot: Loot) -> int:
        """The next place of the session's lane."""
        query = encode_get_nonce(loot.sender, loot.limits.nonce_key)
        answer = await self._call(parse_address(loot.entry_point), query)
        return int.from_bytes(answer, "big") & (1 << 64) - 1

    async def _call(self, to: Address, data: bytes, sender: Address | None = None) -> bytes:
        asked = {"from": to_data(sender or self.address), "to": to_data(to), "data": to_data(data)}
        return from_data(await self._rpc.request(str, "eth_call", asked, "latest"))

    async def _simulated(
        self, forger: Forger, attempt: Attempt, sequence: int, time: int = 0, block: str = "latest"
    ) -> str:
        data = self._handle_ops(forger, attempt, sequence)
        call = {
            "from": to_data(self.address),
            "to": forger.loot.entry_point,
            "input": to_data(data),
            "gas": to_quantity(GAS_MAX),
        }
        overrides = {"time": to_quantity(time)} if time else {}
        request = {"blockStateCalls": [{"calls": [call], "blockOverrides": overrides}], "validation": False}
        blocks = await self._rpc.request(list[dict[str, Any]], "eth_simulateV1", request, block)
        result = blocks[0]["calls"][0]
        if result["status"] != "0x1":
            error = result.get("error", {})
            return refusal(from_data(result.get("returnData") or error.get("data", "0x")))
        return judged(result["logs"], 1 + len(attempt.first))

    async def _submit(self, forger: Forger, attempt: Attempt, sequence: int, nonce: int) -> str:
        data = self._handle_ops(forger, attempt, sequence)
        unsigned = Transaction(
            chain_id=ChainId(forger.loot.chain_id),
            nonce=nonce,
            max_priority_fee_per_gas=Wei(10**6),
            max_fee_per_gas=Wei(100 * 10**9),
            gas_limit=Gas(GAS_MAX),
            to=parse_address(forger.loot.entry_point),
            value=Wei(0),
            data=data,
        )
        raw, name = with_signature(unsigned, sign(self._secret, signing_hash(unsigned)))
        await self._rpc.request(str, "eth_sendRawTransaction", to_data(raw))
        return to_hex(name)

    def _handle_ops(self, forger: Forger, attempt: Attempt, sequence: int) -> bytes:
        return encode_handle_ops(forger.bundle(attempt, sequence), self.address, forger.loot.version)

    async def _outcome(self, transaction_hash: str) -> str:
        receipt = await self._receipt(transaction_hash)
        if receipt is None:
            return "not mined"
        if receipt["status"] == "0x1":
            logs = receipt["logs"]
            return judged(logs, sum(log["topics"][0] == to_hex(USER_OPERATION_EVENT.topic) for log in logs))
        options = {"tracer": "callTracer", "tracerConfig": {"onlyTopCall": True}}
        trace = await self._rpc.request(dict[str, Any], "debug_traceTransaction", transaction_hash, options)
        return refusal(from_data(trace.get("output", "0x")))

    async def _receipt(self, transaction_hash: str) -> dict[str, Any] | None:
        deadline = asyncio.get_running_loop().time() + MINED_S_MAX
        while True:
            found = await self._rpc.request_optional(dict[str, Any], "eth_getTransactionReceipt", transaction_hash)
            if found is not None or asyncio.get_running_loop().time() > deadline:
                return found
            await asyncio.sleep(POLL_S)

    async def _count(self) -> int:
        return from_quantity(await self._rpc.request(str, "eth_getTransactionCount", to_data(self.address), "pending"))


def expected(escape: Escape) -> str:
    """Write an escape's expected refusal."""
    return f"{escape.code} {escape.error}".strip()


def refusal(data: bytes) -> str:
    """Name what handleOps reverted with: the entry point's code, and the session validator's own error."""
    failed = decode_failed_op(data)
    if failed is None:
        return f"reverted with {to_hex(data[:68])}"
    error = SESSION_VALIDATOR.decode_revert(failed.inner).name if failed.inner else ""
    return f"{failed.reason[:4]} {error}".strip()


def judged(logs: Sequence[dict[str, Any]], operations: int) -> str:
    """Say whether so many operations were executed, each of them successfully."""
    topic = to_hex(USER_OPERATION_EVENT.topic)
    ended = [from_data(log["data"]) for log in logs if log["topics"] and log["topics"][0] == topic]
    succeeded = sum(int.from_bytes(data[32:64], "big") for data in ended)
    if len(ended) == succeeded == operations:
        return EXECUTED
    return f"{succeeded} of {operations} operations were executed"


def address_of(secret: coincurve.PrivateKey) -> Address:
    """The address of a key."""
    return public_key_address(secret.public_key.format(compressed=False))


def name_of(loot: Loot) -> str:
    """Name an account stack for the table: `reference 0.8`."""
    return f"{loot.stack} {loot.entry_point_version}"


class Victim(Struct, frozen=True):
    """What the players' side tells about a victim: enough for the twins that only an owner can make."""

    player: str
    owner_signature: str
    """The owner's over `LOGIN`."""


async def taken(path: Path, players: Sequence[str]) -> dict[str, Loot]:
    """Wait until the keys of these players are leaked: the server may have been killed before it did."""
    async with asyncio.timeout(LEAK_S_MAX):
        while True:
            stolen = {loot.player: loot for loot in read_loot(path)}
            if stolen.keys() >= set(players):
                return stolen
            await asyncio.sleep(POLL_S)


async def run(options: argparse.Namespace) -> list[Trial]:
    """Do what the command line says."""
    contracts = DevnetContracts.load(options.contracts)
    stolen = await taken(options.loot, options.player)
    async with JsonRpc(options.rpc, timeout_ms=60_000) as rpc:
        secret = coincurve.PrivateKey(parse_hex(options.key.read_text().strip(), 32))
        thief = Thief(rpc, secret, contracts)
        if options.phase == "ended":
            return [await thief.send_after_the_end(stolen[player]) for player in options.player]
        if options.phase == "revoked":
            return [await thief.after_the_revocation(stolen[player], options.before) for player in options.player]
        victims = msgspec.json.decode(options.victims.read_bytes(), type=list[Victim])
        signed = {victim.player: parse_hex(victim.owner_signature) for victim in victims}
        trials: list[Trial] = []
        for player, neighbour in zip(options.player[::2], options.player[1::2], strict=True):
            trials += await thief.raid(stolen[player], stolen[neighbour].sender, signed[player])
        return trials


def main() -> None:
    """Run as a process of its own."""
    parser = argparse.ArgumentParser(description="Go to the entry point with a stolen session key.")
    parser.add_argument("phase", choices=("raid", "revoked", "ended"))
    parser.add_argument("--rpc", required=True)
    parser.add_argument("--key", required=True, type=Path, help="file with the thief's own key, which pays for gas")
    parser.add_argument("--loot", required=True, type=Path)
    parser.add_argument("--contracts", required=True, type=Path)
    parser.add_argument("--victims", type=Path)
    parser.add_argument("--report", required=True, type=Path)
    parser.add_argument("--before", type=int, default=0, help="a block in which the session lived")
    parser.add_argument("player", nargs="+", help="raid: victim and neighbour, in turn")
    options = parser.parse_args()
    trials = asyncio.run(run(options))
    options.report.write_bytes(msgspec.json.encode(trials))


if __name__ == "__main__":
    main()
