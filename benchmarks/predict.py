"""Start-up of the command line, and a prediction from the file to the answer.

`python benchmarks/predict.py FILE ... --model FOLDER [--rounds 3]`; prints Markdown. See README.md.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measuring import machine, markdown

Seconds = tuple[float, float]  # wall, processor


def processor_s(who: int) -> float:
    """Processor seconds so far of this process or of its finished children."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def command(words: list[str]) -> Seconds:
    """A program from its start to its end."""
    started, before = time.perf_counter(), processor_s(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    return time.perf_counter() - started, processor_s(resource.RUSAGE_CHILDREN) - before


def timed(call: Callable[[], Any]) -> tuple[Seconds, Any]:
    """A call in this process."""
    started, before = time.perf_counter(), processor_s(resource.RUSAGE_SELF)
    result = call()
    return (time.perf_counter() - started, processor_s(resource.RUSAGE_SELF) - before), result


def answer(package: Path, files: list[Path]) -> None:
    """The child: start up once, then each file from its bytes to the answer; prints the seconds as JSON."""

    def imports() -> None:
        import copra.predict.members
        import copra.predict.predict  # noqa: F401

    found: dict[str, Any] = {"start of Python, imports": timed(imports)[0]}
    from copra.predict.engine import Engine
    from copra.predict.package import read_package
    from copra.predict.prediction import Options, Predictor

    def load() -> Predictor:
        predictor = Predictor(Engine(read_package(package), {}, None), Options(298.15, 0.9, "none"))
        assert predictor.engine.members
        return predictor

    found["reading the package"], predictor = timed(load)
    engine, stages = predictor.engine, []
    for file in files:
        file_s, case = timed(lambda: engine.case(file, None, None, None))  # noqa: B023 (called at once)
        answer_s, prediction = timed(lambda: predictor.predict(case))  # noqa: B023
        from copra.predict.attribution import contributions
        from copra.predict.views import seen_nodes

        sample = engine.sample(case.interface)
        _, rows = seen_nodes(case.interface, sample)
        again = [timed(lambda: engine.dg_kcal_mol([sample]))[0]]  # noqa: B023
        again.append(timed(lambda: contributions(engine, sample, rows, "hiding"))[0])  # noqa: B023
        stages.append([file_s, answer_s, *again])
        found.setdefault("files", []).append(
            [file.name, sum(len(text) for _, text in case.sequences), len(sample), len(prediction.members_dg_kcal_mol)]
        )
    print(json.dumps(found | {"stages": stages}))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        answer(given.model, given.files)
        return
    about = machine(("torch", "numpy"))
    words = [__file__, *map(str, given.files), "--model", str(given.model), "--child"]
    helps, told = [], []
    for _ in range(given.rounds):
        helps.append(command(["-m", "copra.cli", "--help"]))
        done = subprocess.run([sys.executable, *words], check=True, capture_output=True, text=True)
        told.append(json.loads(done.stdout.splitlines()[-1]))
    rows = [["`copra --help`", *least(helps)]]
    rows += [[key, *least([one[key] for one in told])] for key in ("start of Python, imports", "reading the package")]
    print(about, markdown(["start-up", "wall, s", "processor, s"], rows), sep="\n\n")
    rows = []
    for i, (name, residues, nodes, members) in enumerate(told[0]["files"]):
        stages = [[one["stages"][i][k] for one in told] for k in range(4)]
        whole = [(one["stages"][i][0][0] + one["stages"][i][1][0], one["stages"][i][0][1] + one["stages"][i][1][1])
                 for one in told]  # fmt: skip
        columns = [" / ".join(least(part)) for part in (whole, *stages)]
        rows.append([name, str(residues), str(nodes), str(members), *columns])
    heads = ["file", "residues", "nodes", "members", "file to answer", "reading, choosing", "all the rest",
             "of it dG", "besides: hiding every residue"]  # fmt: skip
    print("\nSeconds, wall / processor:\n", markdown(heads, rows), sep="\n")


def least(found: list[Any]) -> list[str]:
    """The least wall and the least processor seconds of some rounds: other processes only ever add."""
    return [f"{min(one[k] for one in found):.2f}" for k in (0, 1)]


if __name__ == "__main__":
    main()
