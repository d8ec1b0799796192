import pytest

from gamekit.core.arguments import read_argument, static_words
from gamekit.errors import EncodingInvalid
from gamekit.eth.abi_text import parse_parameters, parse_type

ADDRESS = "0x" + "ab" * 20


class TestReadArgument:
    @pytest.mark.parametrize(
        ("kind", "written", "read"),
        [
            ("address", ADDRESS, bytes.fromhex("ab" * 20)),
            ("bytes", "0x0102", b"\x01\x02"),
            ("bytes4", "0x01020304", b"\x01\x02\x03\x04"),
            ("uint256", "1" + "0" * 77, 10**77),
            ("int16", "-7", -7),
            ("uint8", 7, 7),
            ("bool", True, True),
            ("string", "0x01", "0x01"),
            ("bytes", b"\x01", b"\x01"),
            ("uint8[]", ["1", 2], [1, 2]),
            ("address[2]", (ADDRESS, ADDRESS), [bytes.fromhex("ab" * 20)] * 2),
            ("bytes[]", ["0x01"], [b"\x01"]),
            ("uint8", [1], [1]),
        ],
    )
    def test_default(self, kind: str, written: object, read: object) -> None:
        assert read_argument(parse_type(kind), written) == read

    def test_args_structs_by_name_or_place(self) -> None:
        kind = parse_parameters("(address who,(uint8 n)[] parts) order")[0].type
        who = bytes.fromhex("ab" * 20)
        assert read_argument(kind, {"who": ADDRESS, "parts": [{"n": "3"}]}) == {"who": who, "parts": [{"n": 3}]}
        assert read_argument(kind, [ADDRESS, [["3"]]]) == [who, [[3]]]
        assert read_argument(kind, {"other": "1"}) == {"other": "1"}
        assert read_argument(kind, ["1"]) == ["1"]

    @pytest.mark.parametrize(
        ("kind", "written"),
        [
            ("address", "ab" * 20),
            ("address", "0x01"),
            ("bytes", "0x1"),
            ("uint8", "0x1"),
            ("uint8", " 1"),
            ("uint8", "1_0"),
            ("uint8", "--1"),
            ("uint8", "٣"),
            ("uint8", ""),
            ("uint256", "1" * 79),
        ],
    )
    def test_error(self, kind: str, written: str) -> None:
        with pytest.raises(EncodingInvalid):
            read_argument(parse_type(kind), written)


class TestStaticWords:
    def test_default(self) -> None:
        words = static_words(parse_parameters("uint8 a,address b,bytes c,uint16"))
        assert {name: (place, kind.canonical) for name, (place, kind) in words.items()} == {
            "a": (0, "uint8"),
            "b": (1, "address"),
            "3": (3, "uint16"),
        }

    def test_behavior_static_structs_and_arrays_take_their_words(self) -> None:
        words = static_words(parse_parameters("uint8[2] dice,(address who,(uint8,bool)[2]) order,uint8[] rest,uint8 z"))
        assert {name: place for name, (place, _) in words.items()} == {
            "dice[0]": 0,
            "dice[1]": 1,
            "order.who": 2,
            "order.1[0].0": 3,
            "order.1[0].1": 4,
            "order.1[1].0": 5,
            "order.1[1].1": 6,
            "z": 8,
        }

    def test_behavior_dynamic_structs_are_left_out(self) -> None:
        assert static_words(parse_parameters("(uint8 a,bytes b) order,uint8 z")).keys() == {"z"}
