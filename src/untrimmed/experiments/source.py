"""The source that a result can depend on: modules, and all that they import of their own packages, directly or not.

A package's `__init__.py` that only passes names on is looked through: of what it imports, only what is taken from it counts. So
`from untrimmed.localization import Localization` leads to the module that defines the settings, and not to those that cut.
Comments do not count; other libraries do not either (`cache` has their versions).
"""

import ast
import hashlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from untrimmed.data.errors import InputError


@cache
def source_hash(*modules: str) -> str:
    """SHA-256 over the source of modules, and over that of all that they can reach in their packages; read once in a process.

    Raises:
        InputError: no file holds the source of one of the modules.
    """
    source = source_of(*modules)
    digests = {name: hashlib.sha256(ast.dump(tree).encode()).hexdigest() for name, tree in source.modules.items()}
    return hashlib.sha256(json.dumps([digests, source.passed], sort_keys=True).encode()).hexdigest()


@dataclass
class Source:
    """modules: syntax trees by module. passed: by `package.name`, the module that a package takes the name from."""

    modules: dict[str, ast.Module] = field(default_factory=dict)
    passed: dict[str, str] = field(default_factory=dict)


def source_of(*modules: str) -> Source:
    """The source that modules can reach: of the packages they are in, and of this one.

    Raises:
        InputError: no file holds the source of one of the modules.
    """
    packages = {"untrimmed", *(module.partition(".")[0] for module in modules)}
    source = Source()
    waiting: list[tuple[str, str | None]] = []
    for module in modules:
        if _file_of(module) is None:
            raise InputError(f"{module}: no file holds its source, so that nothing tells when its results are stale")
        waiting.append((module, None))
    while waiting:
        module, name = waiting.pop()
        if module.partition(".")[0] not in packages:
            continue
        if name is not None and (target := _passed_on(module, name)) is not None:
            source.passed[f"{module}.{name}"] = target[0]
            waiting.append(target)
            continue
        if name is not None and _file_of(f"{module}.{name}") is not None:
            module = f"{module}.{name}"
        tree = _parsed(module)
        if tree is None or module in source.modules:
            continue
        source.modules[module] = tree
        waiting += _imports(module, tree)
        parts = module.split(".")
        above = [".".join(parts[:count]) for count in range(1, len(parts))]  # importing a module runs these too
        waiting += [(package, None) for package in above if not _only_passes_on(package)]
    return source


def _imports(module: str, tree: ast.AST) -> Iterator[tuple[str, str | None]]:
    """(module, name taken of it, or None for the module itself) of every import, also inside functions."""
    package = module if _is_package(module) else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                origin = importlib.util.resolve_name("." * node.level + origin, package)
            yield from ((origin, None if alias.name == "*" else alias.name) for alias in node.names)


def _passed_on(package: str, name: str) -> tuple[str, str] | None:
    """Where a package that only passes names on has this one from: the module, and its name there."""
    tree = _parsed(package) if _only_passes_on(package) else None
    for node in _statements(tree) if tree else ():
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    origin = "." * node.level + (node.module or "")
                    return importlib.util.resolve_name(origin, package) if node.level else origin, alias.name
    return None


def _only_passes_on(package: str) -> bool:
    """Whether a package's own file does nothing but give names of its modules: by importing them or, when they are asked for, by
    `__getattr__`; `if TYPE_CHECKING:` then says where they are from."""
    tree = _parsed(package) if _is_package(package) else None
    return tree is not None and all(_passes_on(node, package) for node in _statements(tree))


def _passes_on(node: ast.stmt, package: str) -> bool:
    if isinstance(node, ast.ImportFrom):
        return all(alias.name != "*" for alias in node.names)
    if isinstance(node, ast.Import):
        return all(alias.name.partition(".")[0] != package.partition(".")[0] for alias in node.names)
    if isinstance(node, ast.Assign):  # of plain values, and `__all__` of whatever
        return [ast.unparse(target) for target in node.targets] == ["__all__"] or not any(
            isinstance(part, ast.Call | ast.Name | ast.Attribute) for part in ast.walk(node.value)
        )
    if isinstance(node, ast.FunctionDef):
        return node.name in ("__getattr__", "__dir__")
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Those of a module, and of `if TYPE_CHECKING:` in it."""
    for node in tree.body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not node.orelse:
            yield from node.body
        else:
            yield node


def _is_package(module: str) -> bool:
    file = _file_of(module)
    return file is not None and file.name == "__init__.py"


@cache
def _parsed(module: str) -> ast.Module | None:
    file = _file_of(module)
    return None if file is None else ast.parse(file.read_text(encoding="utf-8"))


@cache
def _file_of(module: str) -> Path | None:
    """The file that a module's source is in; None where there is none, such as that of a library in C."""
    top, *rest = module.split(".")
    for place in places_of(top):
        path = place.joinpath(*rest)
        beside = [path.with_name(f"{path.name}.py")] if rest else [place]
        for file in (path / "__init__.py", *beside):
            if file.is_file() and file.suffix == ".py":
                return file
    return None


def places_of(top: str) -> list[Path]:
    """The folders of a top-level package, or the file of a top-level module."""
    try:
        spec = importlib.util.find_spec(top)
    except ValueError:  # of a program that is run by its file
        spec = None
    if spec is None:
        file = getattr(sys.modules.get(top), "__file__", None)
        return [] if file is None else [Path(file)]
    return [Path(place) for place in spec.submodule_search_locations or [spec.origin or ""]]
