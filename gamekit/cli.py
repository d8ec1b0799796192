"""The command line, `gamekit`: demo, devnet, serve, sessions, revoke, pause, resume, backup, restore, and others.

Reads arguments and nothing else; each command stands in `gamekit.commands`. Exit status: 0 done, 1 done and something
is wrong (doctor, demo), 2 not done: one sentence on standard error says why, as JSON with `--json`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from gamekit.errors import GamekitError

if TYPE_CHECKING:
    from gamekit.commands.userop import Target

CONFIG = Path("gamekit.toml")
FAILED = 2
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; exits with its status."""
    options = parser().parse_args(arguments)
    try:
        status: int = options.command(options)
    except GamekitError as error:
        sys.stderr.write(_said(error, as_json=getattr(options, "json", False)) + "\n")
        status = FAILED
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


def parser() -> argparse.ArgumentParser:
    """Draw the command line."""
    root = argparse.ArgumentParser(prog="gamekit", description="Session keys for game servers.")
    commands = root.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_demo(commands)
    _add_devnet(commands)
    _add_serve(commands)
    _add_sessions(commands)
    _add_pausing(commands)
    _add_backup(commands)
    _add_explain(commands)
    _add_doctor(commands)
    _add_userop(commands)
    return root


def _add_demo(commands: Commands) -> None:
    demo = commands.add_parser("demo", help="the main job on a devnet of its own, with a thief and an audit")
    demo.add_argument("--players", type=int, default=50, help="how many play (default 50)")
    demo.add_argument("--seconds", type=float, default=10.0, help="how long they play (default 10)")
    demo.add_argument("--rate", type=float, default=20.0, help="actions each second of each player (default 20)")
    demo.add_argument("--report", type=Path, help="write the figures there, as JSON")
    demo.add_argument("--folder", type=Path, default=Path(".gamekit/demo"), help="where everything lies")
    demo.add_argument("--kill-after", type=float, metavar="SECONDS", help="kill the server then, and start it again")
    demo.add_argument("--no-thief", action="store_true", help="leave the thief out, to measure without it")
    demo.set_defaults(command=_demo)


def _demo(options: argparse.Namespace) -> int:
    from gamekit.demo.show import Plan, run

    plan = Plan(
        players=options.players,
        seconds=options.seconds,
        rate=options.rate,
        folder=options.folder,
        report=options.report,
        kill_after_s=options.kill_after,
        has_thief=not options.no_thief,
    )
    return run(plan)


def _add_devnet(commands: Commands) -> None:
    devnet = commands.add_parser("devnet", help="start a chain with everything deployed, until interrupted")
    devnet.add_argument("--folder", type=Path, default=Path(".gamekit/devnet"), help="where everything lies")
    devnet.add_argument("--block-time", type=float, default=1.0, help="seconds between blocks (default 1)")
    devnet.add_argument("--port", type=int, default=8545, help="of the chain; 0 takes a free one (default 8545)")
    devnet.add_argument("--server-port", type=int, default=8080, help="written into the configuration (default 8080)")
    devnet.set_defaults(command=_devnet)


def _devnet(options: argparse.Namespace) -> int:
    from gamekit.commands import devnet

    devnet.run(options.folder, options.block_time, options.port, options.server_port)
    return 0


def _add_serve(commands: Commands) -> None:
    serve = commands.add_parser("serve", help="run the kit and its gateway")
    _add_config(serve)
    serve.add_argument("--tokens", type=Path, help="JSON object of login tokens and their players")
    serve.add_argument("--demo-leak", type=Path, help=argparse.SUPPRESS)
    serve.set_defaults(command=_serve)


def _serve(options: argparse.Namespace) -> int:
    from gamekit.commands import serve

    serve.run(options.config, options.tokens, options.demo_leak)
    return 0


def _add_sessions(commands: Commands) -> None:
    sessions = commands.add_parser("sessions", help="list the running server's sessions")
    _add_config(sessions)
    sessions.add_argument("--player", default="", help="only this player's")
    sessions.add_argument("--json", action="store_true")
    sessions.set_defaults(command=_sessions)
    revoke = commands.add_parser("revoke", help="end a session: no signature from now on, then on chain")
    _add_config(revoke)
    revoke.add_argument("permission_id", help="0x and 64 digits, as `gamekit sessions` prints it")
    revoke.add_argument("--reason", default="", help="told to the player")
    revoke.add_argument("--json", action="store_true")
    revoke.set_defaults(command=_revoke)


def _sessions(options: argparse.Namespace) -> int:
    from gamekit.commands import output, sessions

    sessions.list_sessions(options.config, options.player, output.Output(as_json=options.json))
    return 0


def _revoke(options: argparse.Namespace) -> int:
    from gamekit.commands import output, sessions

    sessions.revoke(options.config, options.permission_id, options.reason, output.Output(as_json=options.json))
    return 0


def _add_pausing(commands: Commands) -> None:
    what = "chain, game:<name> or function:<game>.<function>"
    for name, words in (("pause", "stop signing, at once and durably"), ("resume", "sign again what was paused")):
        one = commands.add_parser(name, help=words)
        _add_config(one)
        if name == "pause":
            one.add_argument("subject", nargs="?", default="", help=what)
            one.add_argument("--list", action="store_true", help="list what is paused instead")
        else:
            one.add_argument("subject", help=what)
        one.add_argument("--reason", default="", help="told to the players and kept; required")
        one.add_argument("--by", default="operator", help="who says so (default operator)")
        one.add_argument("--json", action="store_true")
        one.set_defaults(command=_pause if name == "pause" else _resume)


def _pause(options: argparse.Namespace) -> int:
    from gamekit.commands import output, pausing

    put = output.Output(as_json=options.json)
    if options.list:
        pausing.list_pauses(options.config, put)
    else:
        pausing.pause(options.config, options.subject, options.reason, options.by, put)
    return 0


def _resume(options: argparse.Namespace) -> int:
    from gamekit.commands import output, pausing

    put = output.Output(as_json=options.json)
    pausing.resume(options.config, options.subject, options.reason, options.by, put)
    return 0


def _add_backup(commands: Commands) -> None:
    backup = commands.add_parser("backup", help="copy the journal, while the server runs or not")
    backup.add_argument("file", type=Path, help="where the copy goes; nothing may stand there")
    backup.set_defaults(command=_backup)
    restore = commands.add_parser("restore", help="put a copy in the journal's place; the server must be stopped")
    restore.add_argument("file", type=Path, help="what `gamekit backup` wrote")
    restore.set_defaults(command=_restore)
    for one in (backup, restore):
        _add_config(one)
        one.add_argument("--json", action="store_true")


def _backup(options: argparse.Namespace) -> int:
    from gamekit.commands import backup, output

    backup.backup(options.config, options.file, output.Output(as_json=options.json))
    return 0


def _restore(options: argparse.Namespace) -> int:
    from gamekit.commands import backup, output

    backup.restore(options.config, options.file, output.Output(as_json=options.json))
    return 0


def _add_explain(commands: Commands) -> None:
    explain = commands.add_parser("explain", help="say in plain English what a unit of delegation, or a scope, allows")
    explain.add_argument("manifest", type=Path, help="the game's manifest (TOML)")
    explain.add_argument("unit", nargs="?", default="", help="name of a unit; left out: all of them")
    explain.add_argument("--stack", default="", help="account stack: reference or nexus")
    explain.add_argument("--scope", default="", help="0x-hexadecimal bytes of a granted scope, instead of a unit")
    explain.add_argument("--json", action="store_true")
    explain.set_defaults(command=_explain)


def _explain(options: argparse.Namespace) -> int:
    from gamekit.commands import explain, output

    explain.run(options.manifest, options.unit, options.stack, options.scope, output.Output(as_json=options.json))
    return 0


def _add_doctor(commands: Commands) -> None:
    doctor = commands.add_parser("doctor", help="check configuration, chain, contracts, journal, keys and balances")
    _add_config(doctor)
    doctor.add_argument("--json", action="store_true")
    doctor.set_defaults(command=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    from gamekit.commands import doctor, output

    return doctor.run(options.config, output.Output(as_json=options.json))


def _add_userop(commands: Commands) -> None:
    userop = commands.add_parser("userop", help="hash and explain user operations").add_subparsers(
        required=True, metavar="COMMAND"
    )
    for name, words in (("hash", "print the hash of each operation, one a line"), ("decode", "explain in words")):
        one = userop.add_parser(name, help=words)
        one.add_argument("file", help="one operation or a JSON array of them, as JSON-RPC has it; - for standard input")
        one.add_argument("--entry-point-version", required=True, choices=("0.6", "0.7", "0.8", "0.9"))
        one.add_argument("--chain-id", type=int, required=name == "hash", default=0)
        one.add_argument("--entry-point", default="", metavar="ADDRESS", help="where it is not the canonical one")
        one.add_argument("--delegate", default="", metavar="ADDRESS", help="what a delegated account's code is (7702)")
        one.add_argument("--json", action="store_true")
        if name == "decode":
            one.add_argument("--error", default="", help="what the entry point said, such as 'AA25 invalid nonce'")
        one.set_defaults(command=_userop_hash if name == "hash" else _userop_decode)


def _userop_hash(options: argparse.Namespace) -> int:
    from gamekit.commands import output, userop

    userop.print_hashes(userop.read(options.file), _target(options), output.Output(as_json=options.json))
    return 0


def _userop_decode(options: argparse.Namespace) -> int:
    from gamekit.commands import output, userop

    operations = userop.read(options.file)
    userop.print_words(operations, _target(options), options.error, output.Output(as_json=options.json))
    return 0


def _target(options: argparse.Namespace) -> "Target":
    from gamekit.commands import userop

    return userop.target(options.entry_point_version, options.chain_id, options.entry_point, options.delegate)


def _add_config(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", type=Path, default=CONFIG, help=f"configuration (default {CONFIG})")


def _said(error: GamekitError, *, as_json: bool) -> str:
    if not as_json:
        return f"gamekit: {error}"
    import msgspec

    return msgspec.json.encode(error.to_dict()).decode()


if __name__ == "__main__":
    main()
