"""Variants as a person writes them, `A:K52A+R:G5C`, as mutants of a complex, or why a variant is none."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from copra.errors import InputError
from copra.predict.engine import Case
from copra.predict.package import Package
from copra.predict.substitutions import Change, Mutant, interface_places
from copra.structure.mutants import NotApplicable, mutant_of, same_sequence_chains

COLUMN = "variant"
BETWEEN = "+"  # exchanges of one variant
NOT_IN_COMPLEX = "not_in_complex"


@dataclass(frozen=True)
class Exchange:
    """One exchange of a variant."""

    name: str  # as it was written, A:K52A
    chain: str  # author id of the named chain
    molecule: str  # protein or rna
    chains: tuple[str, ...]  # those that carry it, the named one first
    place: int  # 0-based, in the full sequence
    letter: str  # the mutant's
    sequence: str  # the wild type's


@dataclass(frozen=True)
class Variant:
    """A variant that can be put into the complex."""

    exchanges: tuple[Exchange, ...]  # as they were written
    mutant: Mutant
    unchanged_copies: tuple[str, ...]  # chains of the complex with a changed chain's sequence that stay as they are

    @property
    def molecules(self) -> tuple[str, ...]:
        """protein, rna or both."""
        return tuple(sorted({e.molecule for e in self.exchanges}))

    @property
    def untested(self) -> str:
        """What it is that no labelled case tests: all published ddG are of one exchange in a protein; "" for those.

        One exchange named in several copies of a chain counts as one, as in the labelled homo-oligomers.
        """
        several = len({(e.sequence, e.place, e.letter) for e in self.exchanges}) > 1
        kinds = ("several exchanges at once", several), ("changes of RNA", "rna" in self.molecules)
        return " and of ".join(text for text, true in kinds if true)


class BadVariant(Exception):
    """A text that is no variant of the complex; its message begins with a reason code."""


def read_variants(path: Path) -> list[str]:
    """The column `variant` of a table with tabs, in the order of the file.

    Raises InputError for a file that cannot be read, has no such column, or no rows.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        reader = csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
        heading, rows = list(reader.fieldnames or []), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a readable text file: {error}") from error
    if COLUMN not in heading:
        raise InputError(f"{path}: expected a table with tabs and the column {COLUMN!r}, found {heading}")
    found = [(row[COLUMN] or "").strip() for row in rows]
    if not found:
        raise InputError(f"{path}: expected variants below the heading, found none")
    return found


def read_variant(text: str, case: Case, *, all_copies: bool) -> Variant:
    """A variant in the chains of the case; with `all_copies` every chain of an equal sequence carries it.

    `text` is exchanges joined by `+`; each is author chain, `:`, wild type letter, author number with insertion code,
    mutant letter. The order of the exchanges makes no difference to the mutant.

    Raises BadVariant: with a code of `copra.structure.mutants.REASONS`, or NOT_IN_COMPLEX.
    """
    exchanges = tuple(_exchange(word.strip(), case, all_copies=all_copies) for word in text.split(BETWEEN))
    by_chain: dict[str, dict[int, Exchange]] = {}
    for one in exchanges:
        for chain in one.chains:
            before = by_chain.setdefault(chain, {}).setdefault(one.place, one)
            if before is not one:
                raise BadVariant(
                    f"bad_mutation: found {before.name} and {one.name}, which change one residue of chain {chain} twice"
                )
    # in the order of the complex's chains and of the sequence, whatever the order of the text
    mutant = tuple(_change(name, by_chain[name]) for name in case.interface.chain_ids if name in by_chain)
    copies = {copy for one in exchanges for copy in _copies(case, one.chain)}
    left = tuple(name for name in case.interface.chain_ids if name in copies and name not in by_chain)
    return Variant(exchanges, mutant, left)


def _exchange(word: str, case: Case, *, all_copies: bool) -> Exchange:
    """One exchange, checked against the residue that stands there."""
    chain, colon, mutation = word.rpartition(":")
    if not (chain and colon and mutation) or "," in mutation:
        raise BadVariant(f"bad_mutation: found {word!r}, expected chain, wild type, number and mutant such as A:K52A")
    stated = dict.fromkeys(("mutation_id", "source"), "") | {"mutation_kind": "single"}
    try:
        row = mutant_of(stated | {"chain": chain, "mutation": mutation}, case.structure)
    except NotApplicable as refused:
        raise BadVariant(str(refused)) from None
    if chain not in case.interface.chain_ids:
        raise BadVariant(
            f"{NOT_IN_COMPLEX}: found chain {chain}, which is not of the complex {case.chosen.complex_id}; "
            "--protein and --rna name another one"
        )
    copies = _copies(case, chain) if all_copies else ()
    place, sequence = int(row["polymer_indices"]), case.structure.sequences[case.structure.chain_ids.index(chain)]
    letter = row["mutant_sequence"][place]
    return Exchange(word, chain, row["molecule_type"], (chain, *copies), place, letter, sequence)


def _copies(case: Case, chain: str) -> tuple[str, ...]:
    """The other chains of the complex with the sequence of `chain`."""
    same = same_sequence_chains(case.structure, case.structure.chain_ids.index(chain))
    return tuple(name for name in case.interface.chain_ids if name in same)


def _change(chain: str, found: dict[int, Exchange]) -> Change:
    one = next(iter(found.values()))
    letters = list(one.sequence)
    for place, exchange in found.items():
        letters[place] = exchange.letter
    exchanges = tuple((place, found[place].letter) for place in sorted(found))
    return Change(chain, one.molecule, exchanges, "".join(letters))


def unseen_exchanges(variant: Variant, case: Case, package: Package) -> list[str]:
    """The exchanges that cannot change the input of the package's models, as they were written.

    A model of whole sequences sees all. One of the interface sees its nodes' types, and through a language model of
    the molecule any place of a chain that has a node.
    """
    if package.experiment.nodes == "sequences":
        return []
    used = package.language_models
    read = {"protein": used.protein is not None, "rna": used.rna is not None}
    names = []
    for one in variant.exchanges:
        nodes = interface_places(case.interface, package, one.chains)
        if not (nodes if read[one.molecule] else one.place in nodes):
            names.append(one.name)
    return names


def warnings_of(variant: Variant, unseen: Iterable[str], *, nothing_seen: bool) -> list[str]:
    """What a reader is to know of a variant's ddG, most serious first.

    `unseen` are the exchanges that the model does not see; `nothing_seen`, that its input is the wild type's.
    """
    told = []
    if nothing_seen:
        told.append("the model sees none of it, so that ddG is exactly 0; that is no finding")
    elif names := list(unseen):
        told.append(f"the model does not see {', '.join(names)}; ddG is that of the other exchanges")
    if variant.untested:
        told.append(f"experimental: no labelled case of {variant.untested} was there to test such numbers on")
    if variant.unchanged_copies:
        others = ", ".join(variant.unchanged_copies)
        told.append(f"{others} of the complex has a changed chain's sequence and stays the wild type (--all-copies)")
    if any(len(one.chains) > 1 for one in variant.exchanges):
        carriers = [change.chain for change in variant.mutant]
        told.append(f"each exchange stands in every copy of its chain: {', '.join(carriers)}")
    return told
