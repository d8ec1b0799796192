from tests.proof import slither


def test_each_answer_has_a_reason() -> None:
    given = slither.answers(slither.ANSWERS.read_text())
    assert given
    assert all(len(why) > 20 for why in given.values())


def test_a_finding_needs_an_answer_and_an_answer_a_finding() -> None:
    known, new, gone = ("a", "A.sol:f"), ("b", "B.sol:g"), ("c", "C.sol:h")
    assert slither.judge({known}, {known}) == []
    assert slither.judge({known, new}, {known}) == ["b at B.sol:g has no answer"]
    assert slither.judge({known}, {known, gone}) == ["c at C.sol:h is answered and not found"]


def test_a_place_has_no_line() -> None:
    mapping = {"filename_relative": "src/example/Arena.sol", "lines": [7]}
    assert slither.place({"elements": [{"name": "_pay", "source_mapping": mapping}]}) == "example/Arena.sol:_pay"
