"""Damaged files: each is read or set aside with a reason; none crashes, hangs or fills the memory."""

from __future__ import annotations

from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fuzzing import Outcome, run

from copra.structure.quarantine import REASONS

MAX_CPU_S = 5.0
OF_A_FILE = set(REASONS) - {"not_fetched", "no_protein", "no_rna"}


def check(outcomes: list[Outcome], n_cases: int) -> None:
    """Print the table of outcomes and the worst cases, then hold them against the promises."""
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for outcome in outcomes:
        table[outcome.kind][outcome.result] += 1
    for kind, counts in sorted(table.items()):
        print(f"{kind:32s}", ", ".join(f"{result} {count}" for result, count in counts.most_common()))
    slowest = max(outcomes, key=lambda outcome: outcome.cpu_s)
    print(f"slowest: {slowest}\nmost memory: {max(outcome.memory_mb for outcome in outcomes):.0f} MB")
    assert len(outcomes) == n_cases
    assert {outcome.result for outcome in outcomes} <= OF_A_FILE | {"read"}
    assert slowest.cpu_s < MAX_CPU_S


def test_sixty_damaged_files_are_read_or_have_a_reason(root: Path, tmp_path: Path) -> None:
    archive = sorted((root / "resources" / "demo" / "archive" / "structures").rglob("0da*.cif.gz"))
    check(run(archive[:6], range(60), 0, tmp_path), 60)


@pytest.mark.slow
def test_two_thousand_damaged_files_are_read_or_have_a_reason(root: Path, tmp_path: Path) -> None:
    """Real files of both formats beside the project, where they are, and the demo's."""
    archive = sorted((root / "resources" / "demo" / "archive" / "structures").rglob("0*.cif.gz"))[::30]
    real = root.parent / "shared" / "data" / "structures"
    small = [path for path in sorted(real.glob("*.gz")) if path.stat().st_size < 80_000]
    paths = archive + [p for p in small if ".cif" in p.name][::12] + [p for p in small if ".pdb" in p.name][::4]
    chunks = [range(start, start + 100) for start in range(0, 2000, 100)]
    with ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(lambda cases: run(paths, cases, 12, tmp_path), chunks))
    check([outcome for part in parts for outcome in part], 2000)
