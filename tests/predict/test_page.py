"""The page of a prediction: says what the prediction says, stands alone, and lets no name of a file become markup."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import gemmi
import numpy as np
import pytest
from predicted import MODEL, demo_structure, predicted

from copra.errors import InputError
from copra.predict import figures
from copra.predict.page import content_policy, format_molar, in_script, json_in_script, write_page
from copra.predict.shown_structure import shown_structure, viewer_model

HOSTILE = "</script><script>window.broken=1</script><img src=x onerror=broken=1>\"'&{{ 7*7 }}<!--"


class Parsed(HTMLParser):
    """A page taken apart: elements with attributes, the text outside of scripts, scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text, self.scripts, self.styles = "", [], []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._inside = tag if tag in ("script", "style") else self._inside
        if tag == "script":
            self.scripts.append("")
        if tag == "style":
            self.styles.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside == "style":
            self.styles[-1] += data
        else:
            self.text += data

    def data(self) -> dict:
        """The page's data."""
        return json.loads(self.scripts[0])


@pytest.fixture(autouse=True)
def no_viewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPRA_VIEWER", "none")


@pytest.fixture(scope="module")
def structure(root: Path):
    return demo_structure(root, "0day")  # two protein chains, two RNA chains, negative numbers


def page_of(folder: Path, prediction, text: str) -> tuple[str, Parsed]:
    out = folder / "page.html"
    write_page(prediction, text, out)
    written = out.read_text(encoding="utf-8")
    return written, Parsed(written)


# --- what it says -------------------------------------------------------------------------------------


def test_page_tells_the_prediction(tmp_path: Path, structure) -> None:
    prediction, text = predicted(structure)
    _, page = page_of(tmp_path, prediction, text)
    for words in (
        "−10.42", "−12.51 to −8.33", "90 % interval of dG", "23 nM", "298.15 K", "(25 °C)", "0day:A,B:R,S",
        "All chains of the file touch.", "X with Y, Z", "0aaa:A:R", "31 %", "−10.74 to −10.10",
        prediction.model["data"], prediction.model["commit"], prediction.model["metrics"],
        prediction.chosen.file_sha256, "hidden",
    ):  # fmt: skip
        assert words in page.text, words
    rows = [attrs for tag, attrs in page.elements if tag == "tr" and "data-residue" in attrs]
    assert len(rows) == len(prediction.residues)
    contributions = [prediction.residues[int(row["data-residue"])].contribution_kcal_mol for row in rows]
    assert contributions == sorted(contributions, reverse=True)


def test_warnings_stand_before_the_number_and_once(tmp_path: Path, structure) -> None:
    prediction, text = predicted(structure, warnings=("Chain A lacks three residues.", "The interface is large."))
    page, parsed = page_of(tmp_path, prediction, text)
    assert page.index("The interface is large.") < page.index("predicted dG in kcal/mol")
    assert parsed.text.count("Chain A lacks three residues.") == 1
    assert "random weights" not in parsed.text
    assert "No pre-trained language model" not in parsed.text


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ("esm2 sha256:ab; rinalmo random:7", "random weights"),
        ("esm2 random:1", "random weights"),
        ("", "No pre-trained language model was used"),
        (None, "No pre-trained language model was used"),
    ],
)
def test_untrained_weights_are_told_first(tmp_path: Path, structure, weights: str | None, expected: str) -> None:
    model = {k: v for k, v in MODEL.items() if k != "weights"} | ({} if weights is None else {"weights": weights})
    prediction, text = predicted(structure, model=model)
    page, parsed = page_of(tmp_path, prediction, text)
    assert expected in parsed.text
    assert page.index(expected) < page.index("No close relative")


def test_page_without_interval_labels_contacts_neighbours(tmp_path: Path, structure) -> None:
    bare = {
        "dg_low_kcal_mol": -math.inf, "dg_high_kcal_mol": math.inf, "training_dg_kcal_mol": (), "residues": (),
        "contacts": (), "nearest_training": (), "members_dg_kcal_mol": (), "model": {},
    }  # fmt: skip
    prediction, text = predicted(structure, **bare)
    _, page = page_of(tmp_path, prediction, text)
    for words in ("no calibrated interval", "No residue pair is in contact.", "names no interface residue"):
        assert words in page.text
    assert "inf" not in re.sub(r"in(formation|ferr)", "", page.text)


def test_numbers_that_are_not_known_do_not_break_the_page(tmp_path: Path, structure) -> None:
    prediction, text = predicted(structure)
    residues = list(prediction.residues)
    residues[0] = replace(residues[0], contribution_kcal_mol=math.nan, partner_distance_angstrom=math.inf)
    _, page = page_of(tmp_path, replace(prediction, residues=tuple(residues)), text)
    first = page.data()["residues"][0]
    assert (first["contribution"], first["distance"], first["colour"]) == ("–", "–", figures.MISSING)


@pytest.mark.parametrize("contact", [(0, 9999, 3.0), (-1, 0, 3.0), "swapped"])
def test_contacts_that_lead_nowhere_are_refused(tmp_path: Path, structure, contact) -> None:
    prediction, text = predicted(structure)
    p, n, d = prediction.contacts[0]
    bad = (n, p, d) if contact == "swapped" else contact
    with pytest.raises(InputError, match="found a contact of residues"):
        write_page(replace(prediction, contacts=(bad,)), text, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_same_prediction_same_bytes(tmp_path: Path, structure) -> None:
    prediction, text = predicted(structure)
    assert page_of(tmp_path, prediction, text)[0] == page_of(tmp_path, prediction, text)[0]


# --- it stands alone ----------------------------------------------------------------------------------


def assert_self_contained(parsed: Parsed) -> None:
    fetched = {"src", "srcset", "action", "formaction", "data", "poster", "background", "ping", "manifest"}
    for tag, attrs in parsed.elements:
        assert tag not in {"link", "base", "iframe", "object", "embed", "img"}, tag
        assert not fetched & attrs.keys(), (tag, attrs)
        assert not any(name.startswith("on") for name in attrs), (tag, attrs)
        for name in ("href", "xlink:href"):
            assert attrs.get(name, "#").startswith("#"), (tag, attrs)
        for name, value in attrs.items():
            assert not re.search(r"url\((?!#)", value), (tag, name, value)
    for style in parsed.styles:
        assert "url(" not in style
        assert "@import" not in style


def test_page_fetches_nothing(tmp_path: Path, structure) -> None:
    _, parsed = page_of(tmp_path, *predicted(structure))
    assert_self_contained(parsed)
    assert len(parsed.scripts) == 2  # data and the page's own
    assert not re.search(r"https?:|fetch\(|XMLHttpRequest|import\(", parsed.scripts[1])


def test_policy_names_each_executed_script(tmp_path: Path, structure, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "3Dmol-min.js"
    own.write_text("var closing='</script><!--';")
    (tmp_path / "LICENSE").write_text("Copyright */ somebody </SCRIPT>")
    monkeypatch.setenv("COPRA_VIEWER", str(own))
    _, parsed = page_of(tmp_path, *predicted(structure))
    policy = next(a["content"] for tag, a in parsed.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy == content_policy(parsed.scripts[1:])
    assert "default-src 'none'" in policy
    assert len(parsed.scripts) == 3
    assert "var closing='<\\/script><\\!--';" in parsed.scripts[1]
    assert "Copyright * / somebody" in parsed.scripts[1]


def test_without_viewer_it_says_how_to_get_it(tmp_path: Path, structure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COPRA_VIEWER")
    monkeypatch.setattr("copra.predict.page.viewer_script", lambda: None)
    _, parsed = page_of(tmp_path, *predicted(structure))
    assert "npm" in parsed.text
    assert "COPRA_VIEWER" in parsed.text
    assert 'id="map"' in (tmp_path / "page.html").read_text()


def test_hostile_names_stay_text(tmp_path: Path, structure) -> None:
    prediction, _ = predicted(structure)
    chosen = replace(
        prediction.chosen, file=HOSTILE, complex_id=HOSTILE, reason=HOSTILE, warnings=(HOSTILE + "1",),
        protein_chains=(HOSTILE,), other_copies=(((HOSTILE,), (HOSTILE,)),),
    )  # fmt: skip
    residues = tuple(replace(r, name=HOSTILE, chain=HOSTILE + r.chain) for r in prediction.residues)
    prediction = replace(
        prediction, chosen=chosen, residues=residues, warnings=(HOSTILE,), contribution_method=HOSTILE,
        nearest_training=((HOSTILE, 0.5, -9.0),), model={HOSTILE: HOSTILE},
    )  # fmt: skip
    atom = "ATOM 1 C 'C</script>' . 'AL</script>' 'A</script>' 1 'A</script>' 1 1.0 2.0 3.0"
    columns = ("group_PDB", "id", "type_symbol", "label_atom_id", "label_alt_id", "label_comp_id", "label_asym_id",
               "label_seq_id", "auth_asym_id", "auth_seq_id", "Cartn_x", "Cartn_y", "Cartn_z")  # fmt: skip
    text = "data_x\nloop_\n" + "".join(f"_atom_site.{name}\n" for name in columns) + atom + "\n"
    _, parsed = page_of(tmp_path, prediction, text)
    assert_self_contained(parsed)
    assert len(parsed.scripts) == 2
    assert HOSTILE in parsed.text
    data = parsed.data()
    assert data["residues"][0]["name"].startswith(HOSTILE)
    assert "C</script>" in data["structure"]
    assert "49" not in parsed.text.split("Predicted")[1][:100]


def test_text_for_scripts() -> None:
    data = {"a": "</script><!--\u2028&amp;", "b": [1, "é"]}
    text = json_in_script(data)
    assert not set("<>&") & set(text)
    assert text.isascii()
    assert json.loads(text) == data
    assert in_script("a</ScRiPt b<!-- 1</2") == "a<\\/ScRiPt b<\\!-- 1</2"
    with pytest.raises(ValueError, match="JSON"):
        json_in_script({"a": math.nan})


# --- the structure on the page ------------------------------------------------------------------------


@pytest.mark.parametrize("pdb_id", ["0day", "0dbe", "0uad"])  # negative numbers, insertion codes, chains AA and Aa
def test_shown_structure_keeps_author_names(root: Path, pdb_id: str) -> None:
    structure = demo_structure(root, pdb_id)
    chains = [chain for chain in structure.chain_ids if chain != structure.chain_ids[0]]
    read = gemmi.make_structure_from_block(gemmi.cif.read_string(shown_structure(structure, chains)).sole_block())
    assert sorted(chain.name for chain in read[0]) == sorted(chains)
    arrays = structure.arrays
    for chain in read[0]:
        part = structure.chain_residues(structure.chain_ids.index(chain.name))
        found = [(r.seqid.num, r.seqid.icode.strip(), r.name) for r in chain]
        codes = [code.decode() for code in arrays["insertion_code"][part]]
        names = [name.decode() for name in arrays["residue_name"][part]]
        assert found == list(zip(arrays["auth_number"][part].tolist(), codes, names, strict=True))
        xyz = [[a.pos.x, a.pos.y, a.pos.z] for r in chain for a in r]
        atoms = slice(structure.atom_offsets[part.start], structure.atom_offsets[part.stop])
        assert np.allclose(xyz, arrays["atom_xyz_angstrom"][atoms], atol=6e-4)


def test_unknown_chain_is_named(structure) -> None:
    with pytest.raises(InputError, match="expected Q"):
        shown_structure(structure, ["A", "Q"])


def test_each_residue_finds_its_atoms(root: Path, tmp_path: Path) -> None:
    structure = demo_structure(root, "0dbe")  # 20, 20A, 20B
    prediction, text = predicted(structure, near_angstrom=60.0)
    _, parsed = page_of(tmp_path, prediction, text)
    data = parsed.data()
    block = gemmi.cif.read_string(data["structure"]).sole_block()
    table = block.find("_atom_site.", ["auth_seq_id", "auth_comp_id", "Cartn_x"])
    first_x = {}
    for row in table:
        first_x.setdefault(int(row[0]), (row[1], float(row[2])))
    place = {}
    arrays = structure.arrays
    for r in range(len(arrays["chain"])):
        key = (structure.chain_ids[arrays["chain"][r]], int(arrays["auth_number"][r]), arrays["insertion_code"][r])
        place[key] = (arrays["residue_name"][r].decode(), arrays["atom_xyz_angstrom"][structure.atom_offsets[r], 0])
    assert any(residue.insertion_code for residue in prediction.residues)
    for residue, view in zip(prediction.residues, data["residues"], strict=True):
        name, x = place[(residue.chain, residue.number, residue.insertion_code.encode())]
        assert first_x[view["shown"]][0] == name
        assert first_x[view["shown"]][1] == pytest.approx(x, abs=6e-4)
        assert view["key"] == f"{residue.chain}:{residue.number}{residue.insertion_code}"
    assert len({view["shown"] for view in data["residues"]}) == len(data["residues"])


def test_pdb_text_with_hydrogens_waters_and_locations() -> None:
    lines = [
        "ATOM      1  CA AALA A  -3A     1.000   2.000   3.000  0.60  0.00           C",
        "ATOM      2  CA BALA A  -3A     9.000   2.000   3.000  0.40  0.00           C",
        "ATOM      3  HA  ALA A  -3A     1.000   2.000   4.000  1.00  0.00           H",
        "HETATM    4  O   HOH A 201      5.000   5.000   5.000  1.00  0.00           O",
    ]
    model = viewer_model("\n".join(lines) + "\nEND\n")
    assert model.places == (("A", -3, "A"),)
    assert model.names == ("ALA",)
    assert model.text.count("ATOM ") == 1
    assert "1.000 2.000 3.000" in model.text


@pytest.mark.parametrize("text", ["", "hello", "data_x\n_atom_site.id 1\n", "data_x\nloop_\n_atom_site.id\n1 'x\n"])
def test_structure_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="the structure of the page"):
        viewer_model(text)


# --- pictures and numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.3e-8, "23 nM"), (1.234e-6, "1.23 µM"), (9.996e-7, "1 µM"), (1e-9, "1 nM"), (999e-9, "999 nM"),
        (0.5, "500 mM"), (2.0, "2 M"), (3e-16, "0.3 fM"), (1e-25, "1.0e-10 fM"),
        (math.nan, "–"), (0.0, "–"), (math.inf, "–"),
    ],
)  # fmt: skip
def test_concentrations(value: float, text: str) -> None:
    assert format_molar(value) == text


def test_colours_tell_sign_and_size() -> None:
    assert figures.diverging(0, 2) == "#e8e8e6"
    assert figures.diverging(2, 2) == figures.diverging(5, 2) == "#a50f15"
    assert figures.diverging(-2, 2) == figures.diverging(-5, 2) == "#08519c"
    assert figures.diverging(math.nan, 2) == figures.MISSING
    assert figures.colour_limit([], 98) == figures.colour_limit([0.0, math.nan], 98) == 1.0
    assert figures.colour_limit([1.0] * 99 + [-50.0], 98) == 1.0
    assert figures.colour_limit([0.5, -2.0], 98) == 2.0


def test_stabilising_is_blue(tmp_path: Path, structure) -> None:
    prediction, text = predicted(structure)
    _, parsed = page_of(tmp_path, prediction, text)
    for residue, view in zip(prediction.residues, parsed.data()["residues"], strict=True):
        red, blue = int(view["colour"][1:3], 16), int(view["colour"][5:7], 16)
        if abs(residue.contribution_kcal_mol) > 0.1:
            assert (blue > red) == (residue.contribution_kcal_mol > 0)


def test_text_is_readable_on_every_colour() -> None:
    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    for step in range(-50, 51):
        back = figures.diverging(step / 50, 1)
        both = sorted([luminance(back), luminance(figures.text_colour(back))])
        assert (both[1] + 0.05) / (both[0] + 0.05) >= 3.5, back


@pytest.mark.parametrize("dg", [math.nan, -math.inf, 1e9])
def test_absurd_predictions_are_told(tmp_path: Path, structure, dg: float) -> None:
    _, page = page_of(tmp_path, *predicted(structure, dg_kcal_mol=dg))
    assert "far from all 60 measured labels" in page.text


def test_wide_intervals_leave_the_labels_room() -> None:
    svg = ElementTree.fromstring(str(figures.label_scale([-9.0, -8.0], -8.5, -1e7, 1e7)))
    assert len(list(svg.iter("rect"))) == 3  # the band, two bars
    assert "10000000" in "".join(svg.itertext())


@pytest.mark.parametrize("value", [-9.0, -30.0, 4.0])
def test_scale_holds_every_label_and_the_prediction(value: float) -> None:
    labels = [-9.6, -9.5, -9.1, -12.0, -5.5, math.nan]
    svg = figures.label_scale(labels, value, value - 1.5, value + 2)
    root = ElementTree.fromstring(str(svg))
    titles = [element.text or "" for element in root.iter("title")]
    assert sum(int(title.split()[0]) for title in titles) == 5
    width = float(root.attrib["viewBox"].split()[2])
    for rect in root.iter("rect"):
        assert 0 <= float(rect.attrib["x"]) <= float(rect.attrib["x"]) + float(rect.attrib["width"]) <= width
        assert float(rect.attrib["height"]) > 0


def test_contact_map_puts_each_contact_in_its_cell(tmp_path: Path, structure) -> None:
    prediction, text = predicted(structure)
    page, _ = page_of(tmp_path, prediction, text)
    svg = ElementTree.fromstring(re.search(r'<svg id="map".*?</svg>', page, re.DOTALL).group())
    names = {int(g.attrib["data-residue"]): g.find("rect") for g in svg.iter("g")}
    found = {}
    for rect in svg.iter("rect"):
        if rect.attrib.get("class") == "contact":
            key = (int(rect.attrib["data-protein"]), int(rect.attrib["data-nucleotide"]))
            found[key] = rect.attrib["fill"]
            assert rect.attrib["y"] == names[key[0]].attrib["y"]
            assert rect.attrib["x"] == names[key[1]].attrib["x"]
    assert found.keys() == {(p, n) for p, n, _ in prediction.contacts}
    nearest = min(prediction.contacts, key=lambda contact: contact[2])
    assert found[nearest[:2]] == "#3f205e"
    chains = {name.split(":")[0] for name in (t.text for t in svg.iter("text"))}
    assert chains == {"A", "B", "R", "S"}
