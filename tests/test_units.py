from gamekit import units


def test_nobodys_address_has_20_bytes() -> None:
    assert bytes(20) == units.ZERO_ADDRESS


def test_the_largest_numbers() -> None:
    widths = {name: getattr(units, name) for name in vars(units) if name.startswith("UINT")}
    assert widths == {f"UINT{bits}_MAX": 2**bits - 1 for bits in (48, 64, 128, 192, 256)}
