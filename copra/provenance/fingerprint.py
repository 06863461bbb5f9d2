"""Fingerprints of code: the part of the package that a verb can reach, hashed.

Snakemake does not see an edit in a package that a rule calls through the shell, so each rule carries
the fingerprint of its verb among its parameters. Comments, docstrings and layout do not count; an
edited function changes the verbs that can reach it and no other.

Reach is read from the syntax tree and errs on the safe side: every name that a definition mentions
counts as used, a module that is used as a whole counts whole, and so do statements at the top of a
module that are neither imports nor definitions. A data file beside a module (a page template) counts
when its name stands in the code.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

from copra.cli import STAGES
from copra.train.models import MODELS

PACKAGE = Path(__file__).resolve().parent.parent
WHOLE = "*"


def fingerprint(verb: str) -> str:
    """Sixteen hexadecimal digits that change when code that `copra <verb>` can reach changes.

    Raises KeyError for a verb that copra.cli does not list.
    """
    modules = {name: module for stage in STAGES.values() for name, (module, _) in stage.items()}
    return fingerprint_of(modules[verb], verb.replace("-", "_"))


def model_fingerprint(kind: str) -> str:
    """The same for the code of one kind of model that `copra train-fold` builds.

    Raises KeyError for a kind that copra.train.models does not list.
    """
    return fingerprint_of(MODELS[kind], "build_affinity_model")


def fingerprint_of(module: str, definition: str) -> str:
    """The fingerprint of one definition of one module of the package."""
    digests = {}
    waiting = [(module, definition)]
    while waiting:
        target = waiting.pop()
        if target in digests:
            continue
        content, used = _content(*target)
        digests[target] = content
        waiting += used
    text = "\n".join(f"{name}.{what} {digest}" for (name, what), digest in sorted(digests.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def _content(module: str, definition: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The digest of one definition (or of the whole module) and the definitions that it uses."""
    parsed = _parse(module)
    if definition not in parsed.definitions and definition in parsed.imports:
        return "", (parsed.imports[definition],)
    names = parsed.names if definition == WHOLE else (definition,)
    nodes = [node for name in names for node in parsed.definitions.get(name, ())] + parsed.loose
    used: set[tuple[str, str]] = set()
    digest = hashlib.sha256()
    for node in nodes:
        digest.update(ast.dump(node).encode())
        used |= parsed.references(node)
        for text in sorted(_strings(node)):
            data = parsed.folder / text
            if data.is_file():
                digest.update(data.read_bytes())
    return digest.hexdigest(), tuple(sorted(used))


class _Module:
    """The definitions of one module, and what each name in it stands for."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.folder = path.parent
        self.definitions: dict[str, list[ast.stmt]] = {}
        self.imports: dict[str, tuple[str, str]] = {}
        self.loose: list[ast.stmt] = []
        tree = _without_docstrings(ast.parse(path.read_text(encoding="utf-8")))
        assert isinstance(tree, ast.Module)
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                self.definitions.setdefault(node.name, []).append(node)
            elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
                for target in _assigned(node):
                    self.definitions.setdefault(target, []).append(node)
            elif not isinstance(node, ast.Import | ast.ImportFrom):
                self.loose.append(node)
        for found in ast.walk(tree):
            self._note_import(found)
        self.names = tuple(self.definitions)

    def _note_import(self, node: ast.AST) -> None:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE.name:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                target = (submodule, WHOLE) if _path(submodule) else (str(node.module), alias.name)
                self.imports[alias.asname or alias.name] = target
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == PACKAGE.name:
                    self.imports[alias.asname or alias.name.split(".")[0]] = (alias.name, WHOLE)

    def references(self, node: ast.AST) -> set[tuple[str, str]]:
        """The package's definitions whose names the node mentions."""
        mentioned = {found.id for found in ast.walk(node) if isinstance(found, ast.Name)}
        own = {(self.name, name) for name in mentioned & self.definitions.keys()}
        return own | {self.imports[name] for name in mentioned & self.imports.keys()}


@cache
def _parse(module: str) -> _Module:
    path = _path(module)
    if path is None:
        raise FileNotFoundError(f"no module {module} in {PACKAGE}")
    return _Module(module, path)


def _path(module: str) -> Path | None:
    base = PACKAGE.parent.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def _assigned(node: ast.Assign | ast.AnnAssign | ast.AugAssign) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [found.id for target in targets for found in ast.walk(target) if isinstance(found, ast.Name)]


def _without_docstrings(tree: ast.AST) -> ast.AST:
    holders = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    for node in ast.walk(tree):
        if isinstance(node, holders) and node.body and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def _strings(node: ast.AST) -> set[str]:
    texts = (found.value for found in ast.walk(node) if isinstance(found, ast.Constant))
    return {
        text for text in texts if isinstance(text, str) and 0 < len(text) < 100 and "\0" not in text and "." in text
    }
