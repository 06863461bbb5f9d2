"""The command line: one verb per step, in the order in which data flow.

A verb `parse-affinity` is the function `parse_affinity` of the module named beside it. Its arguments
are read off the function's signature: what stands before `*` is positional, what stands after it is
a flag. A flag whose type is a configuration model takes that part of the configuration as JSON.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import inspect
import io
import logging
import operator
import os
import re
import sys
import types
import typing
from collections.abc import Callable
from pathlib import Path

from copra import __version__
from copra.errors import CopraError, shown

LINES = "\n\t"  # what a message may hold beside what can be printed

OUT_OF_MEMORY = re.compile("(?:can't|cannot|not) allocate memory|out of memory", re.IGNORECASE)  # torch, of CPU and GPU

STAGES: dict[str, dict[str, tuple[str, str]]] = {
    "sources": {
        "sources": ("copra.fetch.source_list", "list every source, where it is had and whether it is here"),
        "fetch-source": ("copra.fetch.source", "bring one file of a source, verified"),
        "fetch-structures": ("copra.fetch.structures", "bring the coordinate files of all wanted entries"),
    },
    "parse": {
        "list-entries": ("copra.parse.entries", "read the list of wanted PDB entries and deal them into shards"),
        "parse-affinity": ("copra.parse.affinity", "transcribe one affinity table, row by row"),
        "parse-mutations": ("copra.parse.mutations", "transcribe one table of mutation effects"),
        "parse-biolip2": ("copra.parse.biolip2", "transcribe the protein-RNA rows of BioLiP2"),
    },
    "structure": {
        "read-structures": ("copra.structure.shard", "read one shard of coordinate files into arrays"),
        "gather-structures": ("copra.structure.shard", "join the tables of all shards"),
        "apply-mutations": ("copra.structure.mutants", "put the stated mutations into the sequences of their chains"),
        "build-interfaces": ("copra.structure.shard", "cut the interfaces of one shard's complexes"),
        "build-pair-interfaces": ("copra.structure.pairs", "cut the interfaces of one shard's pre-training pairs"),
        "measure-interfaces": ("copra.structure.measure", "measure one shard's interfaces, for baselines"),
        "score-foldx": ("copra.structure.foldx", "run the user's own FoldX on one shard's records"),
        "measure-distances": ("copra.structure.distance_bins", "bin the distances within the interfaces of pairs"),
    },
    "datasets": {
        "build-pri30k": ("copra.pri30k.build", "pre-training pairs: connected chains, length limits"),
        "merge-measurements": ("copra.pra310.merge", "join measurements and structures into candidates"),
        "calibrate-labels": ("copra.pra310.calibrate", "decide one label per candidate, by named rules"),
        "select-records": ("copra.pra310.select", "apply the limits: the labelled records"),
    },
    "split": {
        "align-sequences": ("copra.split.align", "align every two proteins and every two RNA of the records"),
        "cluster-proteins": ("copra.split.clusters", "cluster the records by protein identity with CD-HIT"),
        "cluster-by-identity": ("copra.split.clusters", "cluster the records by pairwise identities"),
        "assign-folds": ("copra.split.folds", "deal the clusters into balanced folds"),
        "assign-by-date": ("copra.split.families", "deal the records into blocks by release date"),
        "read-folds": ("copra.split.families", "deal the records as a file of ids says"),
        "choose-family": ("copra.split.families", "put one family's folds where training reads them"),
        "report-leakage": ("copra.split.leakage", "what train and test share, per family and fold"),
        "purge-pri30k": ("copra.split.purge", "the pre-training pairs without relatives of a test fold"),
    },
    "embed": {
        "list-sequences": ("copra.embed.sequences", "list the distinct sequences and deal them into shards"),
        "embed-sequences": ("copra.embed.shard", "run a language model once over one shard of sequences"),
        "embed": ("copra.embed.fasta", "embed the sequences of a FASTA file"),
    },
    "train": {
        "fit-baseline": ("copra.train.baseline", "fit a classical baseline on one fold"),
        "pretrain": ("copra.train.pretrain", "pre-train Co-Former on chain pairs without labels"),
        "train-fold": ("copra.train.finetune", "train Co-Former or a neural baseline on one fold"),
    },
    "mutations": {
        "select-mutations": ("copra.mutation.records", "choose and cut the complex of every mutation effect"),
        "predict-mutations": ("copra.mutation.zero_shot", "ddG as a difference of two predictions of dG"),
        "train-mutations": ("copra.mutation.finetune", "train a model of dG on to ddG outside one fold"),
        "gather-mutations": ("copra.mutation.gather", "join the predictions of fine-tuned models, with their means"),
        "measure-mutations": ("copra.mutation.measure", "measure where mutations lie, for baselines"),
        "score-foldx-mutations": ("copra.mutation.foldx", "run the user's own FoldX on one shard's mutations"),
        "fit-mutation-baseline": ("copra.mutation.baselines", "predict ddG with a baseline"),
    },
    "models": {
        "package-model": ("copra.predict.packing", "an experiment's models of all seeds and folds as a folder"),
        "models": ("copra.predict.models", "list the models that a run made: data, weights, metrics"),
    },
    "predict": {
        "predict": ("copra.predict.predict", "dG, Kd and an interval for the complex of each structure file"),
        "scan": ("copra.predict.scan", "every substitution at chosen residues of one chain: ddG as a heat map"),
        "mutate": ("copra.predict.mutate", "ddG of named variants, of one or several exchanges in protein and RNA"),
    },
    "evaluate": {
        "evaluate-pretraining": ("copra.evaluate.pretraining", "what a pre-trained model knows of held-out pairs"),
        "evaluate": ("copra.evaluate.metrics", "metrics with intervals, from predictions"),
        "evaluate-mutations": ("copra.evaluate.mutation_metrics", "metrics of mutation effects, from predictions"),
        "write-mutation-table": ("copra.evaluate.mutation_table", "Table 2 as Markdown, TSV and an HTML page"),
        "write-table": ("copra.evaluate.tables", "a results table as Markdown and TSV"),
        "table-page": ("copra.evaluate.report", "the self-contained HTML page of one results table"),
        "report": ("copra.evaluate.report", "the self-contained HTML report"),
    },
    "provenance": {
        "describe-run": ("copra.provenance.run", "write down the configuration, commit and versions of a run"),
        "audit": ("copra.provenance.audit", "check every table of the data sets against its sources and its sums"),
        "audit-predictions": ("copra.provenance.audit", "check that every record was predicted as the folds say"),
        "diff": ("copra.provenance.diff", "compare a build with the published PRI30k or PRA310, reason by reason"),
        "trace": ("copra.provenance.trace", "tell one label's whole story"),
    },
    "release": {
        "release": ("copra.release.release", "the datasets as a folder to give away, as far as licences allow"),
    },
    "demo": {
        "write-demo": ("copra.demo.archive", "write the synthetic demo archive"),
    },
}


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; returns the exit status: 0 done, 1 a check failed, 2 a mistake the user can mend."""
    words = sys.argv[1:] if arguments is None else arguments
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a letter that the terminal lacks stops no verb
    if sys.getfilesystemencoding() != "utf-8" and not all(word.isascii() for word in words):
        # libraries that take paths in UTF-8 would look for other files
        print(
            f"copra: Python reads names of files as '{sys.getfilesystemencoding()}' under this locale, expected utf-8: "
            "`export PYTHONUTF8=1`, which ./run does by itself, and type the same command again",
            file=sys.stderr,
        )
        return 2
    verbs = {verb: target for stage in STAGES.values() for verb, target in stage.items()}
    if not words or words[0] in ("-h", "--help"):
        print(overview())
        return 0
    if words[0] == "--version":
        print(f"copra {__version__}")
        return 0
    if words[0] not in verbs:
        print(f"copra: no verb '{shown(words[0])}'; `copra --help` lists them", file=sys.stderr)
        return 2
    _log_to_stderr()
    module, _ = verbs[words[0]]
    try:
        function = getattr(importlib.import_module(module), words[0].replace("-", "_"))
        return int(call(function, words[0], words[1:]) or 0)
    except CopraError as error:
        print(f"copra {words[0]}: {shown(error, keep=LINES)}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output has gone, as in `copra sources | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (MemoryError, OSError, RuntimeError) as error:
        told = _mishap(error)
        if not told:
            raise
        print(f"copra {words[0]}: {told}", file=sys.stderr)
        return 2


def _mishap(error: Exception) -> str:
    """What the machine lacked, disk or memory, in one line; nothing where the error is of another kind."""
    import tempfile  # here, as `copra --help` is to answer at once

    from copra.files import refusal

    if isinstance(error, OSError) and (why := refusal(error)):
        place = error.filename or f"a file (temporary ones are in {tempfile.gettempdir()})"
        return f"{place}: cannot be read or written: {why}"
    if isinstance(error, MemoryError) or OUT_OF_MEMORY.search(str(error)):
        told = (str(error).splitlines() or ["no more is to be had"])[0]
        return f"out of memory: {told}; give the job more memory, then type the same command again"
    return ""


def _log_to_stderr() -> None:
    class Lines(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return shown(super().format(record), keep=LINES)

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def overview() -> str:
    """The text of `copra --help`."""
    lines = ["usage: copra VERB ...   (`copra VERB --help` tells a verb's arguments)", ""]
    for stage, verbs in STAGES.items():
        lines.append(f"{stage}:")
        lines += [f"  {verb:20} {text}" for verb, (_, text) in verbs.items()]
    return "\n".join(lines)


def call(function: Callable[..., int | None], verb: str, words: list[str]) -> int | None:
    """Parse `words` by the signature of `function` and call it."""
    doc = inspect.getdoc(function) or ""
    parser = argparse.ArgumentParser(f"copra {verb}", description=doc, formatter_class=argparse.RawTextHelpFormatter)
    hints = typing.get_type_hints(function, include_extras=True)
    for parameter in inspect.signature(function).parameters.values():
        _add_argument(parser, parameter, hints[parameter.name])
    return function(**vars(parser.parse_args(words)))


def _add_argument(parser: argparse.ArgumentParser, parameter: inspect.Parameter, hint: typing.Any) -> None:
    flag = parameter.kind is inspect.Parameter.KEYWORD_ONLY
    name = f"--{parameter.name.replace('_', '-')}" if flag else parameter.name
    options: dict[str, typing.Any] = {}
    if typing.get_origin(hint) is list:
        hint = typing.get_args(hint)[0]
        options["nargs"] = "*"
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = functools.reduce(operator.or_, (h for h in typing.get_args(hint) if h is not type(None)))
    if hint is bool:
        options["action"] = argparse.BooleanOptionalAction
    else:
        options["type"] = _converter(hint)
    if parameter.default is not inspect.Parameter.empty:
        options["default"] = parameter.default
        if not flag and "nargs" not in options:
            options["nargs"] = "?"
    elif flag:
        options["required"] = True
    parser.add_argument(name, **options)


def _converter(hint: typing.Any) -> Callable[[str], typing.Any]:
    if hint in (str, int, float, Path):
        return typing.cast(Callable[[str], typing.Any], hint)
    from copra.config_file import parse_settings

    return lambda text: parse_settings(hint, text)


if __name__ == "__main__":
    sys.exit(main())
