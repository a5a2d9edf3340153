"""Every small defect is found once, and nothing that has no behaviour is touched."""

import ast

import pytest

from scripts.mutants import mutants


def planted(source: str) -> list[str]:
    """Return the source of every mutant."""
    found = []
    for place in range(len(mutants(ast.parse(source)))):
        tree = ast.parse(source)
        mutants(tree)[place].plant()
        compile(tree, "mutant.py", "exec")
        found.append(ast.unparse(tree))
    return found


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", ["a <= b", "a >= b"]),
        ("a >= b", ["a > b", "a < b"]),
        ("a == b", ["a != b"]),
        ("a is None", ["a is not None"]),
        ("a not in b", ["a in b"]),
        ("a < b <= c", ["a <= b <= c", "a >= b <= c", "a < b < c", "a < b > c"]),
        ("a + b", ["a - b"]),
        ("a * b", ["a / b"]),
        ("a ** b", ["a * b"]),
        ("a @ b", []),
        ("a and b", ["a or b"]),
        ("a or b", ["a and b"]),
        ("not a", ["a"]),
        ("-a", ["a"]),
        ("+a", []),
        ("f(1)", ["f(2)"]),
        ("f(0.5)", ["f(1.5)"]),
        ("f(True)", ["f(False)"]),
        ("f('word')", ["f('word?')"]),
        ("f(b'word')", ["f(b'word?')"]),
        ("f(None)", []),
        ("f(...)", []),
        ("lambda a: a", ["lambda a: None"]),
        ("lambda a: None", []),
        ("b if a else c", ["b if not a else c"]),
        ("b if not a else c", ["b if a else c"]),
        ("[a for a in b if a]", ["[a for a in b if not a]"]),
        ("[a for a in b if not a]", ["[a for a in b if a]"]),
    ],
)
def test_an_expression_goes_wrong_in_each_of_its_ways(source, expected):
    """Bounds, signs, conditions and constants; a negation is made once."""
    assert planted(f"x = {source}") == [f"x = {each}" for each in expected]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("if a:\n    b()", ["if not a:\n    b()", "if a:\n    pass"]),
        ("if a is b:\n    c()", ["if a is not b:\n    c()", "if a is b:\n    pass"]),
        ("while a:\n    break", ["while not a:\n    break", "while a:\n    continue"]),
        ("while True:\n    continue", ["while False:\n    continue", "while True:\n    break"]),
        ("def f():\n    return a", ["def f():\n    return None"]),
        ("def f():\n    return None", []),
        ("def f():\n    return", []),
        ("a += b", ["a -= b", "pass"]),
        ("a @= b", ["pass"]),
        ("a.b = c", ["pass"]),
        ("a[b] = c", ["pass"]),
        ("a.b: int = c", ["pass"]),
        ("a = b", []),
        ("del a", ["pass"]),
        ("raise a", ["pass"]),
        ("f()", ["pass"]),
        (
            "match a:\n    case b.C():\n        d\n    case _:\n        e",
            [
                "match a:\n    case _:\n        e",
                "match a:\n    case b.C():\n        d",
                "match a:\n    case b.C():\n        pass\n    case _:\n        e",
                "match a:\n    case b.C():\n        d\n    case _:\n        pass",
            ],
        ),
        (
            "match a:\n    case b if c:\n        pass",
            ["match a:\n    case b if not c:\n        pass"],
        ),
        (
            "match a:\n    case b.C():\n        pass\n    case _:\n        assert_never(a)",
            ["match a:\n    case _:\n        assert_never(a)"],
        ),
    ],
)
def test_a_statement_goes_wrong_in_each_of_its_ways(source, expected):
    """It is forgotten, returns nothing, or goes the other way."""
    assert sorted(planted(source)) == sorted(expected)


@pytest.mark.parametrize(
    "source",
    [
        '"""Words."""',
        "def f(a: int=b) -> 'int | None':\n    '''Words.'''\n    ...",
        "class A(B, frozen=True):\n    a: Annotated[int, 1]\n    '''Words.'''",
        "@mark(1)\ndef f():\n    return",
        "assert a < 1",
        "from a import b",
        "Id = NewType('Id', str)",
        "a = cast('int', b)",
        "__slots__ = ('a',)",
    ],
)
def test_what_has_no_behaviour_is_left_alone(source):
    """Docstrings, annotations, options of classes, assertions, names of types."""
    assert planted(source) == []


def test_a_mutant_names_its_line_and_its_change():
    """In the order of the lines, and in few words however long the expression is."""
    found = mutants(ast.parse("a = b < 1\n\n\nc = 2\n" + "d = f(" + "e, " * 60 + ") + 1\n"))
    told = [(mutant.line, mutant.change) for mutant in found]
    assert told[:4] == [
        (1, "b < 1 → b <= 1"),
        (1, "b < 1 → b >= 1"),
        (1, "1 → 2"),
        (4, "2 → 3"),
    ]
    assert told[4][0] == 5
    assert len(told[4][1]) <= 143
    removed = mutants(ast.parse("match a:\n    case 'b':\n        c.d = 1\n    case _:\n        e"))
    assert {mutant.change for mutant in removed} >= {"c.d = 1 removed", "case 'b' removed"}
