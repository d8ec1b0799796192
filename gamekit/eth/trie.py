"""The root over an ordered list that a block's header commits to: of its receipts, as of its transactions.

Source: Ethereum yellow paper, appendix D; the keys are the RLP of the places, from 0.
"""

from collections.abc import Sequence

from gamekit.eth.block import Log
from gamekit.eth.hashing import keccak256
from gamekit.eth.rlp import RlpItem, rlp_encode, rlp_list
from gamekit.units import Gas, Hash32

_Pairs = Sequence[tuple[bytes, bytes]]
"""Nibbles of each key, in order, and its value."""


def ordered_root(values: Sequence[bytes]) -> Hash32:
    """Compute the root over values by their places."""
    if not values:
        return keccak256(rlp_encode(b""))
    pairs = sorted((_nibbles(rlp_encode(place)), value) for place, value in enumerate(values))
    return keccak256(rlp_encode(_node(pairs, 0)))


def encode_receipt(
    kind: int, cumulative_gas_used: Gas, bloom: bytes, logs: Sequence[Log], *, succeeded: bool, more: Sequence[int] = ()
) -> bytes:
    """Encode a receipt as the root is computed over it.

    Args:
        kind: transaction type; 0 has no type byte.
        cumulative_gas_used: gas of the block up to and including this transaction.
        bloom: its 256 bytes.
        logs: in order.
        succeeded: the status.
        more: what a rollup's own kinds append, such as the deposit's nonce and version on the OP stack.

    Source: EIP-658, EIP-2718.
    """
    fields: list[RlpItem] = [int(succeeded), cumulative_gas_used, bloom]
    head = b"".join(map(rlp_encode, fields))
    body = rlp_list(head + rlp_list(b"".join(map(_log, logs))) + b"".join(map(rlp_encode, more)))
    return bytes((kind,)) + body if kind else body


def _log(log: Log) -> bytes:
    """Encode a log. By hand, since a busy block has thousands: 20 bytes of address and 32 of a topic need no look."""
    topics = b"".join([b"\xa0" + topic for topic in log.topics])
    return rlp_list(b"\x94" + log.address + rlp_list(topics) + rlp_encode(log.data))


def _node(pairs: _Pairs, depth: int) -> list[RlpItem]:
    """The node over keys that agree up to `depth`. RLP is free of prefixes, so no key ends inside another."""
    first, last = pairs[0][0], pairs[-1][0]
    if len(pairs) == 1:
        return [_path(first[depth:], is_leaf=True), pairs[0][1]]
    end = depth
    while first[end] == last[end]:  # sorted: what the outer two share, all share
        end += 1
    if end > depth:
        return [_path(first[depth:end], is_leaf=False), _reference(_node(pairs, end))]
    branch: list[RlpItem] = [b""] * 17
    start = 0
    for place in range(1, len(pairs) + 1):
        if place == len(pairs) or pairs[place][0][depth] != pairs[start][0][depth]:
            branch[pairs[start][0][depth]] = _reference(_node(pairs[start:place], depth + 1))
            start = place
    return branch


def _reference(node: list[RlpItem]) -> RlpItem:
    """A node inside another: itself when it is short, else its hash."""
    encoded = rlp_encode(node)
    return node if len(encoded) < 32 else keccak256(encoded)


def _nibbles(key: bytes) -> bytes:
    return bytes(half for byte in key for half in (byte >> 4, byte & 15))


def _path(nibbles: bytes, *, is_leaf: bool) -> bytes:
    """Nibbles in the compact form, whose first says whether it is a leaf and whether their number is odd."""
    flag = 2 * is_leaf + len(nibbles) % 2
    whole = bytes((flag,)) + nibbles if len(nibbles) % 2 else bytes((flag, 0)) + nibbles
    return bytes(whole[place] << 4 | whole[place + 1] for place in range(0, len(whole), 2))
