import pkgutil
from importlib import import_module

import gamekit.core
from gamekit.core.journal import Row
from gamekit.core.kinds import KINDS


def test_every_row_type_has_its_table() -> None:
    for module in pkgutil.iter_modules(gamekit.core.__path__, "gamekit.core."):
        import_module(module.name)
    rows = {kind for kind in Row.__subclasses__() if kind.__module__.startswith("gamekit.core.")}
    assert rows == set(KINDS)
    assert len({kind.TABLE for kind in KINDS}) == len(KINDS)
