"""Reads what a contract answered. What does not decode is no answer: the node errs, and is asked again later."""

from collections.abc import Callable
from typing import TypeVar

from gamekit.errors import ChainUnavailable, EncodingInvalid

T = TypeVar("T")


def read_answer(decode: Callable[[bytes], T], answer: bytes) -> T:
    """Decode the answer to an `eth_call`. Raises ChainUnavailable where it is empty, garbage, or out of range."""
    try:
        return decode(answer)
    except EncodingInvalid as error:
        raise ChainUnavailable(f"the node's answer to a call does not decode: {error}", found=answer[:64]) from error
