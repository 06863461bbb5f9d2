"""One self-contained HTML page per prediction: dG with its interval, the structure, contacts, and where all is from.

The page fetches nothing: script, style, structure and viewer stand in it, and its content security policy forbids
the browser the rest. Names and texts of files are escaped everywhere; the page's data are JSON in a script element
that is not executed, and every executed script is named in the policy by its sha256.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

from markupsafe import Markup

from copra.errors import InputError
from copra.evaluate.html import render
from copra.evaluate.tables import has_trained_weights
from copra.files import replacing
from copra.predict import figures
from copra.predict.result import Prediction, ResidueView
from copra.predict.shown_structure import ViewerModel, viewer_model
from copra.predict.viewer import VERSION, viewer_note, viewer_script
from copra.units import MOLAR_PER_UNIT

FOLDER = Path(__file__).parent
TEMPLATE, STYLE, SCRIPT = (FOLDER / name for name in ("page.html.j2", "page.css", "page_script.js.j2"))
ZERO_CELSIUS_K = 273.15
COLOURS_END_AT_PERCENTILE = 98.0
MOST_NEIGHBOURS = 20


def write_page(prediction: Prediction, structure_text: str, out: Path) -> None:
    """Write the page of one prediction.

    `structure_text` is the PDB or mmCIF text of the chains that are shown (`shown_structure.shown_structure`).
    Raises InputError for a structure that cannot be read or contacts that do not lead from a protein residue to a
    nucleotide of `prediction.residues`.
    """
    _check_contacts(prediction)
    model = viewer_model(structure_text)
    limit = colour_limit(prediction)
    viewer, script = viewer_script(), SCRIPT.read_text(encoding="utf-8")
    executed = [in_script(text) for text in (viewer, script) if text is not None]
    page = render(
        TEMPLATE, page_style=Markup(STYLE.read_text(encoding="utf-8")), policy=content_policy(executed),
        scripts=[Markup(text) for text in executed],
        data=Markup(json_in_script(_page_data(prediction, model, limit))), has_viewer=viewer is not None,
        viewer_note=viewer_note(), viewer_version=VERSION,
        chosen=prediction.chosen, method=prediction.contribution_method, notices=notices(prediction),
        **_headline(prediction), **_interface(prediction, limit), **_company(prediction),
        provenance=_provenance(prediction),
    )  # fmt: skip
    with replacing(out) as temporary:
        temporary.write_text(page, encoding="utf-8")


def in_script(text: str) -> str:
    """A script's text that cannot end its HTML element; `<\\/` and `<\\!` are the same inside strings of JavaScript."""
    return re.sub(r"<(?=/script|!--)", r"<\\", text, flags=re.IGNORECASE)


def json_in_script(data: Any) -> str:
    """JSON for a script element: plain ASCII, and no character that HTML could take for markup."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def content_policy(scripts: list[str]) -> str:
    """The content security policy: these inline scripts, styles in the page, pictures in the page; no network."""
    sums = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    allowed = " ".join(f"'sha256-{value}'" for value in sums) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def residue_key(residue: ResidueView) -> str:
    """How a page's address names a residue after `#pick=`: chain:number and insertion code, as A:45 or A:45B."""
    return f"{residue.chain}:{residue.number}{residue.insertion_code.strip()}"


def format_molar(value: float) -> str:
    """A concentration with three digits and the unit that fits, as `33.1 nM`; a dash for what is not a number."""
    if not (math.isfinite(value) and value > 0):
        return "–"
    units = sorted(MOLAR_PER_UNIT.items(), key=lambda item: item[1])
    rounded = float(f"{value:.2e}")  # 999.9 nM is 1.00 uM
    unit, factor = next(((u, f) for u, f in reversed(units) if rounded >= f * 0.9999999), units[0])
    number = f"{rounded / factor:.3g}" if 1e-3 <= rounded / factor < 1e4 else f"{rounded / factor:.1e}"
    return f"{number} {unit.replace('u', 'µ')}"


def colour_limit(prediction: Prediction) -> float:
    """Contribution in kcal/mol at which the colours end."""
    return figures.colour_limit([r.contribution_kcal_mol for r in prediction.residues], COLOURS_END_AT_PERCENTILE)


def notices(prediction: Prediction) -> list[str]:
    """What the reader must know first, in plain sentences, none twice."""
    texts = [*weights_notices(prediction.model), *prediction.warnings, *prediction.chosen.warnings]
    return list(dict.fromkeys(texts))


def weights_notices(model: dict[str, str]) -> list[str]:
    """A sentence where random or no language-model weights stand behind a model's numbers."""
    weights = model.get("weights", "")
    if "random:" in weights:
        return [
            "A language model of this prediction has random weights, not trained ones: the numbers show that the "
            "program works and say nothing about the molecules."
        ]
    return [] if has_trained_weights(weights) else ["No pre-trained language model was used for this prediction."]


def _check_contacts(prediction: Prediction) -> None:
    residues = prediction.residues
    for protein, nucleotide, _ in prediction.contacts:
        inside = 0 <= protein < len(residues) and 0 <= nucleotide < len(residues)
        if not inside or not residues[protein].is_protein or residues[nucleotide].is_protein:
            raise InputError(
                f"{prediction.chosen.complex_id}: found a contact of residues {protein} and {nucleotide}, "
                f"expected a protein residue and a nucleotide among {len(residues)}"
            )


def _colour(residue: ResidueView, limit: float) -> str:
    # dG rises when a stabilising residue is hidden, so its contribution is positive and its colour blue
    return figures.diverging(-residue.contribution_kcal_mol, limit)


def _label(residue: ResidueView) -> str:
    return f"{residue.name} {residue.number}{residue.insertion_code.strip()}"


def _page_data(prediction: Prediction, model: ViewerModel, limit: float) -> dict[str, Any]:
    """What the page's script reads; `shown` is the residue's number in the viewer's text, 0 where it is not in it."""
    number_of = {place: i + 1 for i, place in enumerate(model.places)}
    residues = [
        {
            "key": residue_key(r), "chain": r.chain, "name": _label(r), "protein": r.is_protein,
            "shown": number_of.get((r.chain, r.number, r.insertion_code.strip()), 0), "colour": _colour(r, limit),
            "contribution": figures.signed(r.contribution_kcal_mol, 2),
            "distance": f"{r.partner_distance_angstrom:.1f}" if math.isfinite(r.partner_distance_angstrom) else "–",
        }
        for r in prediction.residues
    ]  # fmt: skip
    labels = [
        f"{chain}: {name} {number}{code}" for (chain, number, code), name in zip(model.places, model.names, strict=True)
    ]
    rna = set(prediction.chosen.rna_chains)
    return {
        "residues": residues,
        "contacts": [[p, n, f"{distance:.1f}"] for p, n, distance in prediction.contacts],
        "structure": model.text,
        "labels": labels,
        "rna": [i + 1 for i, (chain, _, _) in enumerate(model.places) if chain in rna],
    }


def _headline(prediction: Prediction) -> dict[str, Any]:
    p = prediction
    has_interval = math.isfinite(p.dg_low_kcal_mol) and math.isfinite(p.dg_high_kcal_mol)
    interval = f"{figures.signed(p.dg_low_kcal_mol, 2)} to {figures.signed(p.dg_high_kcal_mol, 2)}"
    kd_interval = f"{format_molar(p.kd_low_molar)} to {format_molar(p.kd_high_molar)}"
    scale = figures.label_scale(p.training_dg_kcal_mol, p.dg_kcal_mol, p.dg_low_kcal_mol, p.dg_high_kcal_mol)
    return {
        "dg": figures.signed(p.dg_kcal_mol, 2),
        "kd": format_molar(p.kd_molar),
        "interval": interval if has_interval else "",
        "kd_interval": kd_interval if has_interval else "",
        "coverage": f"{100 * p.coverage:.0f}",
        "temperature_k": f"{p.temperature_k:.6g}",
        "temperature_c": f"{p.temperature_k - ZERO_CELSIUS_K:.4g}".replace("-", "−"),
        "n_training": len(p.training_dg_kcal_mol),
        "scale": scale,
    }


def _interface(prediction: Prediction, limit: float) -> dict[str, Any]:
    residues = prediction.residues
    n_contacts = Counter(index for p, n, _ in prediction.contacts for index in (p, n))
    order = sorted(range(len(residues)), key=lambda i: (-_finite(residues[i].contribution_kcal_mol), i))
    rows = [
        {
            "index": i, "residue": residues[i], "label": _label(residues[i]), "colour": _colour(residues[i], limit),
            "contribution": figures.signed(residues[i].contribution_kcal_mol, 2), "contacts": n_contacts[i],
            "kind": "protein" if residues[i].is_protein else "RNA",
        }
        for i in order
    ]  # fmt: skip
    return {
        "rows": rows,
        "contact_map": _contact_map(prediction, limit),
        "legend": figures.legend(limit, 2),
        "limit": f"{limit:.2f}",
        "is_clipped": any(abs(_finite(r.contribution_kcal_mol)) > limit for r in residues),
    }


def _finite(value: float) -> float:
    return value if math.isfinite(value) else -math.inf


def _contact_map(prediction: Prediction, limit: float) -> Markup | str:
    """The map of the residues that have a contact, in the order of `prediction.residues`; "" where none has."""
    if not prediction.contacts:
        return ""
    residues = prediction.residues
    in_contact = sorted({index for p, n, _ in prediction.contacts for index in (p, n)})
    n_chains = {kind: len({r.chain for r in residues if r.is_protein is kind}) for kind in (True, False)}
    items = [
        figures.MapResidue(
            i, (f"{residues[i].chain}:" if n_chains[residues[i].is_protein] > 1 else "") + _label(residues[i]),
            _colour(residues[i], limit),
            f"{residues[i].chain}: {_label(residues[i])}, "
            f"{figures.signed(residues[i].contribution_kcal_mol, 2)} kcal/mol",
        )
        for i in in_contact
    ]  # fmt: skip
    protein = [item for item in items if residues[item.index].is_protein]
    rna = [item for item in items if not residues[item.index].is_protein]
    return figures.contact_map(protein, rna, prediction.contacts)


def _company(prediction: Prediction) -> dict[str, Any]:
    """Nearest training complexes and the members of the ensemble."""
    neighbours = [
        (record, f"{100 * identity:.0f} %", figures.signed(dg, 2))
        for record, identity, dg in prediction.nearest_training[:MOST_NEIGHBOURS]
    ]
    members = prediction.members_dg_kcal_mol
    return {
        "neighbours": neighbours,
        "members": [(str(i + 1), figures.signed(dg, 2)) for i, dg in enumerate(members)],
        "members_range": f"{figures.signed(min(members), 2)} to {figures.signed(max(members), 2)}" if members else "",
    }


def _provenance(prediction: Prediction) -> list[tuple[str, str]]:
    chosen = prediction.chosen
    rows = [("input file", chosen.file), ("its sha256", chosen.file_sha256), ("complex", chosen.complex_id)]
    return rows + [(f"model: {name.replace('_', ' ')}", text) for name, text in prediction.model.items()]
