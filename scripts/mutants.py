"""What can go wrong in a module: every small change of its syntax tree, one at a time. Pure.

A mutant is a place in the tree and what to put there. The places are those where people err:
bounds, signs, conditions, constants, a statement forgotten, a value not returned. What has no
behaviour is left alone: docstrings, annotations, assertions, the options of a class. Mutants run
in `scripts.mutation`; nothing is run here.
"""

import ast
from collections.abc import Iterator
from typing import Final, NamedTuple, cast

TEXT_MAX: Final = 70


class Mutant(NamedTuple):
    """One change: `node` instead of what stands in `parent`'s `field`, at `place` in a list."""

    line: int
    change: str
    parent: ast.AST
    field: str
    place: int | None
    node: ast.AST

    def plant(self) -> None:
        """Make the change in the tree that the mutant was found in."""
        if self.place is None:
            setattr(self.parent, self.field, self.node)
        else:
            getattr(self.parent, self.field)[self.place] = self.node


class Change(NamedTuple):
    """A node that could stand in another one's place, and the difference in words."""

    node: ast.AST
    text: str


_COMPARISONS: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_OPERATORS: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.BitXor: ast.BitOr,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_FIELDS_LEFT_ALONE: Final = frozenset(
    {"annotation", "returns", "decorator_list", "bases", "type_params"}
)
_CALLS_LEFT_ALONE: Final = frozenset({"assert_never", "cast", "NewType", "TypeVar"})


def mutants(tree: ast.Module) -> list[Mutant]:
    """Return every mutant of the module, in the order of its lines."""
    return sorted(_within(tree), key=lambda mutant: mutant.line)


def _within(parent: ast.AST) -> Iterator[Mutant]:
    for field, value in ast.iter_fields(parent):
        if field in _FIELDS_LEFT_ALONE or (
            field == "keywords" and isinstance(parent, ast.ClassDef)
        ):
            continue
        children = value if isinstance(value, list) else [value]
        for index, child in enumerate(children):
            if not isinstance(child, ast.AST) or _left_alone(child):
                continue
            place = index if isinstance(value, list) else None
            for change in _changes(child):
                line = cast("int", getattr(child, "lineno", getattr(parent, "lineno", 0)))
                yield Mutant(line, change.text, parent, field, place, change.node)
            yield from _within(child)


def _left_alone(node: ast.AST) -> bool:
    match node:
        case ast.Assert() | ast.Import() | ast.ImportFrom():
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.Expr(value=ast.Call(func=ast.Name(id=name))):
            return name in _CALLS_LEFT_ALONE
        case ast.Call(func=ast.Name(id=name)):
            return name in _CALLS_LEFT_ALONE
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name.startswith("__")
    return False


def _changes(node: ast.AST) -> Iterator[Change]:
    yield from _changed_expressions(node)
    yield from _changed_conditions(node)
    yield from _changed_statements(node)
    yield from _dropped_cases(node)


def _changed_expressions(node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.Compare(left, ops, comparators):
            for at, old in enumerate(ops):
                for other in _COMPARISONS[type(old)]:
                    changed = [*ops[:at], other(), *ops[at + 1 :]]
                    yield _instead(node, ast.Compare(left, changed, comparators))
        case ast.BinOp(left, operator, right) if type(operator) in _OPERATORS:
            yield _instead(node, ast.BinOp(left, _OPERATORS[type(operator)](), right))
        case ast.BoolOp(operator, values):
            joined = ast.Or() if isinstance(operator, ast.And) else ast.And()
            yield _instead(node, ast.BoolOp(joined, values))
        case ast.UnaryOp(ast.Not() | ast.USub() | ast.Invert(), operand):
            yield _instead(node, operand)
        case ast.Constant(value):
            if (changed_value := _other_constant(value)) is not None:
                yield _instead(node, ast.Constant(changed_value))
        case ast.Lambda(arguments, body) if not _is_none(body):
            yield _instead(node, ast.Lambda(arguments, ast.Constant(None)))


def _changed_conditions(node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.If(test, body, orelse) if not _negated_elsewhere(test):
            yield _condition(test, ast.If(_negated(test), body, orelse))
        case ast.While(test, body, orelse) if not _negated_elsewhere(test):
            yield _condition(test, ast.While(_negated(test), body, orelse))
        case ast.IfExp(test, body, orelse) if not _negated_elsewhere(test):
            yield _condition(test, ast.IfExp(_negated(test), body, orelse))
        case ast.match_case(pattern, guard, body) if guard and not _negated_elsewhere(guard):
            yield _condition(guard, ast.match_case(pattern, _negated(guard), body))
        case ast.comprehension(target, source, tests, is_async):
            for at, test in enumerate(tests):
                if not _negated_elsewhere(test):
                    changed = [*tests[:at], _negated(test), *tests[at + 1 :]]
                    yield _condition(test, ast.comprehension(target, source, changed, is_async))


def _changed_statements(node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.Return(value) if value is not None and not _is_none(value):
            yield _instead(node, ast.Return(ast.Constant(None)))
        case ast.AugAssign(target, operator, value):
            if type(operator) in _OPERATORS:
                other = _OPERATORS[type(operator)]()
                yield _instead(node, ast.AugAssign(target, other, value))
            yield _instead(node, ast.Pass())
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript(), *_]):
            yield _instead(node, ast.Pass())
        case ast.AnnAssign(target=ast.Attribute() | ast.Subscript(), value=ast.AST()):
            yield _instead(node, ast.Pass())
        case ast.Expr() | ast.Delete() | ast.Raise():
            yield _instead(node, ast.Pass())
        case ast.Break():
            yield _instead(node, ast.Continue())
        case ast.Continue():
            yield _instead(node, ast.Break())


def _dropped_cases(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.Match) and len(node.cases) > 1:
        for at, case in enumerate(node.cases):
            if not _unreachable(case):
                others = [*node.cases[:at], *node.cases[at + 1 :]]
                text = f"case {ast.unparse(case.pattern)} removed"
                yield Change(_placed(ast.Match(node.subject, others), node), text)


def _instead(old: ast.AST, new: ast.AST) -> Change:
    after = "removed" if isinstance(new, ast.Pass) else f"→ {_short(new)}"
    return Change(_placed(new, old), f"{_short(old)} {after}")


def _condition(test: ast.expr, new: ast.AST) -> Change:
    return Change(_placed(new, test), f"{_short(test)} → not {_short(test)}")


def _placed(new: ast.AST, old: ast.AST) -> ast.AST:
    """Give new nodes the lines of the old one; a child that is taken over keeps its own."""
    if not hasattr(new, "lineno"):
        ast.copy_location(new, old)
    return ast.fix_missing_locations(new)


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= TEXT_MAX else text[: TEXT_MAX - 1] + "…"


def _negated(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), test)


def _negated_elsewhere(test: ast.expr) -> bool:
    """Tell whether a change of the test itself negates it, or nothing should."""
    match test:
        case ast.Compare(ops=[_]) | ast.UnaryOp(op=ast.Not()) | ast.Constant():
            return True
    return False


def _unreachable(case: ast.match_case) -> bool:
    match case.body:
        case [ast.Expr(value=ast.Call(func=ast.Name(id="assert_never")))]:
            return True
    return False


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _other_constant(value: object) -> bool | float | str | bytes | None:
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value + "?"
        case bytes():
            return value + b"?"
    return None
