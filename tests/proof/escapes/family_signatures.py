"""The signature field: what the key did not sign, what recovers to nobody, what a bundler may write around it."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from msgspec.structs import replace

from gamekit.demo import forgery
from gamekit.demo.forgery import Attempt, Change, with_signature_bytes
from gamekit.eth.signature import CURVE_ORDER
from gamekit.eth.user_operation import UserOperation
from gamekit.units import Gas
from tests.proof.escapes.family_bindings import NOT_LIVE
from tests.proof.escapes.make import SIGNATURE, operation_row, refused, trial_row
from tests.proof.escapes.model import Expected, Operate, Row, Trial
from tests.proof.escapes.sessions import secret_of
from tests.proof.escapes.world import World

R, S, V, SCOPE = 12, 44, 76, 78
"""Where they stand in the envelope of an operation with one call."""
TOO_SHORT: Final = refused("SignatureTooShort")
SLACK_S: Final = 120


def rows() -> Iterator[Row]:
    """All rows of this family."""
    yield from _nobody()
    yield from _malleable()
    yield from _lengths()
    yield from _times()


def _row(case: str, slug: str, what: str, change: Change, expected: Expected = SIGNATURE) -> Row:
    return operation_row(case, slug, what, expected, lambda w: (replace(w.honest(), after_signing=change), w.honest()))


def _nobody() -> Iterator[Row]:
    """C39: what recovers to address 0, or to somebody else."""
    yield _row("C39", "zeros", "a signature of zeros", with_signature_bytes(R, bytes(65)))
    yield _row("C39", "r-zero", "r is 0", with_signature_bytes(R, bytes(32)))
    yield _row("C39", "s-zero", "s is 0", with_signature_bytes(S, bytes(32)))
    yield _row(
        "C39", "r-order", "r is the order of the group", with_signature_bytes(R, CURVE_ORDER.to_bytes(32, "big"))
    )
    yield _row("C39", "ones", "a signature of ones", with_signature_bytes(R, b"\xff" * 65))
    yield _row("C39", "flip-r", "a flipped bit of r", lambda op: _flipped(op, R + 31))
    yield _row("C39", "flip-s", "a flipped bit of s", lambda op: _flipped(op, S + 31))
    for slug, what, key in (("own-key", "a key of the thief's own", 98), ("other-session", "another session's key", 1)):
        yield operation_row(
            "C39",
            slug,
            what,
            SIGNATURE,
            partial(lambda key, w: (replace(w.honest(), secret=secret_of(key)), w.honest()), key),
        )


def _flipped(op: UserOperation, at: int) -> UserOperation:
    return with_signature_bytes(at, bytes((op.signature[at] ^ 1,)))(op)


def _s(op: UserOperation) -> int:
    return int.from_bytes(op.signature[S : S + 32], "big")


def _malleable() -> Iterator[Row]:
    """C40: other bytes that some verifiers take for the same signature."""
    yield _row("C40", "high-s", "s mirrored, v flipped", forgery.with_high_s)
    yield _row(
        "C40",
        "high-s-only",
        "s mirrored",
        lambda op: with_signature_bytes(S, (CURVE_ORDER - _s(op)).to_bytes(32, "big"))(op),
    )
    yield _row(
        "C40",
        "s-plus-order",
        "s with the order of the group added, where it fits",
        lambda op: with_signature_bytes(S, ((_s(op) + CURVE_ORDER) % (1 << 256)).to_bytes(32, "big"))(op),
    )
    yield _row(
        "C40", "v-flipped", "the other v", lambda op: with_signature_bytes(V, bytes((55 - op.signature[V],)))(op)
    )
    yield _row("C40", "v-low", "v as 0 or 1", lambda op: with_signature_bytes(V, bytes((op.signature[V] - 27,)))(op))
    yield _row(
        "C40", "v-chain", "v as of EIP-155", lambda op: with_signature_bytes(V, bytes((op.signature[V] + 10,)))(op)
    )
    yield _row("C40", "v-29", "v of 29", with_signature_bytes(V, b"\x1d"))
    yield _row("C40", "swapped", "r and s swapped", _swapped)
    yield _row("C40", "short", "64 bytes, as of EIP-2098", _compact, NOT_LIVE)
    yield operation_row(
        "C40",
        "prefixed",
        "the digest with the prefix of personal messages",
        SIGNATURE,
        lambda w: (replace(w.honest(), is_personal=True), w.honest()),
    )


def _swapped(op: UserOperation) -> UserOperation:
    return with_signature_bytes(R, op.signature[S : S + 32] + op.signature[R : R + 32])(op)


def _compact(op: UserOperation) -> UserOperation:
    s = _s(op) | (op.signature[V] - 27) << 255
    head = op.signature[:S] + s.to_bytes(32, "big")
    return replace(op, signature=head + op.signature[V + 1 :])


def _lengths() -> Iterator[Row]:
    """C36: a bundler who pads the signature would have the account pay for it."""
    yield _row("C36", "byte-behind", "a byte behind the signature", lambda op: _longer(op, b"\x00"), NOT_LIVE)
    yield _row("C36", "word-behind", "a word behind the signature", lambda op: _longer(op, bytes(32)), NOT_LIVE)
    yield _row("C36", "padded", "16 KB behind the signature", lambda op: _longer(op, bytes(16_384)), NOT_LIVE)
    yield _row(
        "C36",
        "byte-before",
        "a byte in front of the signature",
        lambda op: replace(op, signature=b"\x00" + op.signature),
        NOT_LIVE,
    )
    yield _row("C36", "empty", "no signature at all", lambda op: replace(op, signature=b""), TOO_SHORT)
    yield _row(
        "C36", "cut", "a signature without a scope", lambda op: replace(op, signature=op.signature[:SCOPE]), TOO_SHORT
    )
    yield _row(
        "C36",
        "header-only",
        "a scope without entries",
        lambda op: replace(op, signature=op.signature[: SCOPE + 192]),
        NOT_LIVE,
    )
    yield trial_row(
        "C36",
        "low-gas",
        "the bundler gives too little gas: the call would fail, and be paid for",
        Expected("AA95"),
        lambda w: Trial(escape=Operate(_hungry(w), gas=600_000), twin=Operate(_hungry(w), gas=1_200_000)),
    )


def _hungry(world: World) -> Attempt:
    return replace(world.honest(), before_signing=lambda op: replace(op, call_gas_limit=Gas(500_000)))


def _longer(op: UserOperation, more: bytes) -> UserOperation:
    return replace(op, signature=op.signature + more)


def _times() -> Iterator[Row]:
    """C54: the two times stand outside userOpHash, so they are inside the digest."""

    def short(world: World) -> Attempt:
        return replace(world.honest(), life_s=60)

    changes: tuple[tuple[str, str, Change], ...] = (
        ("later", "the deadline moved on", forgery.with_deadline_after(40)),
        ("later-by-one", "the deadline moved on by a second", forgery.with_deadline_after(1)),
        ("earlier", "the deadline moved back", forgery.with_deadline_after(-30)),
        ("endless", "a deadline with all bits set", with_signature_bytes(6, b"\xff" * 6)),
        ("claim-later", "a later claim", forgery.with_claim_later(1)),
        ("claim-earlier", "an earlier claim: more of the pace", forgery.with_claim_later(-1)),
    )
    for slug, what, change in changes:
        yield operation_row(
            "C54",
            slug,
            what,
            SIGNATURE,
            partial(lambda change, w: (replace(short(w), after_signing=change), short(w)), change),
        )
    yield operation_row(
        "C54",
        "swapped",
        "claim and deadline swapped",
        refused("TimeRangeEmpty"),
        lambda w: (
            replace(
                short(w), after_signing=lambda op: with_signature_bytes(0, op.signature[6:12] + op.signature[:6])(op)
            ),
            short(w),
        ),
    )
    for slug, what, escape, twin in (
        ("expired", "an operation behind its deadline", {"age_s": 20, "life_s": 10}, {"age_s": 20, "life_s": 60}),
        ("not-yet", "an operation that claims the future", {"age_s": -60}, {"age_s": 5}),
        (
            "slack",
            "a distant deadline, behind the slack from the claim",
            {"age_s": SLACK_S + 5, "life_s": 100_000},
            {"age_s": SLACK_S - 10, "life_s": 100_000},
        ),
    ):
        yield operation_row(
            "C54",
            slug,
            what,
            Expected("AA22"),
            partial(lambda escape, twin, w: (_timed(w, escape), _timed(w, twin)), escape, twin),
        )


def _timed(world: World, times: dict[str, int]) -> Attempt:
    return replace(world.honest(), age_s=times["age_s"], life_s=times.get("life_s", forgery.LIFE_S))
