"""Reads what targets run: which implementation a grant must accept, and what is watched afterwards."""

from collections.abc import Iterable

from msgspec import Struct

from gamekit.errors import CallReverted, ChainUnavailable, ConfigInvalid
from gamekit.eth.hashing import checksum_address
from gamekit.eth.proxy import (
    BEACON_SLOT,
    IMPLEMENTATION,
    IMPLEMENTATION_SLOT,
    PROBE_GAS,
    Accepted,
    clone_target,
    runs_others,
    told_address,
    word_address,
)
from gamekit.ports import ChainReader
from gamekit.units import Address, Hash32

LIMIT_EXCEEDED = -32005
"""A node's word for "ask again later". Source: EIP-1474."""


class TargetCode(Struct, frozen=True):
    """A contract, and what it runs as far as can be known."""

    code: bytes
    word: Hash32
    """In the slot that ERC-1967 keeps for the implementation."""
    told: Address | None
    """What its code or its own answer names: what the chain compares with in a grant."""
    behind: Address | None
    """What its beacon names, if it has one."""

    def implementation(self, target: Address) -> Address:
        """What the owner is asked to accept: what the target names, else its storage, else its beacon, else itself."""
        return self.told or word_address(self.word) or self.behind or target


async def accepted(chain: ChainReader, targets: Iterable[Address], asker: Address) -> tuple[Accepted, ...]:
    """Give what a grant must accept, for those targets that can run code of others, in the order of their first use.

    Args:
        chain: read at its head.
        targets: of the scope's entries, in its order.
        asker: who asks on chain, the session validator: a proxy may answer one and not another.

    Raises: ConfigInvalid for a target that runs what is no contract, which no owner can accept; ChainUnavailable.
    """
    found = []
    for target in dict.fromkeys(targets):
        code = await chain.code(target)
        if not runs_others(code):
            continue
        read = await read_target(chain, target, asker)
        implementation = read.implementation(target)
        if not await chain.code(implementation):
            told = checksum_address(read.told) if read.told else "nothing"
            text = f"{checksum_address(target)} names {told} and runs {checksum_address(implementation)}"
            raise ConfigInvalid(
                f"{text}, where there is no code", target=target, told=read.told, implementation=implementation
            )
        found.append(Accepted(target, implementation))
    return tuple(found)


async def read_target(chain: ChainReader, target: Address, asker: Address) -> TargetCode:
    """Read a contract and what it says that it runs. Raises ChainUnavailable."""
    code = await chain.code(target)
    word = await chain.storage(target, IMPLEMENTATION_SLOT)
    beacon = word_address(await chain.storage(target, BEACON_SLOT))
    told = clone_target(code)
    if told is None and runs_others(code):
        told = await _ask(chain, target, asker)
    return TargetCode(code, word, told, None if beacon is None else await _ask(chain, beacon, target))


async def _ask(chain: ChainReader, target: Address, asker: Address) -> Address | None:
    """Ask for an implementation; None where it does not answer, or the node says that the call fails."""
    try:
        answer = await chain.call(target, IMPLEMENTATION.encode_call(), sender=asker, gas=PROBE_GAS)
    except CallReverted:
        return None
    except ChainUnavailable as error:
        # Nodes name a call that runs out of gas, or into no instruction, as an error of their own.
        if error.code != "rpc_refused" or error.compared.get("rpc_code") == LIMIT_EXCEEDED:
            raise
        return None
    return told_address(answer)
