"""`python -m tests.proof.escapes`: run the suite, or a part of it."""

import asyncio
import sys

from tests.proof.escapes.suite import main

sys.exit(asyncio.run(main()))
