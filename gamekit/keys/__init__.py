"""Session keys and relayer keys: sealed at rest, opened into one buffer for each signature, and wiped.

What Python cannot promise: `bytes`, `str` and `int` are copied and never wiped. A raw key therefore lives in buffers
only, and is never written in hexadecimal or as a number.
"""

from gamekit.keys.hardening import harden_process
from gamekit.keys.keystore import Keystore, StoredKey
from gamekit.keys.signer import LocalSigner

__all__ = ["Keystore", "LocalSigner", "StoredKey", "harden_process"]
