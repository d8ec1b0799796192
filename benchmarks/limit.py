"""The limit: how fast libsecp256k1, as coincurve bundles it, signs when nothing else is done.

A loop in C that calls the library's own function. Where there is no C compiler, the same loop in Python over
preallocated buffers, and the report says so.
"""

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from gamekit.keys.secp256k1 import CONTEXT, ffi, lib

SOURCE = """
#include <stddef.h>
typedef int (*sign_t)(const void *, void *, const unsigned char *, const unsigned char *, const void *, const void *);
int sign_all(sign_t sign, const void *context, unsigned char *signatures, const unsigned char *digests,
             const unsigned char *secret, size_t count) {
    int signed_count = 0;
    for (size_t i = 0; i < count; i++)
        signed_count += sign(context, signatures + 65 * i, digests + 32 * i, secret, NULL, NULL);
    return signed_count;
}
"""
OPTIONS = ("-O2", "-shared", "-fPIC")


class Limit:
    """Signs digests with one open key."""

    def __init__(self, secret: bytes, digests: Sequence[bytes]) -> None:
        """Compile the loop, if there is a compiler."""
        self._count = len(digests)
        self._secret = ffi.new("unsigned char[32]", secret)
        self._digests = ffi.new("unsigned char[]", b"".join(digests))
        self._signatures = ffi.new(f"unsigned char[{65 * self._count}]")
        self._compiled = _compile()
        self.how = (
            f"a loop in C ({' '.join(['cc', *OPTIONS])}) over coincurve's libsecp256k1"
            if self._compiled
            else "a loop in Python over coincurve's libsecp256k1, because there is no C compiler here"
        )

    def run(self) -> None:
        """Sign every digest once."""
        sign = lib.secp256k1_ecdsa_sign_recoverable
        if self._compiled is None:
            for place in range(self._count):
                signature = ffi.cast("secp256k1_ecdsa_recoverable_signature *", self._signatures + 65 * place)
                sign(CONTEXT, signature, self._digests + 32 * place, self._secret, ffi.NULL, ffi.NULL)
            return
        pointers = [ffi.addressof(lib, "secp256k1_ecdsa_sign_recoverable"), CONTEXT, self._signatures]
        pointers += [self._digests, self._secret]
        addresses = [ctypes.c_void_p(int(ffi.cast("uintptr_t", pointer))) for pointer in pointers]
        if self._compiled.sign_all(*addresses, ctypes.c_size_t(self._count)) != self._count:
            raise SystemExit("the C loop could not sign")

    def signature(self, place: int) -> bytes:
        """Give one of the signatures as r, s and v."""
        recoverable = ffi.cast("secp256k1_ecdsa_recoverable_signature *", self._signatures + 65 * place)
        compact, recovery_id = ffi.new("unsigned char[64]"), ffi.new("int *")
        lib.secp256k1_ecdsa_recoverable_signature_serialize_compact(CONTEXT, compact, recovery_id, recoverable)
        return bytes(ffi.buffer(compact)) + bytes([27 + recovery_id[0]])


def _compile() -> ctypes.CDLL | None:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "limit.c"), Path(folder, "limit.so")
        source.write_text(SOURCE)
        done = subprocess.run([compiler, *OPTIONS, "-o", library, source], check=False, capture_output=True)
        return ctypes.CDLL(str(library)) if done.returncode == 0 else None
