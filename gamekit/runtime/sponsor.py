"""Speaks for the games that pay for their players: vouchers, signatures, and an eye on deposits and caps.

How much is paid stands on chain, and only the paymaster counts. What it refused is a stop (`core/sponsoring.py`), which
ends by itself with the day, or here when the chain says that there is room again.
"""

import logging
from collections.abc import Mapping
from typing import cast

from msgspec.structs import replace

from gamekit.core.prepare import Payer, VoucherPayer
from gamekit.core.relay import SPONSOR
from gamekit.core.scope import Scope
from gamekit.core.session import OPEN, Session
from gamekit.core.setup import ChainSetup
from gamekit.core.sponsoring import NO_VOUCHER, SIGNATURE, Stop, is_over, revert_text
from gamekit.core.unit import Unit
from gamekit.errors import CallReverted, ChainError, ConfigInvalid
from gamekit.eth.entry_point import BALANCE_OF
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import keccak256, to_hex
from gamekit.eth.session_paymaster import (
    GAME_OF,
    SESSION_PAYMASTER,
    SPONSORSHIP_OF,
    GameRecord,
    Voucher,
    decode_game,
    decode_sponsorship,
    encode_sponsor,
    game_number,
    signed_data,
    sponsor_operation_digest,
    voucher_digest,
    with_sponsor_signature,
)
from gamekit.eth.user_operation import UserOperation
from gamekit.ports import ChainReader, SealedKey, Signer
from gamekit.runtime.answer import read_answer
from gamekit.runtime.follow import Follower
from gamekit.runtime.notify import Notify
from gamekit.runtime.relayers import Relayers
from gamekit.runtime.state import State
from gamekit.units import Address, BlockNumber, Gas, UnixSeconds, Wei

log = logging.getLogger(__name__)


class Sponsor(Follower):
    """Vouches for sessions, signs for operations, watches what paymasters have left."""

    def __init__(
        self,
        state: State,
        chain: ChainReader,
        signer: Signer,
        keys: Mapping[Address, SealedKey],
        setup: ChainSetup,
        relayers: Relayers,
        notify: Notify,
    ) -> None:
        self._state = state
        self._chain = chain
        self._signer = signer
        self._keys = keys
        self._setup = setup
        self._relayers = relayers
        self._notify = notify
        self._games: dict[tuple[Address, str], GameRecord] = {}
        """Games as the paymasters had them when they were last read."""
        self._checked_at = BlockNumber(0)
        self._low: set[Address] = set()
        """Paymasters whose low deposit an operator was told of."""

    def require(self, unit: Unit, paymaster: Address | None) -> None:
        """Refuse a unit that nobody could pay for.

        Args:
            unit: what is to be granted.
            paymaster: the one of its scope.

        Raises: ConfigInvalid for another paymaster than ours, or without any sponsor's key.
        """
        if paymaster is None:
            return
        if paymaster not in self._setup.paymasters:
            known = [to_hex(each) for each in self._setup.paymasters]
            text = f"unit {unit.name} names the paymaster {to_hex(paymaster)}, configured are {known}"
            raise ConfigInvalid(text, unit=unit.name, found=paymaster)
        if not self._keys:
            raise ConfigInvalid(f"unit {unit.name} is sponsored, and no sponsor key is configured", unit=unit.name)

    async def voucher(self, session: Session, scope: Scope) -> tuple[Address, Voucher]:
        """Vouch for a session, until its grant's deadline. Gives the paymaster that takes it, and the signed voucher.

        Raises: ConfigInvalid when the game is unknown to its paymaster, its sponsor's key is not here, or a session may
            not be given so much; ChainUnavailable.
        """
        paymaster = scope.gas.paymaster
        if paymaster is None:
            raise ConfigInvalid(f"the scope of {session.permission_id.hex()} names no paymaster")
        return paymaster, await self._vouch(session, paymaster, session.grant_deadline)

    def payer(self, session: Session, scope: Scope) -> Payer:
        """Who writes the paymaster's part of a session's operations."""
        if session.sponsored_by == SIGNATURE and scope.gas.paymaster is not None:
            return SignaturePayer(self, session, scope.gas.paymaster)
        return VoucherPayer(session.permission_id)

    async def recover(self) -> None:
        """Learn what the games of our paymasters are, for sessions whose operations the sponsor signs."""
        for paymaster in self._setup.paymasters:
            for game in self._state.games:
                await self._read_game(paymaster, game)

    async def on_head(self) -> None:
        """Now and then: read deposits, and what the stops are about; vouch again where a sponsor was changed."""
        if not self._setup.paymasters:
            return
        if self._state.head.number - self._checked_at < self._state.config.sponsor.check_blocks:
            return
        self._checked_at = self._state.head.number
        try:
            deposits = {paymaster: await self._deposit(paymaster) for paymaster in self._setup.paymasters}
            for paymaster, deposit in deposits.items():
                for game in self._state.games:
                    await self._read_game(paymaster, game)
                await self._watch(paymaster, deposit)
        except ChainError as error:
            log.warning("reading the paymasters, again later: %s", error)
            return
        for stop in self._state.stops:
            try:
                await self._look_at(stop, deposits[stop.paymaster])
            except ChainError as error:
                log.warning("looking at what a paymaster refused, again later: %s", error)

    def key_of(self, paymaster: Address, game: str) -> tuple[SealedKey, int] | None:
        """The key that speaks for a game at a paymaster now, and the generation; None if it is not here."""
        record = self._games.get((paymaster, game))
        key = self._keys.get(record.sponsor) if record is not None else None
        return None if record is None or key is None else (key, record.generation)

    def sign(self, op: UserOperation, version: EntryPointVersion, paymaster: Address, game: str) -> UserOperation:
        """Put the sponsor's signature into an operation; without its key, leave it for the paymaster to refuse."""
        found = self.key_of(paymaster, game)
        if found is None:
            return op
        key, generation = found
        digest = sponsor_operation_digest(self._setup.chain_id, op, version, generation)
        return with_sponsor_signature(op, self._signer.sign(key, digest))

    async def _vouch(self, session: Session, paymaster: Address, deadline: UnixSeconds) -> Voucher:
        record = await self._read_game(paymaster, session.game)
        found = self.key_of(paymaster, session.game)
        if found is None:
            text = (
                f"{session.game} is sponsored by {to_hex(record.sponsor)} at {to_hex(paymaster)}, whose key is not here"
            )
            raise ConfigInvalid(text, game=session.game, sponsor=record.sponsor, generation=record.generation)
        limit = session.sponsored_wei_max
        if limit > record.session_wei_max:
            text = (
                f"unit {session.unit} asks for {limit} wei a session, {session.game} may give {record.session_wei_max}"
            )
            raise ConfigInvalid(text, unit=session.unit, asked=limit, limit=record.session_wei_max)
        number = game_number(session.game)
        voucher = Voucher(session.account, session.permission_id, number, Wei(limit), deadline)
        key, generation = found
        digest = voucher_digest(self._setup.chain_id, paymaster, voucher, generation)
        return replace(voucher, signature=self._signer.sign(key, digest))

    async def _read_game(self, paymaster: Address, game: str) -> GameRecord:
        answer = await self._chain.call(paymaster, GAME_OF.encode_call(game_number(game)))
        record = self._games[paymaster, game] = read_answer(decode_game, answer)
        return record

    async def _deposit(self, paymaster: Address) -> Wei:
        entry_point = self._setup.paymasters[paymaster]
        answer = await self._chain.call(entry_point, BALANCE_OF.encode_call(paymaster))
        (deposit,) = read_answer(BALANCE_OF.decode_result, answer)
        return Wei(cast("int", deposit))

    async def _watch(self, paymaster: Address, deposit: Wei) -> None:
        """Tell an operator when a deposit is low: once, and again only after it was not."""
        least = self._state.config.sponsor.deposit_min_wei
        if deposit >= least:
            self._low.discard(paymaster)
        elif paymaster not in self._low:
            self._low.add(paymaster)
            text = f"{to_hex(paymaster)} has {deposit} wei at its entry point, wanted are {least}"
            await self._notify.alarm("paymaster_deposit_low", text)

    async def _look_at(self, stop: Stop, deposit: Wei) -> None:
        """End a stop that is over; do what is ours to do about one that is not."""
        if stop.permission_id is None:
            if is_over(stop, self._games[stop.paymaster, stop.game], deposit):
                self._state.stops.end(stop)
            return
        session = self._state.sessions.get(stop.permission_id)
        if session is None or session.state != OPEN:
            self._state.stops.end(stop)
        elif stop.reason == NO_VOUCHER:
            await self._vouch_again(stop, session)

    async def _vouch_again(self, stop: Stop, session: Session) -> None:
        """The game's sponsor was changed: hand in a voucher of the new one, and go on when the chain has it."""
        permission_id = session.permission_id
        record = self._games[stop.paymaster, stop.game]
        asked = SPONSORSHIP_OF.encode_call(session.account, permission_id)
        known = read_answer(decode_sponsorship, await self._chain.call(stop.paymaster, asked))
        if known.generation == record.generation and known.generation:
            self._state.stops.end(stop)
            return
        # Not the permission's own name: that stands for its grant and its revocation.
        subject = keccak256(b"sponsor" + permission_id)
        if subject in self._relayers.carried():
            return
        deadline = UnixSeconds(self._state.head.timestamp + self._state.config.sessions.grant_deadline_s)
        try:
            data = encode_sponsor(await self._vouch(session, stop.paymaster, deadline))
            gas = await self._chain.estimate_gas(stop.paymaster, data, sender=self._relayers.any_address())
        except ConfigInvalid as error:
            log.warning("vouching for %s again: %s", permission_id.hex(), error)
            return
        except CallReverted as error:
            reason = revert_text(SESSION_PAYMASTER.decode_revert(error.data))
            log.warning("vouching for %s again: %s", permission_id.hex(), reason)
            return
        await self._relayers.relay(SPONSOR, stop.paymaster, data, Gas(gas * 5 // 4), subject)


class SignaturePayer:
    """For a session whose operations the sponsor signs one by one."""

    def __init__(self, sponsor: Sponsor, session: Session, paymaster: Address) -> None:
        self._sponsor = sponsor
        self._session = session
        self._paymaster = paymaster

    def data(self, op: UserOperation, times: tuple[UnixSeconds, UnixSeconds]) -> bytes:
        """Sign everything that stands in the operation."""
        session = self._session
        unsigned = replace(op, paymaster_data=signed_data(*times, game_number(session.game)))
        version = EntryPointVersion(session.entry_point_version)
        return self._sponsor.sign(unsigned, version, self._paymaster, session.game).paymaster_data
