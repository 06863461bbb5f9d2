"""The pages in a real browser without network: they render, a residue can be picked, nothing is fetched."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from browser import Browser
from predicted import ABOUT, demo_structure, predicted, scan_table

from copra.predict.page import content_policy, residue_key, write_page
from copra.predict.result import Prediction
from copra.predict.scan_page import write_scan_page
from copra.predict.shown_structure import shown_structure
from copra.predict.viewer import viewer_note, viewer_script
from copra.structure.reader import read_structure

pytestmark = pytest.mark.slow
LARGEST_PAGE_BYTES = 3_000_000
# the window's coordinates of a residue's atoms that nothing hides, seen from where the structure stands now
PLACES = """(() => {
  const residue = JSON.parse(document.getElementById('data').textContent).residues.find((r) => r.key === KEY);
  return copraViewer.selectedAtoms({resi: residue.shown}).map((a) => {
    const place = copraViewer.modelToScreen({x: a.x, y: a.y, z: a.z});
    return [place.x - window.scrollX, place.y - window.scrollY];
  });
})()"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def made(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Prediction, Path]:
    """A page with the viewer; skips where the viewer cannot be had."""
    if viewer_script() is None:
        pytest.skip(viewer_note())
    prediction, text = predicted(demo_structure(root, "0day"))
    out = tmp_path_factory.mktemp("page") / "page.html"
    write_page(prediction, text, out)
    return prediction, out


def opened(browser: Browser, page: Path, fragment: str = "") -> None:
    browser.open(page, fragment)
    browser.wait("document.body.dataset.viewer !== undefined")


def assert_quiet(browser: Browser, page: Path) -> None:
    assert browser.console == []
    assert {url.partition("#")[0] for url in browser.requests if not url.startswith(("data:", "blob:"))} == {
        page.resolve().as_uri()
    }


def viewer_pixels(browser: Browser) -> np.ndarray:
    browser.value("document.getElementById('viewer').scrollIntoView({block: 'center'})")
    browser.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")
    box = browser.value("(() => { const b = document.getElementById('viewer').getBoundingClientRect();"
                        " return [b.left, b.top, b.right, b.bottom]; })()")  # fmt: skip
    left, top, right, bottom = (int(value) for value in box)
    image = matplotlib.image.imread(io.BytesIO(browser.picture()))
    return (image[top + 8 : bottom - 8, left + 8 : right - 8, :3] * 255).round().astype(int)


def state(browser: Browser) -> dict[str, Any]:
    """What is marked as picked: in the panel, the map, the table, the address and the structure."""
    return browser.value("""({
      key: document.body.dataset.picked ?? null,
      panel: document.getElementById('picked').innerText,
      map: Array.from(document.querySelectorAll('#map .name.chosen'), (e) => Number(e.dataset.residue)),
      bars: Array.from(document.querySelectorAll('#map rect.chosen[visibility=visible]')).length,
      table: Array.from(document.querySelectorAll('#table tr.chosen'), (e) => Number(e.dataset.residue)),
      hash: location.hash, labels: copraViewer.labels.length, shapes: copraViewer.shapes.length,
    })""")


def assert_picked(browser: Browser, prediction: Prediction, index: int) -> None:
    residue, found = prediction.residues[index], state(browser)
    in_contact = any(index in (p, n) for p, n, _ in prediction.contacts)
    assert found["key"] == residue_key(residue)
    assert found["hash"] == f"#pick={residue_key(residue)}"
    assert found["table"] == [index]
    assert found["map"] == ([index] if in_contact else [])
    assert found["bars"] == int(in_contact)
    assert f"{residue.name} {residue.number}{residue.insertion_code}, chain {residue.chain}" in found["panel"]
    assert f"{abs(residue.contribution_kcal_mol):.2f} kcal/mol" in found["panel"]
    assert found["labels"] >= 1
    assert found["shapes"] >= 4  # one sphere for each of its atoms


def test_browser_sees_what_a_page_asks_for(browser: Browser, tmp_path: Path) -> None:
    picture = "<img src='https://elsewhere.invalid/x.png'><script>document.body.dataset.ran = 1</script>"
    free, bound = tmp_path / "free.html", tmp_path / "bound.html"
    free.write_text(f"<body>{picture}")
    policy = content_policy(["something else"])
    bound.write_text(f'<meta http-equiv="Content-Security-Policy" content="{policy}"><body>{picture}')
    browser.open(free)
    assert "https://elsewhere.invalid/x.png" in browser.requests
    assert any("ERR_NAME_NOT_RESOLVED" in line for line in browser.console)
    assert browser.value("document.body.dataset.ran") == "1"
    browser.open(bound)
    assert any("Content Security Policy" in line for line in browser.console)
    assert browser.value("document.body.dataset.ran") is None


def test_page_renders_and_fetches_nothing(browser: Browser, made: tuple[Prediction, Path]) -> None:
    _, page = made
    opened(browser, page)
    assert browser.value("document.body.dataset.viewer") == "ready"
    image = viewer_pixels(browser)
    drawn = (image < 245).any(axis=2)
    assert drawn.mean() > 0.03, "the viewer's area is blank"
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 500
    red, blue = image[..., 0] - image[..., 2] > 60, image[..., 2] - image[..., 0] > 60
    assert red.sum() > 100, "no destabilising residue in red"
    assert blue.sum() > 100, "no stabilising residue in blue"
    ys, xs = np.nonzero(drawn)
    assert xs.min() > 2, "the structure leaves the viewer"
    assert ys.min() > 2
    assert xs.max() < image.shape[1] - 3
    assert ys.max() < image.shape[0] - 3
    assert_quiet(browser, page)


def test_residue_of_the_address_is_picked(browser: Browser, made: tuple[Prediction, Path]) -> None:
    prediction, page = made
    index = prediction.contacts[0][0]
    opened(browser, page, f"#pick={residue_key(prediction.residues[index])}")
    assert_picked(browser, prediction, index)
    other = prediction.contacts[-1][1]
    browser.value(f"location.hash = {json.dumps('#pick=' + residue_key(prediction.residues[other]))}")
    browser.wait(f"document.body.dataset.picked === {json.dumps(residue_key(prediction.residues[other]))}")
    assert_picked(browser, prediction, other)
    browser.value("document.getElementById('clear').click()")
    assert state(browser) | {"panel": ""} == {
        "key": None, "panel": "", "map": [], "bars": 0, "table": [], "hash": "", "labels": 0, "shapes": 0,
    }  # fmt: skip
    assert_quiet(browser, page)


@pytest.mark.parametrize("fragment", ["#pick=Z:1", "#pick=%E0%A4%A", "#pick=", "#pick=__proto__", "#structure"])
def test_other_addresses_pick_nothing(browser: Browser, made: tuple[Prediction, Path], fragment: str) -> None:
    _, page = made
    opened(browser, page, fragment)
    assert state(browser)["key"] is None
    assert_quiet(browser, page)


def test_residue_is_picked_in_table_and_map(browser: Browser, made: tuple[Prediction, Path]) -> None:
    prediction, page = made
    opened(browser, page)
    protein, nucleotide, _ = prediction.contacts[0]
    browser.value(f"document.querySelector('#table tr[data-residue=\"{nucleotide}\"] button').click()")
    assert_picked(browser, prediction, nucleotide)
    press = "dispatchEvent(new MouseEvent('click', {bubbles: true}))"
    browser.value(f"document.querySelector('#map .name[data-residue=\"{protein}\"]').{press}")
    assert_picked(browser, prediction, protein)
    cell = f'document.querySelector(\'#map .contact[data-protein="{protein}"][data-nucleotide="{nucleotide}"]\')'
    browser.value(f"{cell}.{press}")
    assert_picked(browser, prediction, nucleotide)  # the protein residue was picked already
    browser.value(f"{cell}.{press}")
    assert_picked(browser, prediction, protein)
    browser.value("document.querySelector('#picked button').click()")
    partners = {n for p, n, _ in prediction.contacts if p == protein}
    assert state(browser)["table"][0] in partners


def test_residue_is_picked_by_a_click_into_the_structure(browser: Browser, made: tuple[Prediction, Path]) -> None:
    prediction, page = made
    opened(browser, page)
    browser.value("document.getElementById('viewer').scrollIntoView({block: 'center'})")
    right = 0
    tried = prediction.residues[:: max(1, len(prediction.residues) // 5)]
    for residue in tried:
        browser.value("document.getElementById('clear').click()")
        places = browser.value(PLACES.replace("KEY", json.dumps(residue_key(residue))))
        browser.click(*places[-1])
        found = state(browser)
        if found["key"] is not None:
            index = [residue_key(r) for r in prediction.residues].index(found["key"])
            assert_picked(browser, prediction, index)
        right += found["key"] == residue_key(residue)
    assert right >= len(tried) / 2, "others stand before a few of them, but not before half"
    assert_quiet(browser, page)


def test_table_is_sorted_by_its_headings(browser: Browser, made: tuple[Prediction, Path]) -> None:
    prediction, page = made
    opened(browser, page)
    order = "Array.from(document.querySelectorAll('#table tbody tr'), (e) => Number(e.dataset.residue))"
    contributions = [r.contribution_kcal_mol for r in prediction.residues]
    head = "document.querySelectorAll('#table th')"
    browser.value(f"{head}[3].click()")
    assert [contributions[i] for i in browser.value(order)] == sorted(contributions)
    browser.value(f"{head}[3].click()")
    assert [contributions[i] for i in browser.value(order)] == sorted(contributions, reverse=True)
    browser.value(f"{head}[0].click()")
    numbers = [prediction.residues[i].number for i in browser.value(order)]
    assert numbers == sorted(numbers)


def test_hostile_texts_do_nothing(browser: Browser, made: tuple[Prediction, Path], root: Path, tmp_path: Path) -> None:
    evil = "</script><script>window.broken=1</script><img src=x onerror=window.broken=1><svg onload=broken=1>"
    prediction, text = predicted(demo_structure(root, "0day"))
    residues = tuple(replace(r, name=evil) for r in prediction.residues)
    chosen = replace(prediction.chosen, file=evil, reason=evil, complex_id=evil)
    page = tmp_path / "page.html"
    write_page(replace(prediction, residues=residues, chosen=chosen, warnings=(evil,)), text, page)
    opened(browser, page, f"#pick={residue_key(residues[0])}")
    assert evil in browser.value("document.getElementById('picked').innerText")
    assert browser.value("window.broken") is None
    assert browser.value("document.querySelectorAll('img').length") == 0
    assert_quiet(browser, page)


def test_page_without_viewer(browser: Browser, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPRA_VIEWER", "none")
    prediction, text = predicted(demo_structure(root, "0day"))
    page = tmp_path / "page.html"
    write_page(prediction, text, page)
    index = prediction.contacts[0][0]
    opened(browser, page, f"#pick={residue_key(prediction.residues[index])}")
    assert browser.value("document.body.dataset.viewer") == "absent"
    assert browser.value("document.getElementById('map-row').getAttribute('visibility')") == "visible"
    assert "turned off" in browser.value("document.getElementById('viewer').innerText")
    assert_quiet(browser, page)


def test_page_of_a_large_real_complex(browser: Browser, made: object, shared: Path, tmp_path: Path) -> None:
    structure = read_structure(shared / "data" / "structures" / "1qtq.cif.gz", "1qtq")  # 529 residues and a tRNA
    prediction, _ = predicted(structure)
    page = tmp_path / "page.html"
    write_page(prediction, shown_structure(structure, ["A", "B"]), page)
    assert page.stat().st_size < LARGEST_PAGE_BYTES
    opened(browser, page)
    image = viewer_pixels(browser)
    assert (image < 245).any(axis=2).mean() > 0.1
    assert_quiet(browser, page)


def test_scan_page(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "scan.html"
    write_scan_page(scan_table(), ABOUT, page)
    browser.open(page)
    browser.value("document.querySelectorAll('table.heat tbody tr')[1].querySelector('button').click()")
    assert browser.value("document.body.dataset.picked") == "A:W52"
    listed = browser.value("Array.from(document.querySelectorAll('#picked tr'), (e) => e.innerText)")
    assert len(listed) == 19
    assert_quiet(browser, page)
