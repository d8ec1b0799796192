"""Who is asking, and how much one may take."""

import pytest

from gamekit.config import GatewayConfig
from gamekit.errors import ConfigInvalid, Overloaded
from gamekit.gateway import limits as limits_module
from gamekit.gateway.limits import UNKNOWN_ADDRESS, Limits, Proxies
from gamekit.units import PlayerId

TRUSTED = Proxies(["10.0.0.0/8", "fd00::/8", "127.0.0.1"])


@pytest.mark.parametrize(
    ("remote", "forwarded", "client"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1, 10.9.9.9", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, nonsense", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, ", "10.0.0.1"),
        ("fd00::1", "[2001:db8:1:2:3::4]:4711", "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("2001:db8:1:2:ffff::1", "", "2001:db8:1:2::/64"),
        (None, "198.51.100.1", UNKNOWN_ADDRESS),
        ("", "", UNKNOWN_ADDRESS),
    ],
)
def test_the_rightmost_untrusted_address_counts(remote: str | None, forwarded: str, client: str) -> None:
    assert TRUSTED.client(remote, forwarded) == client


def test_without_proxies_the_header_means_nothing() -> None:
    assert Proxies([]).client("127.0.0.1", "198.51.100.1") == "127.0.0.1"


def test_a_long_header_is_followed_so_far_only() -> None:
    assert TRUSTED.client("10.0.0.1", "198.51.100.1" + ",10.0.0.7" * 100) == "10.0.0.7"


def test_proxies_are_networks() -> None:
    with pytest.raises(ConfigInvalid, match="trusted_proxies"):
        Proxies(["proxy.example"])


def test_sockets_per_address() -> None:
    limits = Limits(GatewayConfig(sockets_per_address_max=2))
    limits.admit_socket("a", 0.0)
    limits.admit_socket("a", 0.0)
    with pytest.raises(Overloaded, match="2 connections from this address"):
        limits.admit_socket("a", 0.0)
    limits.admit_socket("b", 0.0)
    limits.release_socket("a")
    limits.admit_socket("a", 0.0)
    assert limits.sockets == 3


def test_sockets_of_all() -> None:
    limits = Limits(GatewayConfig(sockets_max=2))
    limits.admit_socket("a", 0.0)
    limits.admit_socket("b", 0.0)
    with pytest.raises(Overloaded, match="no more connections"):
        limits.admit_socket("c", 0.0)
    limits.release_socket("a")
    limits.admit_socket("c", 0.0)


def test_connects_per_address() -> None:
    limits = Limits(GatewayConfig(sockets_per_address_max=3))
    for _ in range(6):
        limits.admit_socket("a", 0.0)
        limits.release_socket("a")
    with pytest.raises(Overloaded, match="connects too often") as caught:
        limits.admit_socket("a", 0.0)
    assert caught.value.compared["retry_after_ms"] == 5000
    limits.admit_socket("b", 0.0)
    limits.admit_socket("a", 5.0)


def test_a_player_keeps_one_bucket_and_an_address_another() -> None:
    limits = Limits(GatewayConfig())
    alice, here = limits.action_buckets(PlayerId("alice"), "1", 0.0)
    again, there = limits.action_buckets(PlayerId("alice"), "2", 0.0)
    assert alice is again
    assert here is not there
    assert (alice.rate, alice.burst) == (40, 80)
    assert (here.rate, here.burst) == (100, 200)


def test_full_buckets_are_forgotten_when_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits_module, "BUCKETS_MAX", 2)
    limits = Limits(GatewayConfig())
    used, _ = limits.action_buckets(PlayerId("used"), "1", 0.0)
    used.take(1, 0.0)
    idle, _ = limits.action_buckets(PlayerId("idle"), "1", 0.0)
    limits.action_buckets(PlayerId("new"), "1", 0.0)
    assert limits.action_buckets(PlayerId("used"), "1", 0.0)[0] is used
    assert limits.action_buckets(PlayerId("idle"), "1", 0.0)[0] is not idle


def test_nonces_per_address() -> None:
    limits = Limits(GatewayConfig(login_nonces_per_minute_address=5))
    for _ in range(5):
        limits.admit_nonce("a", 0.0)
    with pytest.raises(Overloaded, match="too many logins from this address") as caught:
        limits.admit_nonce("a", 0.0)
    assert caught.value.compared["retry_after_ms"] == 12_000
    limits.admit_nonce("b", 0.0)
    limits.admit_nonce("a", 12.0)
