"""The layers of the graph baselines beside the formulas of their papers, written out; and the graph they work on."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from coformer_nodes import batch_of_two, changed, made_nodes, seeded
from graph_models import graph_model
from torch import Tensor, nn

from copra.model.graphs.gat import GatLayer, with_self
from copra.model.graphs.gcn import convolve, normalised_adjacency
from copra.model.graphs.gvp import Lengths, Message, activated, lengths
from copra.model.graphs.inputs import (
    Graph,
    chain_features,
    edge_vectors,
    of_neighbours,
    radial_basis,
    representative_points,
    residue_graph,
)
from copra.model.graphs.vectors import backbone_vectors

NEAR = {"atol": 1e-5, "rtol": 1e-5}


@pytest.fixture
def graph() -> Graph:
    return residue_graph(batch_of_two()[0], 5)


def features(graph: Graph, width: int, seed: int = 0) -> Tensor:
    return torch.randn(*graph.present.shape, width, generator=torch.Generator().manual_seed(seed))


def neighbour_lists(graph: Graph, b: int) -> list[list[int]]:
    """The neighbours of every row of complex b."""
    return [
        [int(j) for j, edge in zip(*row, strict=True) if edge]
        for row in zip(graph.neighbour[b], graph.edge[b], strict=True)
    ]


# --- the graph ----------------------------------------------------------------------------------------


def test_neighbours_are_the_nearest_residues(graph: Graph) -> None:
    nodes = batch_of_two()[0]
    points, present = representative_points(nodes)
    for b in range(2):
        rows = present[b].nonzero().flatten().tolist()
        found = neighbour_lists(graph, b)
        for i in range(19):
            others = sorted((j for j in rows if j != i), key=lambda j: (points[b, i] - points[b, j]).norm().item())
            assert found[i] == (others[:5] if i in rows else [])
    assert residue_graph(nodes, 40).neighbour.shape == (2, 19, 18)
    for row in graph.neighbour.flatten(0, 1).tolist():
        assert len(set(row)) == len(row)


def test_a_point_is_ca_or_the_mean_of_what_is_there() -> None:
    nodes = made_nodes(3, 2, 1)
    nodes.atom_mask[0, 4] = torch.tensor([True, False, False, True])
    nodes.atom_mask[0, 5] = False
    point, present = representative_points(nodes)
    xyz = nodes.xyz_angstrom[0]
    assert present[0].tolist() == [False] * 3 + [True, True, False, True, True]
    assert torch.equal(point[0, [3, 6, 7]], xyz[[3, 6, 7], 1])
    torch.testing.assert_close(point[0, 4], (xyz[4, 0] + xyz[4, 3]) / 2)
    assert not point[0, [0, 1, 2, 5]].any()


def test_edges_tell_offset_molecule_and_distance(graph: Graph) -> None:
    nodes, _, _ = batch_of_two()
    chains = nodes.molecule.clone()
    chains[1, 8:12] = 2  # a second protein chain
    nodes = changed(nodes, chain=chains)
    told = chain_features(nodes, graph)
    seen = set()
    for b, i, slot in graph.edge.nonzero().tolist():
        j = int(graph.neighbour[b, i, slot])
        offset = max(-7, min(7, int(nodes.polymer_index[b, j] - nodes.polymer_index[b, i])))
        same_chain, same_molecule = chains[b, i] == chains[b, j], nodes.molecule[b, i] == nodes.molecule[b, j]
        expected = [offset + 7] if same_chain else [] if same_molecule else [15]
        assert told[b, i, slot].nonzero().flatten().tolist() == expected
        seen.add((bool(same_chain), bool(same_molecule)))
    assert len(seen) == 3
    vector, distance = edge_vectors(graph.point_angstrom, graph)
    expected = of_neighbours(graph.point_angstrom, graph.neighbour) - graph.point_angstrom[:, :, None]
    torch.testing.assert_close(distance, expected.norm(dim=-1), atol=1e-3, rtol=1e-5)
    torch.testing.assert_close(vector, expected)
    basis = radial_basis(torch.tensor([0.0, 4.0, 20.0, 90.0]))
    assert basis.argmax(-1)[:3].tolist() == [0, 3, 15]
    torch.testing.assert_close(basis[:3].amax(-1), torch.ones(3))
    assert basis[3].max() < 1e-6


# --- layers -------------------------------------------------------------------------------------------


def test_gcn_is_the_formula_of_kipf_and_welling(graph: Graph) -> None:
    """ReLU(D^-1/2 (A + I) D^-1/2 H W + b), sums over linked residues one by one."""
    layer, h = nn.Linear(6, 4), features(graph, 6)
    found = convolve(h, normalised_adjacency(graph), layer)
    for b in range(2):
        lists = neighbour_lists(graph, b)
        links = {(i, j) for i, row in enumerate(lists) for j in row}
        links |= {(j, i) for i, j in links} | {(int(i), int(i)) for i in graph.present[b].nonzero()}
        degree = [sum(1 for a, _ in links if a == i) for i in range(19)]
        for i in range(19):
            total = torch.zeros(6)
            for a, j in links:
                if a == i:
                    total = total + h[b, j] / (degree[i] * degree[j]) ** 0.5
            torch.testing.assert_close(found[b, i], F.relu(layer.weight @ total + layer.bias), **NEAR)


def test_gat_is_the_formula_of_velickovic(graph: Graph) -> None:
    """alpha_ij = softmax_j LeakyReLU(a [W h_i || W h_j]) over the neighbours and i; ELU of the heads side by side."""
    layer, h = seeded(GatLayer(8, 2, 0.0)), features(graph, 8)
    found = layer(h, with_self(graph))
    for b in range(2):
        for i, others in enumerate(neighbour_lists(graph, b)):
            if not graph.present[b, i]:
                continue
            heads = []
            for head in range(2):
                weight = layer.linear.weight[4 * head : 4 * head + 4]
                a = torch.cat((layer.score_own[head], layer.score_other[head]))
                around = [i, *others]
                score = torch.stack([a @ torch.cat((weight @ h[b, i], weight @ h[b, j])) for j in around])
                alpha = torch.where(score > 0, score, 0.2 * score).softmax(0)
                heads.append(sum(x * (weight @ h[b, j]) for x, j in zip(alpha, around, strict=True)))
            torch.testing.assert_close(found[b, i], F.elu(torch.cat(heads) + layer.bias), **NEAR)


def test_gat_where_there_are_fewer_residues_than_neighbours() -> None:
    """The rows that fill up have no weight and write over none."""
    layer = seeded(GatLayer(8, 2, 0.0))
    graph = with_self(residue_graph(made_nodes(2, 1, 1), 5))
    h = features(graph, 8)
    shown = [graph.neighbour[:, 3:, :3] - 3, graph.edge[:, 3:, :3]]  # of a complex without special nodes
    assert shown[1].all()
    alone = layer(h[:, 3:], Graph(graph.point_angstrom[:, 3:], graph.present[:, 3:], *shown))
    torch.testing.assert_close(layer(h, graph)[:, 3:], alone, **NEAR)


def test_egnn_is_the_formula_of_satorras(graph: Graph) -> None:
    """Messages of one edge at a time from the concatenation; means in the place of sums."""
    layer = seeded(graph_model("egnn").layers[0])
    h, point = features(graph, 16), graph.point_angstrom
    chains = chain_features(batch_of_two()[0], graph)
    found_h, found_point = layer(h, point, chains, graph)
    joint = torch.cat((layer.message_own.weight, layer.message_other.weight, layer.message_edge.weight), dim=1)
    both = torch.cat((layer.update_own.weight, layer.update_message.weight), dim=1)
    for b, i in graph.present.nonzero().tolist():
        messages, steps = [], []
        for slot in graph.edge[b, i].nonzero().flatten().tolist():
            j = int(graph.neighbour[b, i, slot])
            distance = (point[b, i] - point[b, j]).norm()
            parts = torch.cat((h[b, i], h[b, j], radial_basis(distance), chains[b, i, slot]))
            message = F.silu(layer.message_out(F.silu(joint @ parts + layer.message_own.bias)))
            messages.append(message)
            steps.append((point[b, i] - point[b, j]) / (distance + 1) * layer.move(message))
        mean = torch.stack(messages).mean(0)
        update = layer.update_out(F.silu(both @ torch.cat((h[b, i], mean)) + layer.update_own.bias))
        torch.testing.assert_close(found_h[b, i], h[b, i] + update, atol=3e-5, rtol=1e-4)
        torch.testing.assert_close(found_point[b, i], point[b, i] + torch.stack(steps).mean(0), atol=3e-5, rtol=1e-4)


def test_gvp_message_is_the_mean_of_two_perceptrons_along_each_edge(graph: Graph) -> None:
    layer = seeded(Message(6, 3, 4))
    assert isinstance(layer, Message)
    s, v = features(graph, 6), features(graph, 9, 1).unflatten(-1, (3, 3)).permute(2, 0, 1, 3)
    edge = torch.randn(*graph.edge.shape, 4)
    direction = torch.randn(3, *graph.edge.shape, 1)
    found_s, found_v = layer(s, v, edge, direction, graph)
    of_vectors = torch.cat((*layer.vector_nodes.weight.chunk(2), layer.vector_edge.weight), dim=1)  # of i, j, the edge
    own, other = layer.scalar_nodes.weight.chunk(2)
    of_scalars = torch.cat((own, other, layer.scalar_edge.weight), dim=1)
    for b, i in graph.present.nonzero().tolist():
        messages = []
        for slot in graph.edge[b, i].nonzero().flatten().tolist():
            j = int(graph.neighbour[b, i, slot])
            h = torch.cat((v[:, b, i], v[:, b, j], direction[:, b, i, slot]), dim=-1) @ of_vectors.T  # [3, m]
            x = of_scalars @ torch.cat((s[b, i], s[b, j], edge[b, i, slot], h.norm(dim=0))) + layer.scalar_edge.bias
            messages.append(layer.last(*activated(x, layer.vector_out(h))))
        torch.testing.assert_close(found_s[b, i], torch.stack([x for x, _ in messages]).mean(0), atol=3e-5, rtol=1e-4)
        torch.testing.assert_close(
            found_v[:, b, i], torch.stack([y for _, y in messages]).mean(0), atol=3e-5, rtol=1e-4
        )


def test_the_gradient_of_a_length() -> None:
    v = torch.randn(3, 4, 2, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(Lengths.apply, (v,))
    zero = torch.zeros(3, 2, requires_grad=True)
    lengths(zero).sum().backward()
    assert zero.grad is not None
    assert not zero.grad.any()


def test_backbone_vectors() -> None:
    """Ideal L-alanine (N, CA, C, CB in angstrom) points at its CB; a nucleotide at its base."""
    nodes = made_nodes(3, 2, 1)
    n, ca, c = torch.tensor([[-0.966, 0.493, 1.5], [0.257, 0.418, 0.692], [-0.094, 0.017, -0.716]])
    cb = torch.tensor([1.204, -0.620, 1.296])
    nodes.xyz_angstrom[0, 4, :3] = torch.stack((n, ca, c))
    nodes.atom_mask[0, 5, 2] = False
    nodes.polymer_index[0, 5] = 7  # a gap in front of it
    v = backbone_vectors(nodes, residue_graph(nodes, 3)).permute(1, 2, 0, 3)[0]  # [L, 3, 5]
    torch.testing.assert_close(v[4, :, 0], F.normalize(ca - n, dim=0))
    torch.testing.assert_close(v[4, :, 1], F.normalize(c - ca, dim=0))
    assert v[4, :, 2] @ F.normalize(cb - ca, dim=0) > 0.99
    xyz = nodes.xyz_angstrom[0]
    torch.testing.assert_close(v[3, :, 3], F.normalize(xyz[4, 1] - xyz[3, 1], dim=0))
    torch.testing.assert_close(v[4, :, 4], -v[3, :, 3])
    torch.testing.assert_close(v[6, :, 2], F.normalize(xyz[6, 3] - xyz[6, 2], dim=0))
    there = v.abs().sum(1) > 0
    yes, no = True, False
    assert there.int().tolist() == torch.tensor([
        *[[no] * 5] * 3,
        [yes, yes, yes, yes, no], [yes, yes, yes, no, yes], [yes, no, no, no, no],
        [yes, yes, yes, yes, no], [yes, yes, yes, no, yes],
    ]).int().tolist()  # fmt: skip
