"""Random user operations for the tests of this folder."""

import random

from hypothesis import strategies as st
from msgspec.structs import replace

from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.user_operation import DELEGATION_FACTORY, UserOperation
from gamekit.units import UINT128_MAX, UINT256_MAX, Address, Gas, Wei

ADDRESSES = st.binary(min_size=20, max_size=20).map(Address)
OTHER_THAN_DELEGATION = ADDRESSES.filter(lambda address: address != DELEGATION_FACTORY)
VERSIONS = st.sampled_from(EntryPointVersion)


def operations(version: EntryPointVersion) -> st.SearchStrategy[UserOperation]:
    """Any operation that the version can carry."""
    words = st.integers(0, UINT256_MAX)
    halves = st.integers(0, UINT128_MAX) if version.is_packed else words
    data = st.binary(max_size=100)
    plain = st.builds(
        UserOperation,
        sender=ADDRESSES,
        nonce=words,
        call_data=data,
        call_gas_limit=halves.map(Gas),
        verification_gas_limit=halves.map(Gas),
        pre_verification_gas=words.map(Gas),
        max_fee_per_gas=halves.map(Wei),
        max_priority_fee_per_gas=halves.map(Wei),
        signature=data,
    )
    factory = st.fixed_dictionaries({"factory": OTHER_THAN_DELEGATION, "factory_data": data})
    limits = st.integers(0, UINT128_MAX if version.is_packed else 0).map(Gas)
    paymaster = st.fixed_dictionaries(
        {
            "paymaster": ADDRESSES,
            "paymaster_verification_gas_limit": limits,
            "paymaster_post_op_gas_limit": limits,
            "paymaster_data": data,
            "paymaster_signature": data if version is EntryPointVersion.V09 else st.just(b""),
        }
    )
    nothing: st.SearchStrategy[dict[str, object]] = st.just({})
    return st.builds(lambda op, f, p: replace(op, **f, **p), plain, nothing | factory, nothing | paymaster)


def random_operation(rng: random.Random, version: EntryPointVersion) -> UserOperation:
    """One operation of varied shape; quick to make by the thousand."""
    largest = 128 if version.is_packed else 256
    op = UserOperation(
        sender=Address(rng.randbytes(20)),
        nonce=rng.getrandbits(rng.choice((8, 80, 256))),
        call_data=rng.randbytes(rng.randrange(200)),
        call_gas_limit=Gas(rng.getrandbits(rng.choice((24, largest)))),
        verification_gas_limit=Gas(rng.getrandbits(rng.choice((24, largest)))),
        pre_verification_gas=Gas(rng.getrandbits(rng.choice((24, 256)))),
        max_fee_per_gas=Wei(rng.getrandbits(rng.choice((40, largest)))),
        max_priority_fee_per_gas=Wei(rng.getrandbits(rng.choice((40, largest)))),
        signature=rng.randbytes(65),
    )
    if rng.random() < 0.3:
        op = replace(op, factory=Address(rng.randbytes(20)), factory_data=rng.randbytes(rng.randrange(80)))
    if rng.random() < 0.3:
        op = replace(op, paymaster=Address(rng.randbytes(20)), paymaster_data=rng.randbytes(rng.randrange(80)))
        if version.is_packed:
            limits = (Gas(rng.getrandbits(24)), Gas(rng.getrandbits(128)))
            op = replace(op, paymaster_verification_gas_limit=limits[0], paymaster_post_op_gas_limit=limits[1])
    return op
