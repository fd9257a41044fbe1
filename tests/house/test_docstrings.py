"""Everything public says in a line what it is for."""

from __future__ import annotations

import ast

import pytest

from tests.house.source_tree import PACKAGES, files, tree

# A file of shapes only repeats a vendor's field names; its module says whose.
SHAPES = "shapes.py"


def silent(module: ast.Module, shapes: bool = False) -> list[str]:
    """What public name of a syntax tree has no docstring; of a module of shapes only the module is asked."""
    found = [] if ast.get_docstring(module) else ["the module"]
    if shapes:
        return found
    return found + [
        f"line {node.lineno}: {node.name}"
        for node in module.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]


def test_everything_public_says_what_it_is_for() -> None:
    found = {
        str(path): lines
        for path in files(".py")
        if path.parts[0] in PACKAGES and (lines := silent(tree(path), path.name == SHAPES))
    }
    assert not found, f"One line on what each is for: {found}"


@pytest.mark.parametrize("source", ["x = 1", '"""."""\ndef f(): ...', '"""."""\nclass C: ...'])
def test_planted_silence_is_found(source: str) -> None:
    assert silent(ast.parse(source))


def test_what_is_private_may_be_silent() -> None:
    assert not silent(ast.parse('"""."""\ndef _f(): ...'))
