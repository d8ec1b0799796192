"""A store with a bug that the tests of crashes and faults must find."""

from gamekit.store.group import GroupCommit


class AckBeforeCommit(GroupCommit):
    """Tells that a group is written, and writes it then."""

    def _drain(self) -> None:
        while self._queue:
            commits, futures = self._take()
            self._post(self._resolve, futures, [None] * len(commits), sum(map(len, commits)))
            self._write(commits)
