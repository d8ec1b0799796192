"""What is left of simulators that were killed."""

from pathlib import Path

from gamekit.testing.workshop import FOLDER, OLD_S, sweep


def test_only_old_folders_of_dead_processes_are_removed(tmp_path: Path) -> None:
    shared, processes = tmp_path / "shm", tmp_path / "proc"
    names = [f"{FOLDER}7-dead", f"{FOLDER}8-alive", f"{FOLDER}x-strange", "other-7"]
    for folder in (*(shared / name for name in names), processes / "8", processes / "self"):
        folder.mkdir(parents=True)
    written = (shared / names[0]).stat().st_mtime
    sweep(shared, processes, written + OLD_S)
    assert {each.name for each in shared.iterdir()} == set(names)
    sweep(shared, processes, written + OLD_S + 10)
    assert {each.name for each in shared.iterdir()} == set(names[1:])
