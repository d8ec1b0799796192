"""A simulated chain with a paymaster, whose game pays for its players, until it does not.

Honest where the runtime decides by it: vouchers and sponsored operations are verified by their signatures, the module
must have charged a session before it is paid for, caps and limits refuse with the contract's own errors, and the
deposit goes down. Not modelled: reorganisations of its counters, time ranges, caps of players.
"""

from typing import Any, cast

from msgspec.structs import replace as replaced

from gamekit.config import ChainConfig, StackConfig
from gamekit.core.game import Game, build_game
from gamekit.core.manifest import parse_manifest
from gamekit.core.usage import Usage
from gamekit.errors import EncodingInvalid
from gamekit.eth.block import Log
from gamekit.eth.entry_point import BALANCE_OF, FAILED_OP_WITH_REVERT
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import checksum_address
from gamekit.eth.session_opener import OPEN, OPEN_SPONSORED
from gamekit.eth.session_paymaster import (
    GAME_OF,
    SESSION_PAYMASTER,
    SPONSOR,
    SPONSORSHIP_OF,
    GameRecord,
    Voucher,
    game_number,
    sponsor_operation_digest,
    voucher_digest,
)
from gamekit.eth.signature import recover_address
from gamekit.eth.user_operation import PackedUserOperation, unpack
from gamekit.testing.chain import FakeChain
from gamekit.testing.contracts import CHAIN_ID, Refusal
from gamekit.testing.contracts import World as ChainState
from gamekit.testing.scenery import (
    ABI,
    ENTRY_POINT,
    FACTORY,
    MANIFEST,
    MODULE,
    OPENER,
    OWNER_VALIDATOR,
    chain_config,
    unit,
)
from gamekit.testing.wire import max_cost, words
from gamekit.units import ZERO_ADDRESS, Address, BlockHash, Gas, PermissionId, UnixSeconds, UserOpHash, Wei

PAYMASTER = Address(b"\x99" * 20)
GAME = game_number("arena")
UNIT = ("play for nothing", "attack", "move")
PAID = 'paymaster = "configured"\n'
UNITS = unit("free", *UNIT) + PAID
UNITS += unit("signed", *UNIT) + PAID + 'sponsored_by = "signature"\n'
UNITS += unit("little", *UNIT) + PAID + "sponsored_wei_max = 5000000000000000\n"


def revert(name: str, *values: object) -> bytes:
    """Revert data of one of the paymaster's errors."""
    return next(each for each in SESSION_PAYMASTER.errors.values() if each.name == name).encode(*values)


class Unpaid(Refusal):
    """An operation that the paymaster refuses, with its own error."""

    def __init__(self, place: int, inner: bytes) -> None:
        super().__init__(place, "AA33 reverted")
        self.data = FAILED_OP_WITH_REVERT.encode(place, "AA33 reverted", inner)


class SponsoredChain(FakeChain):
    """The chain, with one paymaster and one game."""

    def __init__(self, sponsor: Address) -> None:
        super().__init__(ENTRY_POINT, MODULE, OPENER, OWNER_VALIDATOR)
        self.game = GameRecord(1, 0, Wei(0), Wei(10**20), sponsor, Wei(10**20), Wei(10**18))
        self.deposit = Wei(10**20)
        self.vouched: dict[bytes, tuple[int, int]] = {}
        """By permission: generation and limit."""
        self.paid: dict[UserOpHash, Wei] = {}

    async def call(self, to: Address, data: bytes, *, sender: Address | None = None, gas: Gas | None = None,
                   block: BlockHash | None = None) -> bytes:  # fmt: skip
        """Ask a contract, the paymaster among them."""
        if to == PAYMASTER and data[:4] == GAME_OF.selector:
            self._answer()
            game = self.game
            sponsor = int.from_bytes(game.sponsor, "big")
            caps = game.player_day_wei_max, game.session_wei_max
            return words(game.generation, game.day, game.spent_wei, game.day_wei_max, sponsor, *caps)
        if to == PAYMASTER and data[:4] == SPONSORSHIP_OF.selector:
            self._answer()
            _, permission = SPONSORSHIP_OF.decode_call(data)
            return words(GAME, *self.vouched.get(cast("bytes", permission), (0, 0)), 0)
        if to == self.entry_point and data[:4] == BALANCE_OF.selector:
            self._answer()
            return words(self.deposit)
        return await super().call(to, data, sender=sender, gas=gas, block=block)

    def _execute(self, world: ChainState, to: Address, data: bytes, at: UnixSeconds, executed: list[Any]) -> list[Log]:
        if data[:4] == OPEN_SPONSORED.selector:
            account, *rest, vouchers = cast("tuple[Any, ...]", OPEN_SPONSORED.decode_call(data))
            logs = super()._execute(world, to, OPEN.encode_call(account, *rest), at, executed)
            for _, *fields in cast("tuple[tuple[Any, ...], ...]", vouchers):
                self._take(Voucher(account, *fields))
            return logs
        if to == PAYMASTER and data[:4] == SPONSOR.selector:
            self._take(Voucher(*cast("tuple[Any, ...]", SPONSOR.decode_call(data))))
            return []
        return super()._execute(world, to, data, at, executed)

    def _take(self, voucher: Voucher) -> None:
        digest = voucher_digest(CHAIN_ID, PAYMASTER, voucher, self.game.generation)
        recovered = recover_address(digest, voucher.signature)
        if recovered != self.game.sponsor:
            refusal = Refusal(0, "the voucher is refused")
            refusal.data = revert("VoucherSignatureInvalid", recovered, self.game.sponsor)
            raise refusal
        if self._mining:
            self.vouched[voucher.permission_id] = self.game.generation, voucher.limit_wei

    def _validate(self, world: ChainState, place: int, op: PackedUserOperation, at: UnixSeconds) -> UserOpHash:
        before = {key: each.usage for key, each in world.sessions.items()}
        hashed = super()._validate(world, place, op, at)
        if not op.paymaster_and_data:
            return hashed
        cost = max_cost(op)
        if self.deposit < cost:
            raise Refusal(place, "AA31 paymaster deposit too low")
        if op.paymaster_and_data[52] == 1:
            self._sponsor_session(world, before, place, op, cost)
        else:
            self._sponsor_signed(place, op)
        if self.game.spent_wei + cost > self.game.day_wei_max:
            asked = self.game.spent_wei + cost
            raise Unpaid(place, revert("GameDayCapExceeded", GAME, asked, self.game.day_wei_max))
        if self._mining and hashed not in self.paid:
            self.paid[hashed] = cost
            self.deposit = Wei(self.deposit - cost)
            self.game = replaced(self.game, spent_wei=Wei(self.game.spent_wei + cost))
        return hashed

    def _sponsor_session(
        self, world: ChainState, before: dict[bytes, Usage], place: int, op: PackedUserOperation, cost: Wei
    ) -> None:
        permission = PermissionId(op.paymaster_and_data[59:91])
        generation, limit = self.vouched.get(permission, (0, 0))
        if generation != self.game.generation:
            raise Unpaid(place, revert("SessionNotSponsored", permission, generation, self.game.generation))
        charged = world.sessions[permission].usage.gas_spent_wei
        if charged - before[permission].gas_spent_wei != cost:
            raise Unpaid(place, revert("SessionNotCharged", 0, cost))
        if charged > limit:
            raise Unpaid(place, revert("SessionLimitExceeded", charged, limit))

    def _sponsor_signed(self, place: int, op: PackedUserOperation) -> None:
        version = EntryPointVersion.V07
        digest = sponsor_operation_digest(CHAIN_ID, unpack(op, version), version, self.game.generation)
        try:
            recovered = recover_address(digest, op.paymaster_and_data[-65:])
        except EncodingInvalid:
            recovered = ZERO_ADDRESS
        if recovered != self.game.sponsor:
            raise Refusal(place, "AA34 signature error")


def sponsored_chain_config(**changes: Any) -> ChainConfig:  # noqa: ANN401
    """One reference stack with the paymaster."""
    stack = StackConfig(
        stack="reference",
        entry_point_version="0.7",
        entry_point=checksum_address(ENTRY_POINT),
        factory=checksum_address(FACTORY),
        owner_validator=checksum_address(OWNER_VALIDATOR),
        paymaster=checksum_address(PAYMASTER),
    )
    return chain_config(stacks=(stack,), **changes)


def sponsored_arena() -> Game:
    """The arena, with units whose players pay nothing."""
    return build_game(parse_manifest(MANIFEST + UNITS), ABI)
