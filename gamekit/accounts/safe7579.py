"""Safe 1.4.1 with Rhinestone's adapter Safe7579 1.0.0, on EntryPoint 0.7. Theirs, not ours: from npm, for the devnet.

::

    nonce key    validator 20 | lane 4
"""

from collections.abc import Sequence
from typing import Final

from gamekit.accounts.reference import ACCOUNT_ADDRESS, CREATE_ACCOUNT
from gamekit.accounts.reference import ReferenceStack
from gamekit.eth.entry_point_version import EntryPointVersion


class Safe7579Stack(ReferenceStack):
    name = "safe7579"
    entry_point_versions = frozenset({EntryPointVersion.V07})
