"""Nothing is evaluated or executed from data: what the code of the package and of the rules may not call."""

from __future__ import annotations

import ast
import io
import re
import string
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

# calls that run what they are given, or build any object that it names
FORBIDDEN = {
    "eval", "exec", "compile", "__import__", "execfile", "os.system", "os.popen", "os.execv", "os.execvp", "os.spawnv",
    "os.startfile", "pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.load", "marshal.loads", "shelve.open",
    "dill.load", "joblib.load", "pd.read_pickle", "pandas.read_pickle", "yaml.load", "yaml.load_all", "yaml.full_load",
    "yaml.unsafe_load", "subprocess.getoutput", "subprocess.getstatusoutput", "shutil.unpack_archive", "torch.hub.load",
    "ast.literal_eval", "code.interact", "runpy.run_path", "torch.jit.load", "torch.package.PackageImporter",
}  # fmt: skip
FORBIDDEN_METHODS = {"extractall", "extract", "read_pickle", "to_pickle", "format_map", "from_dict_unsafe"}
# modules of which only a named part may be used
ONLY = {"pickle": {"UnpicklingError"}, "marshal": set(), "shelve": set(), "dill": set(), "joblib": set()}
# PyTorch's compiler of our own C++ sources is called with a list of words
TRUE_KEYWORDS = {"shell": False, "allow_pickle": False}
# templates of Markdown are escaped by `finalize`
NOT_HTML = {"copra/release/card.py"}
# data choose the module: each from a table that stands in the code
IMPORTS_BY_NAME = {"copra/cli.py", "copra/train/models.py"}


def dotted(node: ast.expr) -> str:
    """`a.b.c` of a name or an attribute, "" of anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := dotted(node.value)):
        return f"{before}.{node.attr}"
    return ""


def faults_of_call(call: ast.Call, where: str) -> Iterator[str]:
    name, keywords = dotted(call.func), {word.arg: word.value for word in call.keywords}
    if name in FORBIDDEN:
        yield f"calls {name}"
    of_texts = isinstance(call.func, ast.Attribute) and getattr(call.func.value, "attr", "") == "str"  # pandas
    if isinstance(call.func, ast.Attribute) and call.func.attr in FORBIDDEN_METHODS and not of_texts:
        yield f"calls .{call.func.attr}"
    for word, allowed in TRUE_KEYWORDS.items():
        given = keywords.get(word)
        if given is not None and not (isinstance(given, ast.Constant) and given.value is allowed):
            yield f"gives {word}="
    if name == "torch.load":
        told = keywords.get("weights_only")
        if not (isinstance(told, ast.Constant) and told.value is True):
            yield "calls torch.load without weights_only=True"
    if name.endswith("import_module") and where not in IMPORTS_BY_NAME:
        yield f"calls {name}"
    if name.rpartition(".")[2] == "Environment" and where not in NOT_HTML:
        told = keywords.get("autoescape")
        if not (isinstance(told, ast.Constant) and told.value is True):
            yield "makes a jinja2 environment without autoescape=True"
    if where in NOT_HTML and name == "Environment" and "finalize" not in keywords:
        yield "makes a Markdown template without an escape"


def faults_of(text: str, where: str) -> list[str]:
    """What a file of Python does that it may not, with the line."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            found += [f"{where}:{node.lineno}: {fault}" for fault in faults_of_call(node, where)]
        module, _, used = dotted(node).partition(".") if isinstance(node, ast.Attribute) else ("", "", "")
        if module in ONLY and used not in ONLY[module]:
            found.append(f"{where}:{node.lineno}: uses {module}.{used}")
        if isinstance(node, ast.ImportFrom) and node.module in ONLY:
            found.append(f"{where}:{node.lineno}: imports from {node.module}")
    return found


def test_no_code_runs_what_it_is_given(root: Path) -> None:
    files = sorted((root / "copra").rglob("*.py"))
    assert len(files) > 200
    found = [fault for path in files for fault in faults_of(path.read_text(), path.relative_to(root).as_posix())]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "eval(text)", "exec(text)", "os.system(line)", "subprocess.run(line, shell=True)",
        "subprocess.run(line, shell=x)",
        "np.load(path, allow_pickle=True)", "torch.load(path)", "torch.load(path, weights_only=False)",
        "import pickle\npickle.loads(data)", "from pickle import loads", "yaml.load(text, Loader=yaml.Loader)",
        "archive.extractall(folder)", "importlib.import_module(name)", "jinja2.Environment()",
        "Environment(autoescape=False)", "pd.read_pickle(path)", "import pickle\nread = pickle.load",
    ],
)  # fmt: skip
def test_the_walk_finds_what_is_forbidden(text: str) -> None:
    assert faults_of(text, "copra/some.py")


# --- rules --------------------------------------------------------------------------------------------

# Fields of a shell command that are not quoted: numbers, and words of which the configuration or a wildcard's pattern
# allows letters, digits and "_" only. A field that is not here needs :q.
CHECKED_WORDS = {
    "threads", "resources.pace",
    *(f"wildcards.{name}" for name in (
        "shard", "seed", "fold", "experiment", "table", "language_model", "source", "recipe", "scope", "training"
    )),
    *(f"params.{name}" for name in (
        "shards", "required", "missing", "family", "method", "tables", "cv", "blind", "extra", "n_folds", "seeds",
        "related_identity", "contact_cutoff_angstrom", "interface_nodes", "max_pairs", "seed", "bootstrap_samples",
        "confidence", "identity", "folds", "balance", "experiments",
    )),
}  # fmt: skip
# words put together before: each holds shlex.quote around what comes from elsewhere
PUT_TOGETHER = {"params.weights", "params.kept", "params.pretrained", "params.package"}


def shell_texts(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of each `shell:` of a rule file: the literals that stand below it, joined."""
    tokens = list(tokenize.generate_tokens(io.StringIO(path.read_text()).readline))
    for i, token in enumerate(tokens):
        if token.type != tokenize.NAME or token.string != "shell" or tokens[i + 1].string != ":":
            continue
        parts = []
        for other in tokens[i + 2 :]:
            if other.type == tokenize.STRING:
                parts.append(ast.literal_eval(other.string))
            elif other.type not in (tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.COMMENT):
                break
        yield token.start[0], "".join(parts)


def rule_files(root: Path) -> list[Path]:
    return [root / "Snakefile", *sorted((root / "workflow" / "rules").glob("*.smk"))]


def test_what_comes_from_elsewhere_is_quoted_in_every_shell_command(root: Path) -> None:
    found, n_shells, used = [], 0, set()
    for path in rule_files(root):
        for line, text in shell_texts(path):
            n_shells += 1
            for _, field, spec, _ in string.Formatter().parse(text):
                if field is None or spec == "q":
                    continue
                used.add(field)
                if field not in CHECKED_WORDS | PUT_TOGETHER:
                    found.append(f"{path.name}:{line}: {{{field}}} is not quoted")
    assert found == []
    assert n_shells > 40
    assert used == CHECKED_WORDS | PUT_TOGETHER, "no more exceptions than are needed"


def test_words_put_together_quote_their_paths(root: Path) -> None:
    for path in rule_files(root):
        text = path.read_text()
        for name in (field.partition(".")[2] for field in PUT_TOGETHER):
            for made in re.findall(rf"^        {name}=lambda .*?(?=^        \w+=|^    \w+:)", text, re.M | re.S):
                assert made.count("{") == made.count("shlex.quote("), f"{path.name}: {name}"


def test_wildcards_are_words(root: Path) -> None:
    text = "\n".join(path.read_text() for path in rule_files(root))
    for field in sorted(CHECKED_WORDS):
        kind, _, name = field.partition(".")
        if kind == "wildcards":
            assert re.search(rf'^ +{name}=r?("\[A-Za-z0-9_\]\+"|"\\d\+"|"[a-z_|\\d+]+")', text, re.M), name


def test_rule_files_call_nothing_that_runs_text(root: Path) -> None:
    names = {name for name in FORBIDDEN if "." not in name} | {"pickle", "subprocess", "popen", "getoutput", "marshal"}
    for path in rule_files(root):
        for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
            assert token.type != tokenize.NAME or token.string not in names, f"{path.name}:{token.start[0]}"
