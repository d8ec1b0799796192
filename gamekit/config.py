"""Every setting and every limit: its default, its unit, and why it is what it is.

Read from TOML; `GAMEKIT_<SECTION>__<NAME>` in the environment overrides one setting. Unknown names are refused. Secrets
are never settings: a setting names the file that holds them.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from gamekit.errors import ConfigInvalid

Positive = Annotated[int, Meta(ge=1)]


class StackConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Where one account stack is deployed, for one EntryPoint. Addresses are 0x-hexadecimal."""

    stack: str
    """Name of its adapter in `accounts/`: reference, reference_7702, nexus, safe7579, kernel."""
    entry_point_version: str
    """0.7 or 0.8."""
    entry_point: str
    factory: str
    """What makes accounts; for reference_7702 what people's own addresses delegate to."""
    owner_validator: str
    """The validator that the owner's wallet speaks through; empty for reference_7702, whose accounts' own keys do."""
    bootstrap: str = ""
    """Nexus only: the contract whose code initialises an account."""
    paymaster: str = ""
    """The SessionPaymaster of this entry point; empty: accounts pay for themselves."""


class ChainConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The chain that sessions play on."""

    rpc_url: str = "http://127.0.0.1:8545"
    """JSON-RPC endpoint of the trusted node."""
    chain_id: int = 31337
    """Must equal what the node says, or nothing starts."""
    session_validator: str = ""
    """Address of the SessionValidator module, 0x-hexadecimal."""
    session_opener: str = ""
    """Address of the SessionOpener; empty: accounts must exist and have the module."""
    stacks: tuple[StackConfig, ...] = ()
    """The account stacks that sessions may be granted on; the first is the default."""
    included_depth: Positive = 1
    """k of included(k): an outcome is told when its block is this deep; 1 is the head itself. Higher is slower to tell
    and rarer to take back."""
    finality: Literal["tag", "depth"] = "tag"
    """`tag` trusts the node's finalized block; `depth` takes `final_depth` blocks below the head."""
    final_depth: int = 64
    """Blocks below the head that count as final when `finality` is `depth`. Chains differ: Polygon had reorgs of more
    than 150 blocks in 2023."""
    blocks_checked: bool = True
    """Compute each block's hash from its header, and the receipts' root that the header names from the receipts: then
    a node cannot invent, hide or change one. False only for a chain that encodes headers or receipts of its own."""
    transaction_gas_max: int = 16_777_216
    """Most gas of one transaction: the cap of EIP-7825 on mainnet."""
    poll_ms: int = 100
    """How often the head is read, in milliseconds."""
    request_timeout_ms: int = 10_000
    """Deadline of one JSON-RPC request, all its attempts together."""
    request_attempts: Positive = 4
    """How often a question is asked until the node answers. Start-up asks dozens, and one dropped connection must not
    keep a server down. A transaction is handed over once: the verbs themselves send it again."""
    reply_bytes_max: int = 64 * 1024 * 1024
    """Largest JSON-RPC reply that is read; receipts of a full block are the largest."""
    head_age_s_max: int = 60
    """Monotonic seconds without a new head after which signing stops: deadlines would burn."""


class FeeConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """What gas may cost."""

    max_fee_per_gas_max_wei: int = 200 * 10**9
    """No operation and no relayer transaction bids more than this."""
    cancel_fee_per_gas_max_wei: int = 1000 * 10**9
    """Most bid by a transaction that only frees a relayer's nonce: above the cap of those that it must outbid. It needs
    21,000 gas, so at 1,000 gwei it costs 0.021 ether."""
    priority_fee_min_wei: int = 10**6
    """Smallest tip bid, in wei per gas."""
    base_fee_headroom_percent: int = 100
    """Bid base fee plus this share: 100 survives six full blocks, each of which raises it by at most 12.5 %."""
    replace_percent: Annotated[int, Meta(ge=10)] = 13
    """A replacement raises both fees by this; pools ask for 10, and 12.5 is one base-fee step."""


class BatchConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """How actions become operations."""

    calls_max: Annotated[int, Meta(ge=1, le=64)] = 32
    """Most calls in one operation, 1 to 64. A call costs 114k gas in an operation of its own, 11.4k beside 24 more."""
    simulate: Literal["suspects", "always", "never"] = "suspects"
    """When an operation's calls are tried, by `eth_call`, before it is signed: on lanes where one failed as a whole
    lately, always (one more question to the node for each operation), or never."""
    batch_age_ms_max: int = 20
    """Longest a journaled action waits for company while its lane is free, in milliseconds."""
    deadline_s: Annotated[int, Meta(ge=10, le=120)] = 90
    """An operation dies this long after its claimed time. Bounds revocation and the damage of a leaked signature."""
    resign_below_s: int = 30
    """Signed again in its slot when less than this is left."""
    verification_gas: int = 250_000
    """Verification gas limit of an operation with one call; each further call adds `verification_gas_per_call`."""
    verification_gas_per_call: int = 9_000
    execution_gas: int = 30_000
    """Call gas limit of an operation beside what its calls ask for."""
    execution_gas_per_call: int = 8_000
    """The account's own work on one call of a batch: copying, the call itself and the event of a failure."""
    call_gas_default: int = 100_000
    """Ceiling of a call whose function names none in the manifest."""
    pre_verification_gas: int = 60_000
    """Paid to the bundler for calldata and overhead; a further `pre_verification_gas_per_call` for each call."""
    pre_verification_gas_per_call: int = 4_000


class LaneConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of the queues between a player and the chain."""

    depth_max: int = 256
    """Most accepted, unsigned actions on one lane; above it the caller gets `overloaded`."""
    accepted_max: int = 200_000
    """Most accepted, unsigned actions over all lanes."""
    journal_queue_max: int = 20_000
    """Most actions on their way to disk; above it the caller gets `overloaded`."""
    before_action_timeout_ms: Positive = 1000
    """Longest that one frame of actions waits for the game's own server, its turn included; then the caller gets
    `overloaded`. A player feels more than a second as a hang, and later frames of the lane wait behind it."""
    before_action_waiting_max: Positive = 10_000
    """Most requests that wait for the game's own server, over all lanes: about 10 MB."""


class JournalConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the journal lies."""

    path: str = "gamekit.sqlite"
    """SQLite file; its `-wal` file lies beside it."""
    keyfile: str = "gamekit.key"
    """File with the 32-byte master key that seals session keys, hexadecimal; made with mode 0600 if missing."""


class RelayConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Self-bundling: our own accounts that call handleOps."""

    keys_file: str = ""
    """File with one relayer private key per line, hexadecimal. Relayers pay gas and get it back from the operations."""
    withdrawal_keys_file: str = ""
    """File with the relayer keys of withdrawals: other accounts than those of play."""
    in_flight_max: Positive = 4
    """Most unmined transactions per relayer; more only deepens what a stuck one blocks."""
    bundle_age_ms_max: int = 30
    """Longest a signed operation waits for company, in milliseconds."""
    operations_max: Positive = 64
    """Most operations in one handleOps."""
    replace_after_blocks: int = 3
    """A transaction that is not mined after this many blocks is sent again with both fees raised."""
    replacements_max: int = 12
    """After so many replacements, or at the cap of fees, a transaction is cancelled: a transfer to ourselves takes its
    nonce, what it carried travels in another one, and an operator is told."""
    balance_min_wei: int = 10**16
    """A relayer gets no new work unless so much would be left if everything in flight cost its worst."""
    simulate: bool = True
    """Estimate each handleOps before it is sent, so that an operation that fails validation is taken out first."""


class SessionConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Defaults and bounds of a session; short and narrow unless the manifest says otherwise."""

    proposals_max: int = 8
    """Most sessions of one player that wait for a wallet's signature; each has a key and a row."""
    sessions_open_max: Positive = 8
    """Most sessions of one player that are open, or on their way to it."""
    opens_per_day_max: Positive = 32
    """Most sessions that one player opens within 24 hours of chain time: relayers pay for each grant and its
    revocation, and nobody refunds them."""
    grant_deadline_s: int = 600
    """How long the wallet's signature over a grant can be used."""
    expiring_s: int = 120
    """The player is warned this long before the end."""


class SponsorConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Paying for players who hold no ether. How much, per game, player and day, stands on chain, in the paymaster."""

    keys_file: str = ""
    """File with the games' sponsor keys, one private key a line, hexadecimal. Which one is a game's stands on chain."""
    verification_gas: int = 90_000
    """Gas limit of the paymaster's own validation, about 60,000 for a player's first operation and 25,000 later. All of
    it is charged to the session, and counts to the caps."""
    pre_verification_gas: int = 3_000
    """Added to an operation's pre-verification gas: the calldata of the paymaster's fields."""
    deposit_min_wei: int = 10**17
    """Alarm when a paymaster's deposit at its entry point is below this, in wei. 0.1 ether covers about 40 operations
    of 2.5 million gas at 1 gwei at their most: time to top it up before players are refused."""
    check_blocks: Positive = 10
    """Deposits, and caps that were met, are read again every so many blocks."""


class PauseConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """When gamekit stops signing by itself."""

    code_check_blocks: int = 10
    """Game contracts' code and implementation slot are read every so many blocks."""
    revert_percent_max: int = 50
    """Pause a function when more than this share of its calls reverted …"""
    revert_window: Positive = 200
    """… over so many of its latest calls …"""
    revert_players_min: Positive = 5
    """… of at least so many players: none has more than this share of the window, so that one player alone cannot pause
    a function for all. A game with fewer players than this sets it lower, or is never paused for reverts."""


class GatewayConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The websocket edge: what one client, one player and one address may take."""

    host: str = "127.0.0.1"
    port: int = 8080
    path: str = "/play"
    """Where the websocket is; login nonces are at `<path>/nonce`, health at `<path>/health`."""
    domain: str = "localhost"
    """The authority (host, and port if there is one) that a login message must name: that of the page that plays."""
    uri: str = "http://localhost/play"
    """The URI that a login message must name."""
    origins: tuple[str, ...] = ()
    """Exact allowlist of browser origins, such as `https://game.example`."""
    allow_no_origin: bool = True
    """Native clients send no Origin; they authenticate in the first frame, never by cookie, so nothing rides on it."""
    frame_bytes_max: int = 16 * 1024
    """Largest frame; a larger one closes the connection with 1009."""
    actions_per_frame_max: int = 64
    """At most 64."""
    frames_in_flight_max: int = 16
    """Act frames of one socket that are on their way to disk; above it the socket is not read."""
    frames_per_s: float = 200.0
    """Frames of any kind per socket, pings too; above it, beyond `frames_burst`, the socket is closed with 4429."""
    frames_burst: int = 400
    heartbeat_s: float = 20.0
    """A ping after so much silence; no answer within half of it closes the socket."""
    receive_timeout_s: float = 60.0
    """Longest without any frame, pongs included."""
    authenticate_timeout_s: float = 5.0
    """The first frame and its login take no longer, or the socket is closed with 4401."""
    request_timeout_s: float = 5.0
    """Deadline of a request to the kit other than `act`."""
    behind_timeout_s: float = 30.0
    """Longest that a socket is not read because the kit is behind; then it is closed with 1013."""
    close_timeout_s: float = 5.0
    """How long a closing socket may take before it is cut."""
    header_timeout_s: float = 15.0
    """Longest for a request's headers to arrive, and longest that an idle HTTP connection is kept."""
    sockets_max: int = 20_000
    """Most websockets of this process."""
    sockets_per_player_max: int = 4
    """The newest wins; the oldest is closed with 4409."""
    sockets_per_address_max: int = 64
    actions_per_s_player: float = 40.0
    burst_player: int = 80
    actions_per_s_address: float = 100.0
    """Per remote address; raise it behind a shared egress, or name the proxies that may set X-Forwarded-For."""
    burst_address: int = 200
    login_nonces_max: int = 10_000
    """Most used login nonces that are remembered; above it logins by wallet wait."""
    login_nonce_s: float = 300.0
    login_nonces_per_minute_address: int = 5
    login_nonce_bound: bool = True
    """A nonce logs in only from the address that asked for it."""
    tickets_max: int = 100_000
    """Most reconnect tickets; the oldest goes first."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks of our own proxies, such as `10.0.0.0/8`: only they may say whom they speak for."""
    send_queue_frames_max: int = 256
    """Unsent frames per socket; above it the socket is closed with 1013 and resumes from its cursor."""
    send_queue_bytes_max: int = 1024 * 1024
    life_s_max: float = 12 * 3600.0
    """After this the player must log in again; tickets end with it."""


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything. `Config()` alone plays on a local devnet once the addresses are set."""

    chain: ChainConfig = ChainConfig()
    fees: FeeConfig = FeeConfig()
    batch: BatchConfig = BatchConfig()
    lanes: LaneConfig = LaneConfig()
    journal: JournalConfig = JournalConfig()
    relay: RelayConfig = RelayConfig()
    sessions: SessionConfig = SessionConfig()
    sponsor: SponsorConfig = SponsorConfig()
    pause: PauseConfig = PauseConfig()
    gateway: GatewayConfig = GatewayConfig()
    games: tuple[str, ...] = ()
    """Paths of game manifests (TOML), relative to the configuration file."""


def load(path: str | Path, environ: Mapping[str, str] | None = None) -> Config:
    """Read a configuration file and the environment's overrides.

    Raises: ConfigInvalid naming the setting, what it is and what it must be.
    """
    try:
        tree = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # not there, not text, or not TOML
        raise ConfigInvalid(f"cannot read {path}: {error}", path=str(path)) from error
    for name, text in (os.environ if environ is None else environ).items():
        section, split, setting = name.removeprefix("GAMEKIT_").lower().partition("__")
        if name.startswith("GAMEKIT_") and split:
            table = tree.setdefault(section, {})
            if not isinstance(table, dict):
                raise ConfigInvalid(f"{name}: {section} is no section", setting=name)
            table[setting] = _value(text)
    try:
        return msgspec.convert(tree, Config)
    except msgspec.ValidationError as error:
        raise ConfigInvalid(f"{path}: {error}", path=str(path)) from error


def _value(text: str) -> object:
    """Read an environment value as TOML does, and as plain text where it is no TOML value."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
