"""What an adapter says of its account holds there: each sentence leans on rows of the escape suite that run on it."""

from collections.abc import Iterator
from typing import Final

import pytest

from gamekit.accounts import STACKS, stack
from gamekit.accounts.stack import ALL_LIMITS
from gamekit.core.explain import describe
from tests.core.test_explain import arena
from tests.proof.escapes.accounts import ACCOUNTS
from tests.proof.escapes.model import Row
from tests.proof.escapes.rows import all_rows

ALL: Final = (
    "C01:token C02:flip-0 C05:beneficiary C06:per-call C06:total-over-time C28:sum-over-time C28:uses-over-time "
    "C28:rate C34:call-gas C34:budget C35:other C58:left-out C38:second-after C29:by-owner C29:all-by-account"
)
WHOLE: Final = "C11:bad-2 C06:total-in-batch C58:post-op-gas C58:after-signing C32:* C54:later"
ONLY: Final = "C15:execute C15:execute-from-executor C15:install C33:no-validator"
APPROVALS: Final = "C21:module C21:envelope C21:owners-prefix C30:by-thief C43:grant-by-key"

HELD_BY: Final = {
    ALL_LIMITS[0]: ALL,
    ALL_LIMITS[1]: WHOLE,
    "Only the entry point may make the account execute, and only after one of its validators has agreed.": ONLY,
    "Only the entry point may make the adapter execute, and only after one of its validators has agreed.": ONLY,
    "Only the entry point or the account's own key may make it execute; the entry point asks a validator.": ONLY,
    "The session validator may start execute and no other function of the account.": (
        "C13:install-module C13:upgrade C13:near-execute C14:in-front C14:instead"
    ),
    "The owner's approvals are checked by the owner validator alone; the session key can sign none of them.": (
        f"{APPROVALS} C57:yes-prefix"
    ),
    "The owner's approvals are checked by the owner validator or by the Safe; the session key can sign none.": (
        f"{APPROVALS} C57:yes-prefix"
    ),
    "The owner's approvals are checked by the root validator alone; the session key can sign none of them.": (
        f"{APPROVALS} C33:root"
    ),
    "The session key is another key than the account's, and can sign nothing but operations of its session.": (
        "C21:plain C21:envelope C30:by-thief C43:grant-by-key C47:by-session-key"
    ),
}
"""The rows behind each sentence; `*` stands for all rows of a case."""


def rows_behind(sentence: str) -> Iterator[Row]:
    """The rows that a sentence leans on; a name that is no row's is an error."""
    rows = {row.id: row for row in all_rows()}
    for name in HELD_BY[sentence].split():
        if name.endswith("*"):
            yield from (row for row in rows.values() if row.id.startswith(name[:-1]))
        else:
            yield rows[name]


@pytest.mark.parametrize("name", STACKS)
def test_each_sentence_leans_on_rows_that_run_on_that_account(name: str) -> None:
    accounts = [each for each in ACCOUNTS if each.partition(" ")[0] == name]
    assert accounts
    for sentence in stack(name).limits.enforced:
        behind = list(rows_behind(sentence))
        assert len(behind) >= 4
        for account in accounts:
            idle = [row.id for row in behind if row.reason_without(account)]
            assert idle == [], f"{account}: {sentence}"


def test_no_sentence_is_left_behind() -> None:
    said = {sentence for name in STACKS for sentence in stack(name).limits.enforced}
    assert said == set(HELD_BY)


@pytest.mark.parametrize("name", STACKS)
def test_each_adapter_says_which_limits_hold_and_the_explanation_shows_it(name: str) -> None:
    limits = stack(name).limits
    assert limits.enforced[: len(ALL_LIMITS)] == ALL_LIMITS
    told = describe(arena().unit("play_match"), arena(), stack(name))
    assert told.on_account == limits.enforced
    assert all(f"  - {sentence}\n" in str(told) for sentence in limits.enforced)
    assert "On this kind of account" not in str(describe(arena().unit("play_match"), arena()))
