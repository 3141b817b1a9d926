"""The requirement language: what it takes, what it refuses and where the caret stands, JSON, comments."""

from __future__ import annotations

import pytest

from preflight.requirements.grammar import (
    MAX_LENGTH,
    MAX_PREDICATES,
    Predicate,
    RequirementError,
    from_comment,
    from_json,
    parse,
    to_json,
)


def only(text: str) -> Predicate:
    [clause] = parse(text).clauses
    [predicate] = clause.predicates
    return predicate


def mistake(text: str) -> RequirementError:
    with pytest.raises(RequirementError) as caught:
        parse(text)
    return caught.value


def test_the_example_of_the_design() -> None:
    requirement = parse("cuda>=12.4, ubuntu>=22.04|rhel>=9, gpu.memory>=80G")
    assert [clause.text for clause in requirement.clauses] == ["cuda>=12.4", "ubuntu>=22.04|rhel>=9", "gpu.memory>=80G"]
    assert requirement.clauses[1].predicates == (
        Predicate("ubuntu", ">=", "22.04", False),
        Predicate("rhel", ">=", "9", False),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cuda==12.4", Predicate("cuda", "=", "12.4", False)),
        (" cuda  >=  12.4 ", Predicate("cuda", ">=", "12.4", False)),
        ("! mig", Predicate("mig", None, None, True)),
        ("!cuda=12.4", Predicate("cuda", "=", "12.4", True)),
        ("cuda!=12.4", Predicate("cuda", "!=", "12.4", False)),
        ("cuda~=12.4", Predicate("cuda", "~=", "12.4", False)),
        ("kernel>=5.14.0-427", Predicate("kernel", ">=", "5.14.0-427", False)),
        ("opensuse-leap>=15.6", Predicate("opensuse-leap", ">=", "15.6", False)),
        ("oracle>=9", Predicate("oracle", ">=", "9", False)),
        ("gpu=h100 80gb", Predicate("gpu", "=", "h100 80gb", False)),
        ('mount="/a,b|c"', Predicate("mount", "=", "/a,b|c", False)),
        (r'mount="/a\"b\\c"', Predicate("mount", "=", r'/a"b\c', False)),
        ('mount=/a"b', Predicate("mount", "=", '/a"b', False)),
        ('cuda>="12.4"', Predicate("cuda", ">=", "12.4", False)),
        ("gpu.count", Predicate("gpu.count", None, None, False)),
        ("ib.rate>=400", Predicate("ib.rate", ">=", "400", False)),
        ("module=cuda/12.4", Predicate("module", "=", "cuda/12.4", False)),
    ],
)
def test_predicates(text: str, expected: Predicate) -> None:
    assert only(text) == expected


@pytest.mark.parametrize(
    ("text", "position", "part"),
    [
        ("", 0, "empty"),
        ("   ", 0, "empty"),
        ("cuda>=12.4,,ecc", 11, "empty"),
        ("cuda>=12.4,", 11, "empty"),
        ("ecc||mig", 4, "empty"),
        (",ecc", 0, "empty"),
        ("cudaa>=12.4", 0, 'did you mean "cuda"'),
        ("CUDA>=12.4", 0, 'did you mean "cuda"'),
        ("ecc, ubunut>=22.04", 5, 'did you mean "ubuntu"'),
        ("gpu_count>=4", 0, 'did you mean "gpu.count"'),
        ("cuda", 3, '--require="cuda>=12.4"'),
        ("gpu.memory", 9, '--require="gpu.memory>=80G"'),
        ("os", 1, "needs an operator"),
        ("cuda, ecc", 4, "needs an operator"),
        ("cuda~=12", 4, "two parts"),
        ("cuda>=", 6, "missing"),
        ("cuda>= , ecc", 7, "missing"),
        ('os=""', 3, "missing"),
        ("cuda>=latest", 6, "not a version"),
        ("cuda>=12.", 6, "not a version"),
        ("cuda>=²", 6, "not a version"),
        ("cuda>=1234567890", 6, "not a version"),
        ("cuda=>12", 5, "operator ends here"),
        ("cuda 12.4", 5, "operator is expected"),
        ("ecc mig", 4, "expected after ecc"),
        ("gpu=h100 driver>=550", 9, "missing before driver"),
        ("os=ubuntu, gpu=h100 !gpu.count = 3", 20, "missing before gpu.count"),
        ("os=ubuntu !mig, gpu=h100", 10, "missing before !mig"),
        ("memory=3G", 6, "never exactly"),
        ("memory!=3G", 6, "never exactly"),
        ("gpu.memory~=80G", 10, "never exactly"),
        ("memory>=64", 8, "write 64M or 64G"),
        ("memory>=64Q", 8, "unit"),
        ("memory>=G", 8, "not a size"),
        ("gpu.count~=4", 9, "compared with"),
        ("gpu.count>=four", 11, "whole number"),
        ("gpu.count>=-1", 11, "whole number"),
        ("gpu>=h100", 3, "compared with = !="),
        ("gpu=--", 4, "no word"),
        ("mig=1", 3, "no value"),
        ("!mig!=1", 4, "says no twice"),
        ("!gpu!=h100", 4, "says no twice"),
        ("!!mig", 1, "name is expected"),
        (">=12.4", 0, "name is expected"),
        ('mount="/a', 6, "closing quote"),
        ('mount="/a" b', 11, "after a quoted value"),
        (r'mount="/a\n"', 9, "backslash"),
        ("cuda>=12.4\n", 10, "control"),
        ("cuda>=\x1b[31m12", 6, "control"),
        ("cu\u202eda", 2, "control"),
    ],
)
def test_mistakes_name_the_place(text: str, position: int, part: str) -> None:
    error = mistake(text)
    assert (error.position, error.text) == (position, text)
    assert part in error.message
    assert "\n" not in error.message


def test_the_caret_stands_under_the_mistake() -> None:
    message, text, caret = str(mistake("ecc, ubunut>=22.04")).splitlines()
    assert message == 'unknown name "ubunut": did you mean "ubuntu"?'
    assert text[caret.index("^") :].startswith("ubunut")


@pytest.mark.parametrize("text", ["ecc," * 300 + "\x1b]0;x\x07", "é" * 900, "x" * 9000, "\U0001f600" * 50 + "\x00"])
def test_an_error_is_printable_and_fits_80_columns(text: str) -> None:
    error = str(mistake(text))
    assert error.isascii()
    assert error.replace("\n", "").isprintable()
    _, shown, caret = error.splitlines()
    assert len(shown) <= 80
    assert len(caret) <= 80


def test_limits() -> None:
    assert len(parse(",".join(["ecc"] * MAX_PREDICATES)).clauses) == MAX_PREDICATES
    assert "more than" in mistake("|".join(["ecc"] * (MAX_PREDICATES + 1))).message
    assert parse("mount=/" + "a" * (MAX_LENGTH - 7))
    assert "longer than" in mistake("mount=/" + "a" * (MAX_LENGTH - 6)).message


def test_json_is_as_the_design_says() -> None:
    data = to_json(parse('cuda==12.4, !mig|gpu="h100 80gb", os!=oracle'))
    assert data == [
        [{"name": "cuda", "op": "=", "value": "12.4", "negated": False}],
        [
            {"name": "mig", "op": None, "value": None, "negated": True},
            {"name": "gpu", "op": "=", "value": "h100 80gb", "negated": False},
        ],
        [{"name": "os", "op": "!=", "value": "oracle", "negated": False}],
    ]
    assert to_json(from_json(data)) == data


@pytest.mark.parametrize(
    "data",
    [
        None,
        3,
        [],
        [3],
        [["ecc"]],
        [[{"name": "ecc"}]],
        [[{"name": "ecc|mig", "op": None, "value": None, "negated": False}]],
        [[{"name": "cuda", "op": "=", "value": 12, "negated": False}]],
        [[{"name": "cuda", "op": "=", "value": None, "negated": False}]],
        [[{"name": "cuda", "op": "<>", "value": "12", "negated": False}]],
        [[{"name": ["cuda"], "op": "=", "value": "12", "negated": False}]],
        [[{"name": "cuda", "op": ["="], "value": "12", "negated": False}]],
        [[{"name": "mig", "op": None, "value": None, "negated": "no"}]],
    ],
)
def test_json_that_preflight_did_not_write_is_refused(data: object) -> None:
    with pytest.raises(RequirementError):
        from_json(data)


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("require: cuda>=12.4", "cuda>=12.4"),
        ("Require:cuda>=12.4; owner=me", "cuda>=12.4"),
        ("project x require: cuda>=12.4, ecc\nmore", "cuda>=12.4, ecc"),
        ("a: b;REQUIRE: ecc", "ecc"),
        ("a\r\nrequire: ecc\r\n", "ecc"),
        ("require: ecc; require: mig", "ecc, mig"),
        ("require: mount=/a:b", "mount=/a:b"),
        ("require:", ""),
        ("prerequire: ecc", None),
        ("x,require: ecc", None),
        ("required: ecc", None),
        ("require ecc", None),
        ("İ require: ecc", "ecc"),
        ("", None),
    ],
)
def test_comments(comment: str, expected: str | None) -> None:
    assert from_comment(comment) == expected
