"""`gamekit doctor`: checks configuration, chain, contracts, journal, keys and balances; says in words what is wrong.

Reads only, and never prints a secret. The journal of a running server is not opened: the server is asked instead.
"""

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Literal, cast

import msgspec
from msgspec import Struct
from web3 import AsyncHTTPProvider, AsyncWeb3
from web3.exceptions import Web3Exception

from gamekit.accounts import stack as find_stack
from gamekit.chain.reader import EvmChain
from gamekit.chain.rpc import JsonRpc
from gamekit.commands.admin import ServerNotRunning, ask
from gamekit.commands.output import Output
from gamekit.config import Config, load
from gamekit.contracts import artifact
from gamekit.core.game import Game
from gamekit.core.policy import SLACK_S
from gamekit.core.setup import ChainSetup, chain_setup
from gamekit.errors import CallReverted, ConfigInvalid, GamekitError
from gamekit.eth.entry_point import GET_DEPOSIT_INFO
from gamekit.eth.hashing import checksum_address
from gamekit.eth.session_paymaster import (
    DAY_S,
    ENTRY_POINT_OF,
    GAME_OF,
    SESSION_VALIDATOR_OF,
    decode_game,
    game_number,
)
from gamekit.eth.session_validator import DOMAIN_NAME, DOMAIN_VERSION
from gamekit.keys.keystore import Keystore
from gamekit.kit import KINDS, load_game
from gamekit.runtime.proxies import accepted
from gamekit.store.sqlite import SqliteStore
from gamekit.units import Address

Level = Literal["ok", "warning", "error"]
WEI_PER_ETHER: Final = 10**18


class Finding(Struct, frozen=True):
    """One thing that was looked at."""

    level: Level
    about: str
    said: str


def run(config: Path, output: Output) -> int:
    """Print what was found. Returns 0 when nothing is wrong, 1 otherwise. Raises ConfigInvalid when it cannot begin."""
    findings = asyncio.run(examine(config))
    marks = {"ok": "ok  ", "warning": "WARN", "error": "FAIL"}
    words = "\n".join(f"{marks[each.level]}  {each.about}: {each.said}" for each in findings)
    output.put(msgspec.to_builtins(findings), words)
    return int(any(each.level == "error" for each in findings))


async def examine(path: Path) -> list[Finding]:
    """Look at everything that a configuration names."""
    config = load(path)
    games: list[Game] = []
    findings = [Finding("ok", "configuration", f"{path} can be read"), *_games(config, path.parent, games)]
    try:
        setup = chain_setup(config.chain)
    except ConfigInvalid as error:
        return [*findings, Finding("error", "chain", str(error))]
    for each in setup.stacks:
        known = find_stack(each.name)
        if each.version not in known.entry_point_versions:
            findings.append(Finding("error", "chain", f"{each.name} does not run on EntryPoint {each.version.value}"))
    async with JsonRpc(config.chain.rpc_url, timeout_ms=config.chain.request_timeout_ms) as rpc:
        chain = EvmChain(rpc, config.chain)
        try:
            findings += [finding async for finding in _chain(config, setup, chain)]
            findings += [finding async for finding in _contracts(games, setup, chain)]
            findings.append(await _module(config, setup))
            findings += [finding async for finding in _keys(config, path.parent, chain)]
            findings += [finding async for finding in _paymasters(config, setup, path.parent, chain)]
        except GamekitError as error:
            findings.append(Finding("error", "chain", f"the node does not answer as it should: {error}"))
    return [*findings, *[finding async for finding in _server(config, path)]]


def _games(config: Config, root: Path, read: list[Game]) -> Iterator[Finding]:
    """Look at each manifest; the games that can be read are added to `read`."""
    if not config.games:
        yield Finding("warning", "games", "no game is configured, so nothing can be played")
    for name in config.games:
        try:
            game = load_game(root / name)
        except (ConfigInvalid, OSError) as error:
            yield Finding("error", f"game {name}", str(error))
            continue
        read.append(game)
        if game.chain_id != config.chain.chain_id:
            text = f"it is for chain {game.chain_id}, configured is {config.chain.chain_id}"
            yield Finding("error", f"game {game.name}", text)
        yield Finding(
            "ok", f"game {game.name}", f"{len(game.functions)} functions are play; units: {_list(game.units)}"
        )


async def _chain(config: Config, setup: ChainSetup, chain: EvmChain) -> AsyncIterator[Finding]:
    chain_id, head = await chain.chain_id(), await chain.head()
    if chain_id != setup.chain_id:
        yield Finding("error", "chain", f"the node serves chain {chain_id}, configured is {setup.chain_id}")
    else:
        yield Finding("ok", "chain", f"chain {chain_id}, block {head.number}, base fee {head.base_fee_per_gas} wei")
    if head.base_fee_per_gas * 2 > config.fees.max_fee_per_gas_max_wei:
        yield Finding("warning", "fees", "the base fee is within a factor of two of the highest bid allowed")
    named = {"session validator": setup.session_validator, "session opener": setup.opener}
    for each in setup.stacks:
        where = f"{each.name} on {each.version.value}"
        named |= {f"entry point of {where}": each.entry_point, f"factory of {where}": each.contracts.factory}
        if not find_stack(each.name).own_key_is_owner:
            named[f"owner validator of {where}"] = each.contracts.owner_validator
        if each.contracts.bootstrap is not None:
            named[f"bootstrap of {where}"] = each.contracts.bootstrap
    for name, address in named.items():
        yield await _code(chain, name, address)


async def _contracts(games: Sequence[Game], setup: ChainSetup, chain: EvmChain) -> AsyncIterator[Finding]:
    """Look at each contract of each game, and say which can come to run other code."""
    for game in games:
        for contract in game.contracts:
            name = f"contract {contract.name} of {game.name}"
            yield await _code(chain, name, contract.address)
            try:
                proxies = await accepted(chain, [contract.address], setup.session_validator)
            except ConfigInvalid as error:
                yield Finding("error", name, str(error))
                continue
            for each in proxies:
                runs = checksum_address(each.implementation)
                text = "it can run code of others, and does not say which; owners are asked to accept it as it is"
                if each.implementation != each.target:
                    text = f"it is a proxy that runs {runs}; owners are asked to accept that"
                yield Finding("warning", name, text)


async def _code(chain: EvmChain, name: str, address: Address) -> Finding:
    code = await chain.code(address)
    if code:
        return Finding("ok", name, f"{checksum_address(address)} holds {len(code)} bytes of code")
    return Finding("error", name, f"there is no code at {checksum_address(address)}")


async def _module(config: Config, setup: ChainSetup) -> Finding:
    """Ask the session validator itself, by its compiled ABI, whether it is the one that this version speaks with."""
    name, timeout_s = "session validator", config.chain.request_timeout_ms / 1000
    provider = AsyncHTTPProvider(config.chain.rpc_url, request_kwargs={"timeout": timeout_s})
    module = AsyncWeb3(provider).eth.contract(
        address=AsyncWeb3.to_checksum_address(setup.session_validator), abi=artifact("SessionValidator").abi
    )
    try:
        slack_s = await module.functions.SLACK().call()
        _, domain, version, *_ = await module.functions.eip712Domain().call()
    except (Web3Exception, OSError) as error:
        return Finding("error", name, f"it does not answer as a session validator: {type(error).__name__}")
    finally:
        await provider.disconnect()
    found, expected = (domain, version, slack_s), (DOMAIN_NAME, DOMAIN_VERSION, SLACK_S)
    if found != expected:
        return Finding("error", name, f"it is {found}, this version speaks with {expected}")
    return Finding("ok", name, f"it is {domain} {version}; what is signed lives at most {slack_s} s")


async def _keys(config: Config, root: Path, chain: EvmChain) -> AsyncIterator[Finding]:
    keyfile = root / config.journal.keyfile
    if not keyfile.exists():
        yield Finding("warning", "master key", f"{keyfile} does not exist; the first start makes it")
        return
    yield _private("master key", keyfile)
    relay = config.relay
    for purpose, name in (("relayers", relay.keys_file), ("withdrawal relayers", relay.withdrawal_keys_file)):
        if not name:
            yield Finding("warning", purpose, "no file of keys is configured, so nothing can be sent")
            continue
        try:
            addresses = list(Keystore.open(keyfile).relayers(root / name))
        except GamekitError as error:
            yield Finding("error", purpose, str(error))
            continue
        balances = [await chain.balance(address) for address in addresses]
        poor = [a for a, b in zip(addresses, balances, strict=True) if b < relay.balance_min_wei]
        for address in poor:
            yield Finding("error", purpose, f"{checksum_address(address)} has too little to send anything")
        if len(poor) < len(addresses):
            lowest = min(balances) / WEI_PER_ETHER
            yield Finding(
                "ok", purpose, f"{len(addresses)} accounts, {len(poor)} too poor, the least has {lowest:g} ETH"
            )


async def _paymasters(config: Config, setup: ChainSetup, root: Path, chain: EvmChain) -> AsyncIterator[Finding]:
    """Look at who pays for players without ether: the contracts, what they have left, and whether we may speak."""
    if not setup.paymasters:
        return
    keys, keyfile = root / config.sponsor.keys_file, root / config.journal.keyfile
    sponsors: list[Address] | None = None
    if config.sponsor.keys_file and keyfile.exists():
        try:
            sponsors = list(Keystore.open(keyfile).relayers(keys))
        except GamekitError as error:
            yield Finding("error", "sponsors", str(error))
            return
    elif not config.sponsor.keys_file:
        yield Finding("warning", "sponsors", "no file of sponsor keys is configured, so no session can be sponsored")
    games = [load_game(root / name) for name in config.games]
    # By stack: a paymaster may stand beside an entry point that it does not obey.
    for paymaster, entry_point in dict.fromkeys((each.paymaster, each.entry_point) for each in setup.stacks):
        if paymaster is None:
            continue
        name = f"paymaster {checksum_address(paymaster)}"
        found = await _code(chain, name, paymaster)
        wrong = await _paymaster_fault(chain, setup, paymaster, entry_point) if found.level == "ok" else found.said
        if wrong:
            yield Finding("error", name, wrong)
            continue
        yield await _deposit(config, chain, name, paymaster, entry_point)
        for game in games:
            if any(unit.sponsoring is not None for unit in game.units.values()):
                yield await _sponsored_game(chain, name, paymaster, game.name, sponsors)


async def _paymaster_fault(chain: EvmChain, setup: ChainSetup, paymaster: Address, entry_point: Address) -> str:
    """Say why this is not the SessionPaymaster of this entry point and this module; empty if it is."""
    try:
        named = [await chain.call(paymaster, each.encode_call()) for each in (ENTRY_POINT_OF, SESSION_VALIDATOR_OF)]
    except CallReverted:
        return "it does not answer as a session paymaster"
    for what, answer, expected in zip(
        ("entry point", "session validator"), named, (entry_point, setup.session_validator), strict=True
    ):
        if answer[-20:] != expected:
            return (
                f"its {what} is {checksum_address(Address(answer[-20:]))}, configured is {checksum_address(expected)}"
            )
    return ""


async def _deposit(config: Config, chain: EvmChain, name: str, paymaster: Address, entry_point: Address) -> Finding:
    answer = await chain.call(entry_point, GET_DEPOSIT_INFO.encode_call(paymaster))
    ((deposit, staked, *_),) = cast("tuple[tuple[int, bool]]", GET_DEPOSIT_INFO.decode_result(answer))
    left = f"its deposit is {deposit / WEI_PER_ETHER:g} ETH"
    if deposit < config.sponsor.deposit_min_wei:
        return Finding("error", name, f"{left}, wanted are {config.sponsor.deposit_min_wei / WEI_PER_ETHER:g} ETH")
    if not staked:
        return Finding("warning", name, f"{left}; it has no stake, so public bundlers do not take its operations")
    return Finding("ok", name, f"{left}, and it is staked")


async def _sponsored_game(
    chain: EvmChain, name: str, paymaster: Address, game: str, sponsors: Collection[Address] | None
) -> Finding:
    """Look at one game; without a list of the keys that are here, theirs is not compared."""
    about = f"{game} at {name}"
    record = decode_game(await chain.call(paymaster, GAME_OF.encode_call(game_number(game))))
    if sponsors is not None and record.sponsor not in sponsors:
        return Finding("error", about, f"its sponsor is {checksum_address(record.sponsor)}, whose key is not here")
    most = record.day_wei_max / WEI_PER_ETHER
    if not record.day_wei_max:
        return Finding("warning", about, "the game's cap for a day is 0: it is paused, and nobody is sponsored")
    today = (await chain.head()).timestamp // DAY_S
    spent = record.spent_wei / WEI_PER_ETHER if record.day == today else 0
    return Finding("ok", about, f"{spent:g} of {most:g} ETH of today's cap are used")


def _private(name: str, path: Path) -> Finding:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return Finding("error", name, f"{path} can be read by others (mode {mode:o}); make it 600")
    return Finding("ok", name, f"{path} is readable by its owner only")


async def _server(config: Config, path: Path) -> AsyncIterator[Finding]:
    try:
        told = await ask(path, "GET", "/status")
    except ServerNotRunning:
        yield Finding("ok", "server", "not running")
        yield await asyncio.to_thread(_journal, path.parent / config.journal.path)
        return
    except GamekitError as error:
        yield Finding("error", "server", str(error))
        return
    if not told["running"]:
        yield Finding("error", "server", "it answers, but has stopped signing; its log says why")
    for subject in told["pauses"]:
        yield Finding("warning", "server", f"{subject} is paused")
    waiting = f"{told['accepted_unsigned']} actions wait, {told['operations_live']} operations are not final"
    yield Finding("ok", "server", f"{told['sessions']} sessions at block {told['block']}; {waiting}")


def _journal(path: Path) -> Finding:
    if not path.exists():
        return Finding("ok", "journal", f"{path} does not exist; the first start makes it")
    if not os.access(path, os.R_OK | os.W_OK):
        return Finding("error", "journal", f"{path} cannot be read and written by this user")
    try:
        epoch = asyncio.run(_birth(path))
    except GamekitError as error:
        return Finding("error", "journal", str(error))
    return Finding("ok", "journal", f"{path} is sound, born as {epoch.hex()}")


async def _birth(path: Path) -> bytes:
    """Open a journal, which checks all of it, and close it again."""
    with ThreadPoolExecutor(1) as executor:
        store = SqliteStore.open(path, kinds=KINDS, executor=executor)
        epoch = store.journal_epoch
        await store.close()
    return epoch


def _list(names: object) -> str:
    return ", ".join(sorted(names)) if isinstance(names, dict) else ""
