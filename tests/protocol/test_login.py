"""Login messages, strictly read."""

import coincurve
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gamekit.errors import AuthenticationFailed, EncodingInvalid
from gamekit.eth.hashing import parse_address
from gamekit.eth.signature import public_key_address
from gamekit.protocol.login import (
    MESSAGE_LENGTH_MAX,
    Expectation,
    LoginMessage,
    check_login,
    format_time,
    parse_message,
    parse_time,
    personal_hash,
)
from gamekit.units import UnixSeconds

STANDARD_TAIL = """
0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2

I accept the ExampleOrg Terms of Service: https://example.com/tos

URI: https://example.com/login
Version: 1
Chain ID: 1
Nonce: 32891756
Issued At: 2021-09-30T16:25:24Z
Resources:
- ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/
- https://example.com/my-web2-claim.json"""
"""The three examples of ERC-4361 differ in their first line only."""
STANDARD = {
    origin: f"{origin} wants you to sign in with your Ethereum account:{STANDARD_TAIL}"
    for origin in ("example.com", "example.com:3388", "https://example.com")
}
MINIMAL = """game.example wants you to sign in with your Ethereum account:
0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2


URI: https://game.example/play
Version: 1
Chain ID: 31337
Nonce: abcdefgh
Issued At: 2026-01-02T03:04:05Z"""

KEY = coincurve.PrivateKey(b"\x01" * 32)
ADDRESS = public_key_address(KEY.public_key.format(compressed=False))
EXPECTED = Expectation("game.example", "https://game.example/play", 31337, 300)
NOW = UnixSeconds(1_767_323_045)  # 2026-01-02T03:04:05Z


def sign(text: str, *, wallet_v: int = 27) -> bytes:
    signature = KEY.sign_recoverable(personal_hash(text), hasher=None)
    return signature[:64] + bytes((signature[64] + wallet_v,))


def message(**changes: object) -> LoginMessage:
    fields: dict[str, object] = {
        "domain": "game.example",
        "address": ADDRESS,
        "uri": "https://game.example/play",
        "chain_id": 31337,
        "nonce": "abcdefgh12345678",
        "issued_at": format_time(NOW),
    }
    return LoginMessage(**(fields | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("origin", STANDARD)
def test_examples_of_the_standard(origin: str) -> None:
    read = parse_message(STANDARD[origin])
    scheme, _, domain = origin.rpartition("://")
    assert (read.scheme, read.domain) == (scheme or None, domain)
    assert read.address == parse_address("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2")
    assert read.statement == "I accept the ExampleOrg Terms of Service: https://example.com/tos"
    assert (read.uri, read.chain_id, read.nonce) == ("https://example.com/login", 1, "32891756")
    assert parse_time(read.issued_at) == 1633019124
    assert read.resources == (
        "ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/",
        "https://example.com/my-web2-claim.json",
    )
    assert str(read) == STANDARD[origin]


def test_optional_fields() -> None:
    text = MINIMAL.replace("account:\n0x", "account:\n0x") + (
        "\nExpiration Time: 2026-01-02T04:04:05.123+01:00"
        "\nNot Before: 2026-01-02t03:00:00z"
        "\nRequest ID: a:b%20c@d"
        "\nResources:"
    )
    read = parse_message(text)
    assert (read.statement, read.request_id, read.resources) == (None, "a:b%20c@d", ())
    assert (read.expiration_time, read.not_before) == ("2026-01-02T04:04:05.123+01:00", "2026-01-02t03:00:00z")
    assert str(read) == text


def test_an_empty_statement_is_not_a_missing_one() -> None:
    empty = MINIMAL.replace("\n\n\nURI", "\n\n\n\nURI")
    assert parse_message(MINIMAL).statement is None
    assert parse_message(empty).statement == ""
    assert str(parse_message(empty)) == empty


@pytest.mark.parametrize(
    "domain",
    ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]:80", "[2001:db8::7]", "[::ffff:1.2.3.4]", "a-b.c_d~e", "u@h"],
)
def test_domains_are_authorities(domain: str) -> None:
    assert parse_message(MINIMAL.replace("game.example wants", f"{domain} wants")).domain == domain


@pytest.mark.parametrize(
    "uri", ["a:", "urn:isbn:1", "mailto:a@b", "https://h", "https://h/?q=/?#f", "did:key:z6Mk", "x:/a/b", "a:b/c%20"]
)
def test_uris(uri: str) -> None:
    assert parse_message(MINIMAL.replace("https://game.example/play", uri)).uri == uri


REFUSED = {
    "empty": "",
    "other words": MINIMAL.replace("wants you", "would like you"),
    "other case": MINIMAL.replace("Chain ID", "chain id"),
    "carriage returns": MINIMAL.replace("\n", "\r\n"),
    "leading line": "\n" + MINIMAL,
    "trailing line": MINIMAL + "\n",
    "trailing text": MINIMAL + " ",
    "text before": "x " + MINIMAL,
    "version 2": MINIMAL.replace("Version: 1", "Version: 2"),
    "version 11": MINIMAL.replace("Version: 1", "Version: 11"),
    "no nonce": MINIMAL.replace("Nonce: abcdefgh\n", ""),
    "short nonce": MINIMAL.replace("abcdefgh", "abcdefg"),
    "long nonce": MINIMAL.replace("abcdefgh", "a" * 129),
    "nonce with a sign": MINIMAL.replace("abcdefgh", "abcd-efgh"),
    "nonce of other digits": MINIMAL.replace("abcdefgh", "١٢٣٤٥٦٧٨"),
    "chain id with a sign": MINIMAL.replace("31337", "+31337"),
    "chain id in hexadecimal": MINIMAL.replace("31337", "0x7a69"),
    "chain id too long": MINIMAL.replace("31337", "1" * 20),
    "chain id of other digits": MINIMAL.replace("31337", "٣"),
    "short address": MINIMAL.replace("C756Cc2", "C756Cc"),
    "wrong checksum": MINIMAL.replace("0xC02aaA39", "0xc02aaA39"),
    "prefix in capitals": MINIMAL.replace("0xC02", "0XC02"),
    "statement of two lines": MINIMAL.replace("\n\n\n", "\n\none\ntwo\n\n"),
    "statement with other characters": MINIMAL.replace("\n\n\n", "\n\nGrüße\n\n"),
    "statement with a tab": MINIMAL.replace("\n\n\n", "\n\na\tb\n\n"),
    "one empty line only": MINIMAL.replace("\n\n\n", "\n\n"),
    "uri without scheme": MINIMAL.replace("https://game.example/play", "game.example/play"),
    "uri with a space": MINIMAL.replace("/play", "/pl ay"),
    "uri with a bad escape": MINIMAL.replace("/play", "/%zz"),
    "domain with a space": MINIMAL.replace("game.example wants", "game example wants"),
    "domain with a path": MINIMAL.replace("game.example wants", "game.example/x wants"),
    "domain with a bad address": MINIMAL.replace("game.example wants", "[::g] wants"),
    "time without zone": MINIMAL.replace("05Z", "05"),
    "time with a space": MINIMAL.replace("02T03", "02 03"),
    "hour 24": MINIMAL.replace("T03:", "T24:"),
    "leap second": MINIMAL.replace("04:05Z", "04:60Z"),
    "month 13": MINIMAL.replace("2026-01", "2026-13"),
    "fields out of order": MINIMAL + "\nNot Before: 2026-01-02T03:04:05Z\nExpiration Time: 2026-01-02T03:04:05Z",
    "field twice": MINIMAL + "\nRequest ID: a\nRequest ID: b",
    "resource without dash": MINIMAL + "\nResources:\nhttps://a",
    "resource that is no uri": MINIMAL + "\nResources:\n- a b",
    "too many resources": MINIMAL + "\nResources:" + "\n- a:" * 17,
    "too long": MINIMAL.replace("\n\n\n", "\n\n" + "a" * MESSAGE_LENGTH_MAX + "\n\n"),
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(EncodingInvalid):
        parse_message(text)


@given(
    st.builds(
        message,
        scheme=st.sampled_from([None, "https", "http"]),
        statement=st.none() | st.text("abc :/?#[]@!$&'()*+,;=-._~", max_size=60),
        chain_id=st.integers(0, 10**18),
        nonce=st.text("abcXYZ019", min_size=8, max_size=128),
        expiration_time=st.none() | st.integers(0, 10**10).map(format_time),
        not_before=st.none() | st.integers(0, 10**10).map(format_time),
        request_id=st.none() | st.text("abc:@!$-._~", max_size=20),
        resources=st.none() | st.lists(st.sampled_from(["https://a", "ipfs://b/c", "urn:x"]), max_size=16).map(tuple),
    )
)
def test_writing_and_reading_agree(written: LoginMessage) -> None:
    read = parse_message(str(written))
    assert str(read) == str(written)
    for name in (
        "scheme",
        "statement",
        "chain_id",
        "nonce",
        "expiration_time",
        "not_before",
        "request_id",
        "resources",
    ):
        assert getattr(read, name) == getattr(written, name)


@given(st.text(max_size=300) | st.text("ab:/[]%@.?#-\n 0123456789", max_size=2048))
def test_any_text_is_read_or_refused(text: str) -> None:
    for candidate in (text, MINIMAL.replace("game.example wants", text + " wants"), MINIMAL + text):
        try:
            assert str(parse_message(candidate)) == candidate
        except EncodingInvalid:
            continue


@pytest.mark.parametrize("wallet_v", [0, 27])
def test_login(wallet_v: int) -> None:
    text = str(message())
    assert check_login(text, sign(text, wallet_v=wallet_v), EXPECTED, NOW).address == ADDRESS


@pytest.mark.parametrize(
    "changes",
    [
        {"scheme": "https"},
        {"issued_at": format_time(NOW - 300)},
        {"issued_at": format_time(NOW + 60)},
        {"expiration_time": format_time(NOW + 1)},
        {"not_before": format_time(NOW + 60)},
        {"statement": "Play", "request_id": "7", "resources": ("https://game.example",)},
    ],
    ids=str,
)
def test_edges_that_are_inside(changes: dict[str, object]) -> None:
    text = str(message(**changes))
    check_login(text, sign(text), EXPECTED, NOW)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"domain": "evil.example"}, "domain is evil.example"),
        ({"domain": "game.example:443"}, "domain is"),
        ({"uri": "https://game.example/other"}, "URI is"),
        ({"scheme": "http"}, "scheme is http"),
        ({"chain_id": 1}, "chain id is 1"),
        ({"issued_at": format_time(NOW - 301)}, "too long before"),
        ({"issued_at": format_time(NOW + 61)}, "it is only"),
        ({"expiration_time": format_time(NOW)}, "expired at"),
        ({"not_before": format_time(NOW + 61)}, "not valid before"),
        ({"address": bytes(20)}, "signed by another key"),
        ({"nonce": "short"}, "not a login message"),
    ],
    ids=str,
)
def test_refusals_read_the_same_and_the_cause_says_why(changes: dict[str, object], reason: str) -> None:
    text = str(message(**changes))
    with pytest.raises(AuthenticationFailed) as caught:
        check_login(text, sign(text), EXPECTED, NOW)
    assert str(caught.value) == "login refused"
    assert caught.value.compared == {}
    assert reason in str(caught.value.__cause__)


@pytest.mark.parametrize("length", [0, 64, 66, 1024])
def test_signatures_of_other_lengths_are_refused(length: int) -> None:
    with pytest.raises(AuthenticationFailed, match="login refused"):
        check_login(str(message()), bytes(length), EXPECTED, NOW)


def test_a_signature_of_another_text_is_refused() -> None:
    with pytest.raises(AuthenticationFailed):
        check_login(str(message()), sign(str(message(nonce="x" * 8))), EXPECTED, NOW)


def test_the_high_s_is_refused() -> None:
    text = str(message())
    signature = sign(text)
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    high = order - int.from_bytes(signature[32:64], "big")
    twin = signature[:32] + high.to_bytes(32, "big") + bytes((55 - signature[64],))
    with pytest.raises(AuthenticationFailed):
        check_login(text, twin, EXPECTED, NOW)
