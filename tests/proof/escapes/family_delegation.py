"""C37, C47, C48, C53: a person's own address and whom it delegates to; and what public bundlers ask of validation."""

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Final

from msgspec.structs import replace

from gamekit.chain.rpc import from_data, to_data
from gamekit.demo.forgery import Attempt
from gamekit.eth.calldata import Call
from gamekit.eth.interface import Function
from gamekit.eth.user_operation import DELEGATION_FACTORY
from gamekit.units import ZERO_ADDRESS, Address, Wei
from tests.accounts.world import Key
from tests.proof.escapes.family_sponsored import paid
from tests.proof.escapes.make import operation_row, refused, trial_row
from tests.proof.escapes.model import Do, Expected, Judge, Operate, Row, Trial
from tests.proof.escapes.sessions import ATTACK, BUY, CRAFT, secret_of
from tests.proof.escapes.world import Base, World
from tests.proof.storage_rules import judge

CONTRACT: Final = "it is a contract and delegates to nobody"
OWING: Final = "owing"
OWED_WEI: Final = 12_345
"""What the deposit lacks, as the EntryPoint would tell the account."""
OWN_ADDRESS: Final = {"*": CONTRACT, "reference_7702": ""}


def rows() -> Iterator[Row]:
    """All rows of this family."""
    yield from _delegation()
    yield from _authorizations()
    yield from _storage()


async def _delegate(world: World, to: Address, signer: Key) -> None:
    """Mine an authorization: the signer's own address delegates."""
    beside = Base(world.node, world.contracts, world.where)
    beside.owner, beside.account = signer, signer.address
    await beside.relay(world.thief, b"", authorizations=[await beside.authorization(to)])


def _delegating(to: Callable[[World], Address]) -> Do:
    async def act(world: World) -> None:
        await _delegate(world, to(world), world.base.owner)

    return Do(act)


def _delegation() -> Iterator[Row]:
    """C37, C47: authorizations are the owner's own."""
    yield operation_row(
        "C37",
        "delegation",
        "an operation that would delegate first",
        refused("InitCodeNotEmpty"),
        lambda w: (
            replace(w.honest(), after_signing=lambda op: replace(op, factory=DELEGATION_FACTORY)),
            w.honest(),
        ),
        values=lambda _: {"length": 20},
        without=OWN_ADDRESS,
    )
    others: tuple[tuple[str, str, Callable[[World], Address], Expected], ...] = (
        (
            "elsewhere",
            "a session behind a delegation to other code",
            lambda w: w.strangers.elsewhere,
            refused("NobodysAccount"),
        ),
        ("nowhere", "a session behind the end of the delegation", lambda w: ZERO_ADDRESS, Expected("AA20")),
    )
    for slug, what, to, expected in others:
        yield trial_row(
            "C47",
            slug,
            what,
            expected,
            partial(
                lambda slug, to, w: Trial(
                    escape_before=(_delegating(to),),
                    escape=Operate(w.honest()),
                    twin=Operate(w.honest()),
                    values={"caller": w.where.entry_point} if slug == "elsewhere" else {},
                ),
                slug,
                to,
            ),
            without=OWN_ADDRESS,
        )
    yield trial_row(
        "C47",
        "by-session-key",
        "an authorization that the session key signed",
        Expected("the key's own address", "and not the account"),
        lambda w: Trial(
            escape=Judge(lambda w: _authorized(w, Key(int.from_bytes(secret_of(0).secret, "big")))),
            twin=Judge(lambda w: _authorized(w, w.base.owner)),
            effect={},
        ),
        without=OWN_ADDRESS,
    )


def _authorizations() -> Iterator[Row]:
    """C48: authorizations that are spent."""
    yield trial_row(
        "C48",
        "spent-authorization",
        "an authorization whose nonce is spent before it is relayed",
        Expected("refused"),
        lambda w: Trial(escape=Operate(w.honest()), twin=Operate(w.honest())),
        without={
            "*": "no operation carries an authorization; only what opens an account does, and a spent one costs the "
            "relayer that transaction's gas and nobody an asset"
        },
    )


async def _authorized(world: World, signer: Key) -> str:
    """Let a key sign that the account delegates to the thief's code; says what came of it."""
    await _delegate(world, world.strangers.rival, signer)
    code = from_data(await world.node.request(str, "eth_getCode", to_data(world.account), "latest"))
    return "" if code[3:] == world.strangers.rival else "the key's own address and not the account"


def _storage() -> Iterator[Row]:
    """C53: what public bundlers would drop. The escape is a validator in our place that breaks a rule."""
    deed = Function.parse("deed7(uint256)")
    operations: tuple[tuple[str, str, str, Callable[[World], Attempt]], ...] = (
        ("single", "one call", "play", lambda w: w.honest()),
        ("batch", "eight calls", "play", lambda w: w.honest(8)),
        ("rule", "an argument with a rule", "play", lambda w: w.one(_on_arena(w, ATTACK.encode_call(1, 1)))),
        ("sum", "an argument that is summed up", "play", lambda w: w.one(_on_arena(w, CRAFT.encode_call(1, 1)))),
        (
            "value",
            "a call with value",
            "trade",
            lambda w: w.one(Call(w.strangers.bazaar, Wei(1), BUY.encode_call(1, 1)), "trade"),
        ),
        ("pace", "a session with a pace", "paced", lambda w: w.one(w.play(), "paced")),
        (
            "long",
            "a call of a long list, with its witness",
            "long",
            lambda w: w.many([Call(w.strangers.bazaar, Wei(0), deed.encode_call(place)) for place in (1, 2)], "long"),
        ),
        ("sponsored", "an operation that our paymaster pays for", "vouched", lambda w: paid(w, "vouched")),
        (OWING, "an operation for which the account pays in validation", "play", lambda w: w.honest()),
    )
    for slug, what, session, attempt in operations:
        for rule, breaker, sin in (
            ("clock", "OP-011", "reads the clock"),
            ("slot", "STO-021", "touches a slot that is not the account's"),
        ):
            if rule == "slot" and slug != "sum":
                continue  # a trace takes half a second
            yield trial_row(
                "C53",
                f"{rule}-{slug}",
                f"validation of {what} {sin}",
                Expected(breaker),
                partial(
                    lambda owed_wei, session, attempt, rule, w: Trial(
                        escape_before=(_broken(rule),),
                        escape=Judge(lambda w: _judged(w, session, attempt, owed_wei)),
                        twin=Judge(lambda w: _judged(w, session, attempt, owed_wei)),
                        effect={},
                    ),
                    OWED_WEI if slug == OWING else 0,
                    session,
                    attempt,
                    rule,
                ),
            )


def _on_arena(world: World, data: bytes) -> Call:
    return Call(world.contracts.arena, Wei(0), data)


def _broken(rule: str) -> Do:
    """Put a validator that breaks a rule in the session validator's place."""

    async def act(world: World) -> None:
        source = world.strangers.clock_reader if rule == "clock" else world.strangers.slot_breaker
        code = await world.node.request(str, "eth_getCode", to_data(source), "latest")
        await world.node.set_code(world.module, from_data(code))

    return Do(act)


def _judged(world: World, session: str, attempt: Callable[[World], Attempt], owed_wei: int) -> Awaitable[str]:
    async def rules() -> str:
        (op,) = await world.bundle(attempt(world), session)
        _, found = await judge(world, op, owed_wei)
        return " ".join(sorted({each.partition(":")[0] for each in found}))

    return rules()
