"""Whom the accounts of the suite meet: games, tokens, paymasters and modules that mean no good, one of each."""

from functools import cache
from typing import Final

from msgspec import Struct

from gamekit.devnet import DevnetContracts, DevnetNode
from gamekit.devnet.deployment import DEPLOYER, NO_SALT, Plan, carry_out
from gamekit.eth.hashing import create2_address
from gamekit.units import Address
from tests.proof.solidity import creation_codes, strangers

ERC721: Final = bytes.fromhex("80ac58cd")
ERC1155: Final = bytes.fromhex("d9b67a26")
ERC6909: Final = bytes.fromhex("0f632fb3")


class Strangers(Struct, frozen=True):
    """Where they are. Source: gamekit/contracts/test/escapes."""

    looker: Address
    bazaar: Address
    """A game that is after its players' accounts."""
    rival: Address
    """Another one of the same code."""
    yes: Address
    """A module that agrees to everything."""
    paymaster: Address
    """The one that a session may name."""
    other_paymaster: Address
    coin: Address
    """Answers as an ERC-20."""
    collections: dict[bytes, Address]
    """Answer as a token of that interface."""
    blabber: Address
    """Answers with a megabyte."""
    nest: Address
    mortal: Address
    """A game that any call ends: CALLER SELFDESTRUCT."""
    purse: Address
    """Answers to balanceOf alone."""
    granule: Address
    """Answers to ERC-777's granularity alone."""
    robber: Address
    """What the facade shows in the end."""
    facade: Address
    """A proxy in front of the bazaar."""
    elsewhere: Address
    """Refuses whatever is asked of it, by an error of its own."""
    clock_reader: Address
    """A validator that reads the clock."""
    slot_breaker: Address
    """A validator that counts in a slot that is nobody's."""


class _Plan(Plan):
    """A deployment of what is not among gamekit's artifacts."""

    def add_code(self, code: bytes) -> Address:
        """Plan a contract of a few bytes: PUSH1 length, PUSH1 12, PUSH1 0, CODECOPY, PUSH1 length, PUSH1 0, RETURN."""
        size = bytes((len(code),))
        return self._add(b"\x60" + size + b"\x60\x0c\x60\x00\x39\x60" + size + b"\x60\x00\xf3" + code, NO_SALT)

    def add_stranger(self, name: str, *arguments: bytes, salt: bytes = NO_SALT) -> Address:
        return self._add(codes()[name] + b"".join(arguments), salt)

    def _add(self, init_code: bytes, salt: bytes) -> Address:
        address = create2_address(DEPLOYER, salt, init_code)
        self.steps[address] = salt + init_code
        return address


@cache
def codes() -> dict[str, bytes]:
    """Compile them; gives creation codes by name."""
    return creation_codes(strangers())


async def deploy_strangers(node: DevnetNode, contracts: DevnetContracts, thief: Address) -> Strangers:
    """Deploy what is missing of them."""
    plan, salt = _Plan(), b"\x01".rjust(32, b"\x00")
    place = (bytes(12) + contracts.gold, bytes(12) + thief)
    bazaar = plan.add_stranger("Bazaar", *place)
    found = Strangers(
        looker=plan.add_stranger("Looker"),
        bazaar=bazaar,
        rival=plan.add_stranger("Bazaar", *place, salt=salt),
        yes=plan.add_stranger("YesModule"),
        paymaster=plan.add_stranger("FreePaymaster"),
        other_paymaster=plan.add_stranger("FreePaymaster", salt=salt),
        coin=plan.add_stranger("Coin"),
        collections={
            each: plan.add_stranger("Collection", each.ljust(32, b"\x00")) for each in (ERC721, ERC1155, ERC6909)
        },
        blabber=plan.add_stranger("Blabber"),
        nest=plan.add_stranger("Nest"),
        mortal=plan.add_code(b"\x33\xff"),
        purse=plan.add_stranger("Purse"),
        granule=plan.add_stranger("Granule"),
        robber=plan.add_stranger("Robber", *place),
        facade=plan.add_stranger("Facade", bytes(12) + bazaar),
        elsewhere=plan.add_stranger("Elsewhere"),
        clock_reader=plan.add_stranger("Rulebreaker", (1).to_bytes(32, "big")),
        slot_breaker=plan.add_stranger("Rulebreaker", bytes(32)),
    )
    await carry_out(node, plan)
    return found
