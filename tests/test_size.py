"""The sizes that CONTRIBUTING promises: functions one can read at a glance, or a reason beside them."""

import ast
from pathlib import Path

import untrimmed

SOURCE = Path(untrimmed.__file__).parent
LINES, PARAMETERS = 60, 8


def functions(tree: ast.AST, method: bool = False):
    """Each public function, and whether it is a method."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef) and (not node.name.startswith("_") or node.name == "__init__"):
            yield node, method
        elif isinstance(node, ast.ClassDef):
            yield from functions(node, method=True)


def size(function: ast.FunctionDef, method: bool) -> tuple[int, int]:
    """Lines without the docstring, and parameters without self."""
    body = function.body[1:] if ast.get_docstring(function) and len(function.body) > 1 else function.body
    arguments = function.args
    parameters = len(arguments.posonlyargs) + len(arguments.args) + len(arguments.kwonlyargs) - method
    return function.end_lineno - body[0].lineno + 1, parameters


def test_a_public_function_is_short_or_says_why_not():
    """A reason is a comment in the line above, or above its decorators, that begins with `Long:` or `Many parameters:`; the
    functions of commands, in cli.py and jobs/, have a parameter for each option."""
    missing = []
    for file in sorted(SOURCE.rglob("*.py")):
        text = file.read_text()
        rows = text.splitlines()
        of_commands = file.parent.name == "jobs" or file.name == "cli.py"
        for function, method in functions(ast.parse(text)):
            lines, parameters = size(function, method)
            first = min([function.lineno, *(d.lineno for d in function.decorator_list)])
            said = rows[first - 2] if first > 1 else ""
            if lines > LINES and not said.startswith("# Long:"):
                missing.append(f"{file.relative_to(SOURCE)}: {function.name} has {lines} lines")
            if parameters > PARAMETERS and not of_commands and not said.startswith("# Many parameters:"):
                missing.append(f"{file.relative_to(SOURCE)}: {function.name} has {parameters} parameters")
    assert not missing, missing
