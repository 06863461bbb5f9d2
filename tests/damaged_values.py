"""Damage to the values and tables of a coordinate file; the rest of `damage`."""

from __future__ import annotations

from damage import (
    BYTES_AND_LINES,
    FIELDS,
    ODD_NAMES,
    ODD_NUMBERS,
    Damaged,
    Rng,
    Source,
    gzip_bomb,
    one_of,
    some,
    with_values,
    written,
)

# --- values -------------------------------------------------------------------------------------------


def odd_coordinates(source: Source, rng: Rng) -> Damaged:
    value, axis = one_of(ODD_NUMBERS, rng), one_of(("x", "y", "z"), rng)
    return written(source, with_values(source, axis, lambda line: value, rng), rng)


def one_place(source: Source, rng: Rng) -> Damaged:
    """All atoms at one point, in one plane, or in a small box."""
    lines = list(source.lines)
    for axis in ("x", "y", "z")[: rng.integers(1, 4)]:
        width = one_of((0, 0.001, 3), rng)
        for at in source.atoms:
            lines[at] = source.changed(lines[at], axis, f"{7 + rng.random() * width:.3f}")
    return written(source, lines, rng)


def swapped_coordinates(source: Source, rng: Rng) -> Damaged:
    lines = list(source.lines)
    for at in some(source.atoms, rng):
        x, y = source.value(lines[at], "x"), source.value(lines[at], "y")
        lines[at] = source.changed(source.changed(lines[at], "x", y), "y", x)
    return written(source, lines, rng)


def scaled_coordinates(source: Source, rng: Rng) -> Damaged:
    factor = one_of((0.0, 1e-3, 0.1, 10, 1e3, -1), rng)
    lines = list(source.lines)
    for axis in ("x", "y", "z"):
        for at in source.atoms:
            lines[at] = source.changed(lines[at], axis, f"{float(source.value(lines[at], axis)) * factor:.3f}")
    return written(source, lines, rng)


def odd_chain_ids(source: Source, rng: Rng) -> Damaged:
    value = one_of(ODD_NAMES, rng)
    return written(source, with_values(source, "chain", lambda line: value, rng), rng)


def a_chain_for_each_atom(source: Source, rng: Rng) -> Damaged:
    numbers = iter(range(len(source.atoms)))
    return written(source, with_values(source, "chain", lambda line: f"{next(numbers):x}", rng), rng)


def odd_names(source: Source, rng: Rng) -> Damaged:
    value, field = one_of(ODD_NAMES, rng), one_of(("residue", "atom", "altloc", "element", "label_chain"), rng)
    return written(source, with_values(source, _there(source, field), lambda line: value, rng), rng)


def odd_values(source: Source, rng: Rng) -> Damaged:
    value = one_of(ODD_NUMBERS, rng)
    field = _there(source, one_of(("occupancy", "number", "insertion", "serial", "model", "label_seq"), rng))
    return written(source, with_values(source, field, lambda line: value, rng), rng)


def random_values(source: Source, rng: Rng) -> Damaged:
    """Each chosen atom gets its own number or letter: residues fall apart, models and conformers multiply."""
    field = _there(source, one_of(("number", "altloc", "insertion", "model", "label_seq", "occupancy"), rng))
    digits = field != "altloc" and field != "insertion"
    values = (str(rng.integers(-99, 2000)) if digits else chr(rng.integers(33, 127)) for _ in source.atoms)
    return written(source, with_values(source, field, lambda line: next(values), rng), rng)


def random_residues(source: Source, rng: Rng) -> Damaged:
    letters = list("ACDEGHILMNPRSTUVXYZ0123456789")
    names = ("".join(rng.choice(letters, int(rng.integers(1, 4)))) for _ in source.atoms)
    return written(source, with_values(source, "residue", lambda line: next(names), rng), rng)


def _there(source: Source, field: str) -> str:
    """The field, or where the format or this file has no such one, the residue numbers."""
    there = FIELDS[field][0] in source.tags if source.ending == ".cif" else FIELDS[field][1][0] < 80
    return field if there else "number"


# --- tables -------------------------------------------------------------------------------------------


def deleted_column(source: Source, rng: Rng) -> Damaged:
    """A column of the atoms, with its tag, or the tag or the values alone; blanks in PDB format."""
    lines, what = list(source.lines), rng.integers(3)
    if source.ending == ".pdb":
        first, last = sorted(rng.integers(0, 66, size=2).tolist())
        for at in source.atoms:
            lines[at] = lines[at][:first] + " " * (last - first) + lines[at][last:]
        return written(source, lines, rng)
    column = int(rng.integers(len(source.tags)))
    if what != 1:
        for at in source.atoms:
            words = lines[at].split()
            lines[at] = " ".join(words[:column] + words[column + 1 :])
    if what != 2:
        lines.remove(next(line for line in lines if line.strip() == f"_atom_site.{source.tags[column]}"))
    return written(source, lines, rng)


def no_atoms(source: Source, rng: Rng) -> Damaged:
    gone = set(source.atoms) if rng.random() < 0.5 else set(source.atoms[1:])
    return written(source, [line for i, line in enumerate(source.lines) if i not in gone], rng)


def lone_header(source: Source, rng: Rng) -> Damaged:
    texts = (
        "data_x", "loop_", "data_x\nloop_\n_atom_site.id", "HEADER", "MODEL        1", "ATOM", "END", "data_", "save_x",
        "data_x\n_atom_site.id 1\n_atom_site.Cartn_x 1", "TER", "SEQRES", ";", "'",
    )  # fmt: skip
    return written(source, one_of(texts, rng).encode(), rng)


def no_entities(source: Source, rng: Rng) -> Damaged:
    """The categories or records that say what the chains are go, all or one kind of them."""
    kinds = ("_entity.", "_entity_poly.", "_entity_poly_seq.", "_struct_asym.", "SEQRES", "TER", "MODEL", "ENDMDL")
    gone = kinds if rng.random() < 0.3 else (one_of(kinds, rng),)
    lines, dropping = [], False
    for line in source.lines:
        if line.startswith(("loop_", "#", "_", "ATOM", "HETATM")):
            dropping = False
        if line.startswith(gone):
            dropping = source.ending == ".cif"
            if dropping and lines and lines[-1].strip() == "loop_":
                lines.pop()
            continue
        if not dropping:
            lines.append(line)
    return written(source, lines, rng)


def other_sequence(source: Source, rng: Rng) -> Damaged:
    """The full sequences are shuffled, repeated or of strange names."""
    names = ("ALA", "GLY", "U", "G", "UNK", "XYZ", "DA", "?", ".", "MSE")
    lines = list(source.lines)
    in_sequence = False
    for i, line in enumerate(lines):
        in_sequence = line.startswith("_entity_poly_seq.") or (in_sequence and line[:1].isdigit())
        words = line.split()
        if source.ending == ".cif" and in_sequence and line[:1].isdigit() and rng.random() < 0.3:
            number = rng.choice([words[1], "1", "-5", "99999999", "x"])
            lines[i] = f"{words[0]} {number} {rng.choice(names)} n"
        if line.startswith("SEQRES") and rng.random() < 0.5:
            lines[i] = line[:19] + " ".join(f"{n:>3}" for n in rng.choice(names, 13))
    return written(source, lines, rng)


def many_models(source: Source, rng: Rng) -> Damaged:
    if source.ending == ".cif":
        numbers = iter(range(len(source.atoms)))
        return written(source, with_values(source, _there(source, "model"), lambda line: str(next(numbers)), rng), rng)
    atoms = [source.lines[at] for at in source.atoms][:50]
    lines = [x for number in range(1000) for x in (f"MODEL     {number:4d}", *atoms, "ENDMDL")]
    return written(source, lines, rng)


# --- large files --------------------------------------------------------------------------------------


def a_million_atoms_at_one_point(source: Source, rng: Rng) -> Damaged:
    """In one residue, in many residues, or in many chains with an atom in turn."""
    way, line = rng.integers(3), source.lines[source.atoms[0]]
    for axis in ("x", "y", "z"):
        line = source.changed(line, axis, "1.000")
    variants = [line]
    if way:
        variants = [source.changed(line, "number", str(i)) for i in range(1, 9000)]
    if way == 2:
        variants = [source.changed(line, "chain", chain) for line in variants[:500] for chain in "ABCDEFGHIJ"]
    elif way:
        variants = [source.changed(line, "chain", chain) for chain in "ABCDEFGHIJ" for line in variants]
    atoms = (variants * (1_000_000 // len(variants) + 1))[:1_000_000]
    first, last = source.atoms[0], source.atoms[-1] + 1
    return written(source, [*source.lines[:first], *atoms, *source.lines[last:]], rng)


VALUES_AND_TABLES = (
    odd_coordinates, one_place, swapped_coordinates, scaled_coordinates, odd_chain_ids, a_chain_for_each_atom,
    odd_names, odd_values, random_values, random_residues, deleted_column, no_atoms, lone_header, no_entities,
    other_sequence, many_models,
)  # fmt: skip
KINDS = (*BYTES_AND_LINES, *VALUES_AND_TABLES)
LARGE_KINDS = (gzip_bomb, a_million_atoms_at_one_point)  # seconds each
