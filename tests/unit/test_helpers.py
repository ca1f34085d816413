"""Helpers of the tests are written once, and no test module imports another."""

import ast
from collections import defaultdict
from pathlib import Path

TESTS = Path(__file__).parents[1]
MODULES = {
    path.relative_to(TESTS): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(TESTS.rglob("*.py"))
}


def body_of(function: ast.FunctionDef) -> list[ast.stmt]:
    """The statements of a function, without its docstring."""
    return function.body[1:] if ast.get_docstring(function) else function.body


def test_no_helper_is_defined_twice() -> None:
    """The same arguments and the same two statements or more, whatever the name."""
    found: dict[str, list[str]] = defaultdict(list)
    for path, module in MODULES.items():
        for node in module.body:
            if isinstance(node, ast.FunctionDef) and len(body_of(node)) > 1:
                statements = "".join(map(ast.dump, body_of(node)))
                found[ast.dump(node.args) + statements].append(f"{path}: {node.name}")
    assert [names for names in found.values() if len(names) > 1] == []


def test_no_test_module_imports_another() -> None:
    imports = {
        f"{path}: {node.module}"
        for path, module in MODULES.items()
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith(("tests.unit", "tests.integration"))
    }
    assert imports == set()
