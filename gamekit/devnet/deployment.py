"""Everything that a devnet needs on its chain: entry points, our contracts, an account of others, the example game.

All of it goes through the deterministic deployer, so that each address follows from the bytecode alone: the entry
points land where they are on every chain, and deploying twice changes nothing.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from gamekit.chain.rpc import from_data, to_data
from gamekit.config import ChainConfig, StackConfig
from gamekit.contracts import artifact
from gamekit.devnet.node import DevnetNode
from gamekit.errors import ChainMismatch
from gamekit.eth.entry_point_version import EntryPointVersion
from gamekit.eth.hashing import create2_address, create_address, parse_address, to_hex
from gamekit.units import ZERO_ADDRESS, Address

DEPLOYER: Final = parse_address("0x4e59b44847b379578588920cA78FbF26c0B4956C")
"""Calldata: salt 32, then creation code. Source: github.com/Arachnid/deterministic-deployment-proxy."""
DEPLOYMENT_GAS: Final = 15_000_000
"""Gas limit of one deployment; below the transaction cap of EIP-7825. The largest, an entry point, needs 5 million."""
NO_SALT: Final = bytes(32)

OPERATOR: Final = Address(b"\x0e" * 20)
"""Owns the paymasters. Nobody has its key: a devnet's node sends for it all the same."""

ENTRY_POINT_SALTS: Final = {
    "EntryPoint06": NO_SALT,
    "EntryPoint07": bytes.fromhex("90d8084deab30c2a37c45e8d47f49f2f7965183cb6990a98943ef94940681de3"),
    "EntryPoint08": bytes.fromhex("0a59dbff790c23c976a548690c27297883cc66b4c67024f9117b0238995e35e9"),
}
"""With these salts the published bytecode lands on the canonical addresses."""


class DevnetContracts(msgspec.Struct, frozen=True):
    """Where everything is. Addresses follow from bytecode, so the same checkout always gives the same deployment."""

    entry_point_06: Address
    entry_point_07: Address
    entry_point_08: Address
    session_validator: Address
    owner_validator: Address
    session_opener: Address
    session_paymaster_07: Address
    """Pays at EntryPoint 0.7; it has a deposit once `devnet.sponsor` gave it one."""
    session_paymaster_08: Address
    reference_factory_07: Address
    """Creates reference accounts that obey EntryPoint 0.7."""
    reference_factory_08: Address
    nexus_implementation: Address
    """Biconomy's account, for EntryPoint 0.7."""
    nexus_factory: Address
    nexus_bootstrap: Address
    """Runs inside a new Nexus account and installs its first modules."""
    arena: Address
    """The example game."""
    gold: Address
    """Its currency, an ERC-20."""
    item: Address
    """Its items, an ERC-721."""
    reference_delegate_08: Address = ZERO_ADDRESS
    """What a person's own address delegates to (EIP-7702). This and what follows is 0 where it is not deployed."""
    safe7579_factory: Address = ZERO_ADDRESS
    """Ours; creates Safes with Rhinestone's adapter, for EntryPoint 0.7."""
    safe7579_adapter: Address = ZERO_ADDRESS
    kernel_implementation: Address = ZERO_ADDRESS
    """ZeroDev's account, for EntryPoint 0.7; npm's build is larger than a chain with a cap on code takes."""
    kernel_factory: Address = ZERO_ADDRESS

    def deployed(self) -> tuple[Address, ...]:
        """Give the address of everything that is there."""
        found = (getattr(self, name) for name in self.__struct_fields__)
        return tuple(address for address in found if address != ZERO_ADDRESS)

    def chain_config(self, rpc_url: str, chain_id: int = 31337) -> ChainConfig:
        """Write the chain part of a configuration that plays here; the reference account is the default."""
        owners = {"owner_validator": to_hex(self.owner_validator)}
        v07 = {"entry_point_version": "0.7", "entry_point": to_hex(self.entry_point_07), **owners}
        v08 = {"entry_point_version": "0.8", "entry_point": to_hex(self.entry_point_08), **owners}
        v07["paymaster"], v08["paymaster"] = to_hex(self.session_paymaster_07), to_hex(self.session_paymaster_08)
        bootstrap = to_hex(self.nexus_bootstrap)
        others = (
            StackConfig(stack="safe7579", factory=to_hex(self.safe7579_factory), **v07),
            StackConfig(stack="kernel", factory=to_hex(self.kernel_factory), **v07),
            # Its accounts' own keys are the owners.
            StackConfig(
                stack="reference_7702", factory=to_hex(self.reference_delegate_08), **(v08 | {"owner_validator": ""})
            ),
        )
        return ChainConfig(
            rpc_url=rpc_url,
            chain_id=chain_id,
            session_validator=to_hex(self.session_validator),
            session_opener=to_hex(self.session_opener),
            stacks=(
                StackConfig(stack="reference", factory=to_hex(self.reference_factory_07), **v07),
                StackConfig(stack="reference", factory=to_hex(self.reference_factory_08), **v08),
                StackConfig(stack="nexus", factory=to_hex(self.nexus_factory), bootstrap=bootstrap, **v07),
                *(each for each in others if parse_address(each.factory) != ZERO_ADDRESS),
            ),
        )

    def to_json(self) -> str:
        """Write the addresses, one a line."""
        written = {name: to_hex(getattr(self, name)) for name in self.__struct_fields__}
        return msgspec.json.format(msgspec.json.encode(written), indent=2).decode() + "\n"

    @classmethod
    def from_json(cls, text: str) -> "DevnetContracts":
        """Read what `to_json` wrote."""
        written = msgspec.json.decode(text, type=dict[str, str])
        return cls(**{name: parse_address(address) for name, address in written.items()})

    @classmethod
    def load(cls, path: Path) -> "DevnetContracts":
        """Read a file that holds what `to_json` wrote."""
        return cls.from_json(path.read_text())


class Plan:
    """A list of contracts to deploy, each at an address that is known before."""

    def __init__(self) -> None:
        self.steps: dict[Address, bytes] = {}
        """Address to the deployer's calldata."""

    def add(self, name: str, *arguments: Address, salt: bytes = NO_SALT) -> Address:
        """Plan the contract `name` with constructor `arguments`; gives the address that it will have."""
        init_code = artifact(name).bytecode + b"".join(bytes(12) + argument for argument in arguments)
        address = create2_address(DEPLOYER, salt, init_code)
        self.steps[address] = salt + init_code
        return address


async def deploy(node: DevnetNode, *, code_size_capped: bool = True) -> DevnetContracts:
    """Deploy what is missing of a whole devnet. Raises what `carry_out` raises.

    Args:
        code_size_capped: as in the node's `AnvilSettings`; Kernel needs a node without the cap.
    """
    plan = Plan()
    contracts = plan_devnet(plan, code_size_capped=code_size_capped)
    await carry_out(node, plan)
    await require_code(node, contracts.deployed())
    return contracts


async def carry_out(node: DevnetNode, plan: Plan) -> None:
    """Deploy what is missing of a plan, mine it, and check that there is code at every address.

    Raises:
        ChainError: a deployment reverted.
        ChainMismatch: an address has no code afterwards.
    """
    funder = (await node.unlocked_accounts())[0]
    missing = [data for address, data in plan.steps.items() if not await has_code(node, address)]
    sent = [await node.send(funder, DEPLOYER, data, gas=DEPLOYMENT_GAS) for data in missing]
    if sent:
        await node.mine_pending()
    await node.require_success(*sent)
    await require_code(node, plan.steps)


def plan_devnet(plan: Plan, *, code_size_capped: bool = True) -> DevnetContracts:
    """Add every contract of a devnet to `plan`, without Kernel if code size is capped. Nothing is sent.

    Raises:
        ChainMismatch: an entry point would not be at its canonical address: the pinned bytecode is another.
    """
    entry_points = {name: plan.add(name, salt=salt) for name, salt in ENTRY_POINT_SALTS.items()}
    for version, address in zip(EntryPointVersion, entry_points.values(), strict=False):
        if address != version.canonical_address:
            raise ChainMismatch(f"EntryPoint {version.value} would be deployed to {to_hex(address)}", address=address)
    v06, v07, v08 = entry_points.values()
    session_validator = plan.add("SessionValidator")
    owner_validator = plan.add("OwnerValidator", session_validator)
    account_07, account_08 = plan.add("ReferenceAccount07"), plan.add("ReferenceAccount08")
    nexus = plan.add("Nexus", v07)
    kernel = ZERO_ADDRESS if code_size_capped else plan.add("Kernel", v07)
    adapter = plan.add("Safe7579")
    # No registry of modules: 0.
    launchpad = plan.add("Safe7579Launchpad", v07, ZERO_ADDRESS)
    safes = (plan.add("SafeProxyFactory"), plan.add("Safe"), launchpad, adapter, owner_validator, session_validator)
    arena = plan.add("Arena")
    return DevnetContracts(
        entry_point_06=v06,
        entry_point_07=v07,
        entry_point_08=v08,
        session_validator=session_validator,
        owner_validator=owner_validator,
        session_opener=plan.add("SessionOpener"),
        session_paymaster_07=plan.add("SessionPaymaster", v07, session_validator, OPERATOR),
        session_paymaster_08=plan.add("SessionPaymaster", v08, session_validator, OPERATOR),
        reference_factory_07=plan.add("ReferenceAccountFactory", account_07, owner_validator, session_validator),
        reference_factory_08=plan.add("ReferenceAccountFactory", account_08, owner_validator, session_validator),
        nexus_implementation=nexus,
        nexus_factory=plan.add("NexusAccountFactory", nexus, DEPLOYER),
        nexus_bootstrap=plan.add("NexusBootstrap"),
        arena=arena,
        # The game creates its currency and its items, in this order.
        gold=create_address(arena, 1),
        item=create_address(arena, 2),
        reference_delegate_08=plan.add("ReferenceAccount7702", session_validator),
        safe7579_factory=plan.add("Safe7579Factory", *safes),
        safe7579_adapter=adapter,
        kernel_implementation=kernel,
        kernel_factory=ZERO_ADDRESS if code_size_capped else plan.add("KernelFactory", kernel),
    )


async def has_code(node: DevnetNode, address: Address) -> bool:
    """Whether a contract stands at `address` in the latest block."""
    return from_data(await node.request(str, "eth_getCode", to_data(address), "latest")) != b""


async def require_code(node: DevnetNode, addresses: Iterable[Address]) -> None:
    """Check that a contract stands at each address. Raises ChainMismatch naming the first that is empty."""
    for address in addresses:
        if not await has_code(node, address):
            raise ChainMismatch(f"there is no contract at {to_hex(address)}", address=address)
