"""Login messages: a strict reader and writer of ERC-4361, and the checks that make one a login.

The reader takes exactly the grammar, with lengths bounded, and gives back what it read; writing what was read gives the
same text, so no two readings of one signed message exist. Only externally owned accounts log in here: a contract
account's answer may change after the fact, and a session key's must never count.

Source: ERC-4361, RFC 3986 (URI, authority, pchar), RFC 3339 (date-time).
"""

import re
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from gamekit.errors import AuthenticationFailed, EncodingInvalid
from gamekit.eth.hashing import checksum_address, keccak256, parse_address
from gamekit.eth.signature import recover_address
from gamekit.units import Address, Hash32, UnixSeconds

MESSAGE_LENGTH_MAX: Final = 2048
"""Longest login message, in characters. A person is to read it in a wallet."""
RESOURCES_MAX: Final = 16
CHAIN_ID_DIGITS_MAX: Final = 19
CLOCK_SKEW_S: Final = 60
"""How far a player's clock may be ahead of ours, in seconds."""

_UNRESERVED = r"A-Za-z0-9\-._~"
_SUB_DELIMS = r"!$&'()*+,;="
_ESCAPED = r"%[0-9A-Fa-f]{2}"
_PCHAR = rf"(?:[{_UNRESERVED}{_SUB_DELIMS}:@]|{_ESCAPED})"
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_H16 = r"[0-9A-Fa-f]{1,4}"
_LS32 = rf"(?:{_H16}:{_H16}|{_IPV4})"
_IPV6 = (
    "(?:"
    + "|".join(
        (
            rf"(?:{_H16}:){{6}}{_LS32}",
            rf"::(?:{_H16}:){{5}}{_LS32}",
            rf"(?:{_H16})?::(?:{_H16}:){{4}}{_LS32}",
            rf"(?:(?:{_H16}:){{0,1}}{_H16})?::(?:{_H16}:){{3}}{_LS32}",
            rf"(?:(?:{_H16}:){{0,2}}{_H16})?::(?:{_H16}:){{2}}{_LS32}",
            rf"(?:(?:{_H16}:){{0,3}}{_H16})?::{_H16}:{_LS32}",
            rf"(?:(?:{_H16}:){{0,4}}{_H16})?::{_LS32}",
            rf"(?:(?:{_H16}:){{0,5}}{_H16})?::{_H16}",
            rf"(?:(?:{_H16}:){{0,6}}{_H16})?::",
        )
    )
    + ")"
)
_LITERAL = rf"\[(?:{_IPV6}|v[0-9A-Fa-f]+\.[{_UNRESERVED}{_SUB_DELIMS}:]+)\]"
_NAME = rf"(?:[{_UNRESERVED}{_SUB_DELIMS}]|{_ESCAPED})*"
_USER = rf"(?:(?:[{_UNRESERVED}{_SUB_DELIMS}:]|{_ESCAPED})*@)?"
_AUTHORITY = rf"{_USER}(?:{_LITERAL}|{_NAME})(?::[0-9]*)?"
_SCHEME = r"[A-Za-z][A-Za-z0-9+\-.]*"
_PATH = rf"(?://{_AUTHORITY}(?:/{_PCHAR}*)*|/(?:{_PCHAR}+(?:/{_PCHAR}*)*)?|{_PCHAR}+(?:/{_PCHAR}*)*|)"
_URI = rf"{_SCHEME}:{_PATH}(?:\?(?:{_PCHAR}|[/?])*)?(?:#(?:{_PCHAR}|[/?])*)?"
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
_STATEMENT = rf"[{_UNRESERVED}{_SUB_DELIMS}:/?#\[\]@ ]*"

_MESSAGE: Final = re.compile(
    rf"(?:(?P<scheme>{_SCHEME})://)?(?P<domain>{_AUTHORITY}) wants you to sign in with your Ethereum account:\n"
    r"(?P<address>0x[0-9A-Fa-f]{40})\n"
    r"\n"
    rf"(?:(?P<statement>{_STATEMENT})\n)?"
    r"\n"
    rf"URI: (?P<uri>{_URI})\n"
    r"Version: (?P<version>1)\n"
    rf"Chain ID: (?P<chain_id>[0-9]{{1,{CHAIN_ID_DIGITS_MAX}}})\n"
    r"Nonce: (?P<nonce>[A-Za-z0-9]{8,128})\n"
    rf"Issued At: (?P<issued_at>{_TIME})"
    rf"(?:\nExpiration Time: (?P<expiration_time>{_TIME}))?"
    rf"(?:\nNot Before: (?P<not_before>{_TIME}))?"
    rf"(?:\nRequest ID: (?P<request_id>{_PCHAR}*))?"
    rf"(?P<resources>\nResources:(?:\n- {_URI}){{0,{RESOURCES_MAX}}})?"
)


class LoginMessage(Struct, frozen=True, kw_only=True):
    """A login message, taken apart. Times are kept as they were written."""

    domain: str
    """Authority that asks for the signature."""
    address: Address
    uri: str
    chain_id: int
    nonce: str
    """8 to 128 letters and digits."""
    issued_at: str
    scheme: str | None = None
    statement: str | None = None
    expiration_time: str | None = None
    not_before: str | None = None
    request_id: str | None = None
    resources: tuple[str, ...] | None = None
    address_text: str = ""
    """The address as it was written; empty writes it with its checksum."""
    chain_id_text: str = ""

    def __str__(self) -> str:
        """Write the text that a wallet signs."""
        optional = (
            ("Expiration Time", self.expiration_time),
            ("Not Before", self.not_before),
            ("Request ID", self.request_id),
        )
        origin = f"{self.scheme}://{self.domain}" if self.scheme else self.domain
        lines = [
            f"{origin} wants you to sign in with your Ethereum account:",
            self.address_text or checksum_address(self.address),
            "",
            *([] if self.statement is None else [self.statement]),
            "",
            f"URI: {self.uri}",
            "Version: 1",
            f"Chain ID: {self.chain_id_text or self.chain_id}",
            f"Nonce: {self.nonce}",
            f"Issued At: {self.issued_at}",
            *(f"{name}: {value}" for name, value in optional if value is not None),
            *([] if self.resources is None else ["Resources:", *(f"- {uri}" for uri in self.resources)]),
        ]
        return "\n".join(lines)


class Expectation(Struct, frozen=True):
    """What a login message must say here."""

    domain: str
    uri: str
    chain_id: int
    age_s_max: float
    """Longest time since `issued_at`, in seconds."""


def parse_message(text: str) -> LoginMessage:
    """Read a login message.

    Raises:
        EncodingInvalid: longer than allowed, not of the grammar, an address with a wrong checksum, or no such time.
    """
    if len(text) > MESSAGE_LENGTH_MAX:
        raise EncodingInvalid(f"a login message has at most {MESSAGE_LENGTH_MAX} characters, got {len(text)}")
    match = _MESSAGE.fullmatch(text)
    if match is None:
        raise EncodingInvalid("not a login message of ERC-4361, version 1")
    found = match.groupdict()
    for name in ("issued_at", "expiration_time", "not_before"):
        if found[name] is not None:
            parse_time(found[name])
    return LoginMessage(
        scheme=found["scheme"],
        domain=found["domain"],
        address=parse_address(found["address"]),
        address_text=found["address"],
        statement=found["statement"],
        uri=found["uri"],
        chain_id=int(found["chain_id"]),
        chain_id_text=found["chain_id"],
        nonce=found["nonce"],
        issued_at=found["issued_at"],
        expiration_time=found["expiration_time"],
        not_before=found["not_before"],
        request_id=found["request_id"],
        resources=None if found["resources"] is None else tuple(found["resources"].split("\n- ")[1:]),
    )


def parse_time(text: str) -> float:
    """Read a date-time as unix seconds.

    Raises: EncodingInvalid when the calendar or the clock has no such time. A leap second is none here.
    """
    try:
        return datetime.fromisoformat(text.upper()).timestamp()
    except (ValueError, OverflowError) as error:
        raise EncodingInvalid(f"no such time: {text}") from error


def format_time(seconds: float) -> str:
    """Write unix seconds as a date-time in UTC, to the second."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def personal_hash(text: str) -> Hash32:
    """Hash a text as wallets do before they sign it. Source: ERC-191, version 0x45."""
    data = text.encode()
    return keccak256(b"\x19Ethereum Signed Message:\n" + str(len(data)).encode() + data)


def check_login(text: str, signature: bytes, expected: Expectation, now: UnixSeconds) -> LoginMessage:
    """Decide whether a signed message logs its address in. The nonce is the caller's to check, after this.

    Args:
        text: the message as it was signed.
        signature: 65 bytes; `v` may be 0 or 1 as some hardware wallets write it.
        expected: what it must say here.
        now: wall-clock unix seconds; a login is no matter of the chain.

    Raises:
        AuthenticationFailed: whatever is wrong, in the same words; the cause has the reason, for our log.
    """
    try:
        message = parse_message(text)
        reason = _mismatch(message, expected, now)
        if not reason and recover_address(personal_hash(text), _with_v(signature)) != message.address:
            reason = "signed by another key"
    except EncodingInvalid as error:
        raise AuthenticationFailed("login refused") from error
    if reason:
        raise AuthenticationFailed("login refused") from EncodingInvalid(reason)
    return message


def _with_v(signature: bytes) -> bytes:
    if len(signature) == 65 and signature[64] in (0, 1):
        return signature[:64] + bytes((signature[64] + 27,))
    return signature


def _mismatch(message: LoginMessage, expected: Expectation, now: float) -> str:
    """Name the first thing that the message says and should not; empty when all is well."""
    issued = parse_time(message.issued_at)
    expires = None if message.expiration_time is None else parse_time(message.expiration_time)
    begins = None if message.not_before is None else parse_time(message.not_before)
    schemes = (None, expected.uri.partition(":")[0])
    checks = (
        (message.domain == expected.domain, f"domain is {message.domain}, expected {expected.domain}"),
        (message.uri == expected.uri, f"URI is {message.uri}, expected {expected.uri}"),
        (message.scheme in schemes, f"scheme is {message.scheme}, expected {schemes[1]}"),
        (message.chain_id == expected.chain_id, f"chain id is {message.chain_id}, expected {expected.chain_id}"),
        (issued >= now - expected.age_s_max, f"issued at {message.issued_at}, too long before {format_time(now)}"),
        (issued <= now + CLOCK_SKEW_S, f"issued at {message.issued_at}, it is only {format_time(now)}"),
        (expires is None or now < expires, f"expired at {message.expiration_time}"),
        (begins is None or begins <= now + CLOCK_SKEW_S, f"not valid before {message.not_before}"),
    )
    return next((reason for holds, reason in checks if not holds), "")
