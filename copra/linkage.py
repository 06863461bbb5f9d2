"""What hangs together: single linkage over pairs of names."""

from __future__ import annotations

from collections.abc import Iterable


def single_linkage(items: Iterable[str], links: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Item -> the smallest item that it can reach over `links`."""
    parent = {item: item for item in items}

    def root(item: str) -> str:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for a, b in links:
        low, high = sorted((root(a), root(b)))
        parent[high] = low  # the smaller stays the root, so the root is the name
    return {item: root(item) for item in parent}


def connected_groups(edges: Iterable[tuple[str, str]]) -> list[set[str]]:
    """The connected components of an undirected graph, in the order of their first edge."""
    links = list(edges)
    groups: dict[str, set[str]] = {}
    for node, smallest in single_linkage((node for edge in links for node in edge), links).items():
        groups.setdefault(smallest, set()).add(node)
    return list(groups.values())
