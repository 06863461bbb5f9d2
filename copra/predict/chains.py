"""Which chains of a file are the complex: the named ones, or one copy of the chains that touch."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from copra.errors import InputError, shown
from copra.files import sha256_of_text
from copra.pra310.archive import Chain, Entry
from copra.predict.cautions import ComplexLimits, Sides, cautions, contact_residues, counted, sides_distance
from copra.predict.groups import WEAK_PART, Group, find_groups, group_of, is_copy, label, molecules
from copra.predict.result import ChosenComplex
from copra.structure.interface import chain_contacts
from copra.structure.residues import PROTEIN, RNA, Structure

SHOWN_PAIRS = 8  # in messages


def choose_complex(
    structure: Structure,
    path: Path,
    protein: list[str] | None,
    rna: list[str] | None,
    cutoff_angstrom: float,
    limits: ComplexLimits,
) -> ChosenComplex:
    """The chains to predict: the named ones, or those that touch.

    A side that is not named gets the chains that touch the named one. With no names: of several equal copies the
    one with the most contacts, the first in the file among equals; of different complexes the one with the most
    contacts, which a warning says. Residues touch where heavy atoms are nearer than the cutoff.

    Raises InputError for an unknown chain or one of another molecule, where nothing touches, and, if no chain is
    named, for an assembly beyond the limits whose contacts would be cut from the interface.
    """
    proteins = _checked(structure, path, protein, PROTEIN)
    rnas = _checked(structure, path, rna, RNA)
    chains = zip(structure.chain_ids, structure.molecule_types, structure.sequences, strict=True)
    contacts = {
        (c.protein_chain, c.rna_chain): c.n_residue_contacts for c in chain_contacts(structure, cutoff_angstrom)
    }
    entry = Entry({c: Chain(c, kind, text, sha256_of_text(text)) for c, kind, text in chains}, contacts)
    _check_contact(structure, path, proteins, rnas, entry, cutoff_angstrom)
    kinds = molecules(structure)
    copies: list[Group] = []
    told: list[str] = []
    unit = f"residue pairs within {cutoff_angstrom:g} angstrom"
    if proteins and rnas:
        sides, reason = (proteins, rnas), "both sides were named"
        told = _apart(structure, sides, entry)
    elif proteins or rnas:
        sides, left = _with_partners(proteins or rnas, bool(proteins), entry, kinds, limits)
        side, other = ("RNA", "protein") if proteins else ("protein", "RNA")
        reason = (
            f"the {other} side was named; its {side} is what touches it ({group_of(sides, entry).n_contacts} {unit})"
        )
        told = [f"{side} chain {name} touches too and was left out as packing" for name in left]
    else:
        groups = find_groups(structure, entry, kinds, cutoff_angstrom, limits)
        best = max(groups, key=lambda g: (g.n_contacts, -g.first))
        sides = best.sides
        copies = [g for g in groups if g is not best and is_copy(g.sides, sides, kinds)]
        others = [g for g in groups if g is not best and g not in copies]
        reason = _reason(best, copies, others, unit)
        if others:
            listed = ", ".join(map(str, others[:SHOWN_PAIRS]))
            told = [f"the file holds other complexes too: {listed}; name chains with --protein and --rna for those"]
        _check_size(structure, path, sides, entry, cutoff_angstrom, limits)
    return ChosenComplex(
        file=shown(path),
        file_sha256=structure.file_sha256,
        complex_id=f"{structure.pdb_id}:{','.join(sides[0])}:{','.join(sides[1])}",
        protein_chains=sides[0],
        rna_chains=sides[1],
        reason=reason,
        other_copies=tuple(g.sides for g in sorted(copies, key=lambda g: g.first)),
        warnings=(*told, *cautions(structure, sides, cutoff_angstrom, limits)),
    )


def _checked(structure: Structure, path: Path, names: list[str] | None, molecule: int) -> tuple[str, ...]:
    """The named chains of one side, each once."""
    wanted, option = ("protein", "--protein") if molecule == PROTEIN else ("RNA", "--rna")
    there = dict(zip(structure.chain_ids, structure.molecule_types, strict=True))
    fitting = dict(zip(structure.chain_ids, structure.chain_is(molecule).tolist(), strict=True))
    listed = ", ".join(f"{name} {kind}" for name, kind in there.items())
    for name in names or []:
        if name not in there:
            labels = zip(structure.chain_ids, structure.label_chains, strict=True)
            author = next((c for c, own in labels if name in own.split(",")), "")
            hint = f" ({name} is a label id; its author id is {author})" if author else ""
            raise InputError(f"{path}: {option} names chain {name}, which is not there{hint}; the chains are {listed}")
        if not fitting[name]:
            raise InputError(
                f"{path}: {option} expects {wanted} chains, found chain {name}, which is {there[name]}; "
                f"the chains are {listed}"
            )
    return tuple(dict.fromkeys(names or []))


def _check_contact(
    structure: Structure,
    path: Path,
    proteins: tuple[str, ...],
    rnas: tuple[str, ...],
    entry: Entry,
    cutoff_angstrom: float,
) -> None:
    if any((not proteins or p in proteins) and (not rnas or r in rnas) for p, r in entry.contacts):
        return
    every = [tuple(np.array(structure.chain_ids)[structure.chain_is(m)].tolist()) for m in (PROTEIN, RNA)]
    least = sides_distance(structure, (proteins or every[0], rnas or every[1]))
    what = f"protein chain {','.join(proteins) or 'of any name'} and RNA chain {','.join(rnas) or 'of any name'}"
    touching = f"; chains that do: {_strongest(entry)}" if entry.contacts else ""
    raise InputError(
        f"{path}: expected chains that touch (heavy atoms nearer than {cutoff_angstrom:g} angstrom), "
        f"found {least:.1f} angstrom between {what}{touching}"
    )


def _check_size(
    structure: Structure, path: Path, sides: Sides, entry: Entry, cutoff_angstrom: float, limits: ComplexLimits
) -> None:
    """An assembly of which the interface would hold only a part is a person's choice."""
    n_touching = len(contact_residues(structure, sides, cutoff_angstrom))
    is_small = len(sides[0]) <= limits.max_protein_chains and len(sides[1]) <= limits.max_rna_chains
    if is_small or n_touching <= limits.interface_nodes:
        return
    raise InputError(
        f"{path}: {len(sides[0])} protein and {len(sides[1])} RNA chains hang together with {n_touching} touching "
        f"residues, more than the {limits.interface_nodes} of an interface; name the chains with --protein and "
        f"--rna; the largest contacts are {_strongest(entry)}"
    )


def _strongest(entry: Entry) -> str:
    ordered = sorted(entry.contacts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{p}:{r} ({n})" for (p, r), n in ordered[:SHOWN_PAIRS])


def _reason(best: Group, copies: list[Group], others: list[Group], unit: str) -> str:
    text = f"{label(best.sides)} are the protein and RNA chains in contact ({best.n_contacts} {unit})"
    if copies:
        listed = ", ".join(map(str, copies[:SHOWN_PAIRS]))
        tie = " and is the first in the file" if any(c.n_contacts == best.n_contacts for c in copies) else ""
        text = (
            f"one of {len(copies) + 1} equal copies: {label(best.sides)} has the most contacts "
            f"({best.n_contacts} {unit}){tie}; {'the other is' if len(copies) == 1 else 'the others are'} {listed}"
        )
    if others:
        text += f"; it has more contacts than {counted(len(others), 'other complex', 'other complexes')} of the file"
    return text


def _apart(structure: Structure, sides: Sides, entry: Entry) -> list[str]:
    """Named chains that touch none of the other side, with their least distance."""
    told = []
    for here, there in ((0, 1), (1, 0)):
        for name in sides[here]:
            if not any(pair[here] == name and pair[there] in sides[there] for pair in entry.contacts):
                alone = ((name,), sides[1]) if here == 0 else (sides[0], (name,))
                partner = "RNA" if here == 0 else "protein"
                least = sides_distance(structure, alone)
                told.append(f"chain {name} touches none of the {partner} chains: the nearest is {least:.1f} angstrom")
    return told


def _with_partners(
    names: tuple[str, ...], are_protein: bool, entry: Entry, kinds: dict[str, int], limits: ComplexLimits
) -> tuple[Sides, list[str]]:
    """The named side with the chains that touch it, and the partners left out as packing."""
    own, other = (0, 1) if are_protein else (1, 0)
    found: Counter[str] = Counter()
    for pair, n in entry.contacts.items():
        if pair[own] in names:
            found[pair[other]] += n
    kept: list[str] = []
    for name, n in sorted(found.items(), key=lambda item: (-item[1], item[0])):
        stronger = [found[k] for k in kept if kinds[k] == kinds[name]]
        is_weak = n <= limits.max_packing_contacts or (len(names) == 1 and n < WEAK_PART * max(stronger, default=0))
        if not (stronger and is_weak):
            kept.append(name)
    partners = tuple(sorted(kept))
    return (names, partners) if are_protein else (partners, names), sorted(set(found) - set(kept))
