"""Conversations that branch: of an edited question or a regenerated answer, the branch that was spoken last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rct_lightning.corpus.conversation import Tally


@dataclass(frozen=True, slots=True)
class Node:
    """A message's place in the tree: its own id, that of the message before it, and its time in seconds."""

    id: str
    parent: str | None
    time: float | None


def newest_path(nodes: Sequence[Node], tally: Tally, where: str, leaf: str | None = None) -> list[int]:
    """Positions of the nodes from the root to a leaf.

    Args:
        nodes: In the order of the file.
        tally: Where cycles and missing parents are counted.
        where: The conversation, for the account.
        leaf: The id where the path ends; without it, or where there is no such node, the newest leaf.

    Returns:
        Positions, oldest first. Where no node names another one as its parent there is no tree: all, in their order.
    """
    position: dict[str, int] = {}
    for index, node in enumerate(nodes):
        position.setdefault(node.id, index)
    parents = {node.parent for node in nodes if node.parent in position and node.parent != node.id}
    if not parents:
        return list(range(len(nodes)))
    at = position.get(leaf) if leaf is not None else None
    if at is None:
        ends = [index for index, node in enumerate(nodes) if node.id not in parents] or list(range(len(nodes)))
        at = max(ends, key=lambda index: (_time(nodes[index]), index))
    path: list[int] = []
    seen: set[int] = set()
    while at is not None and at not in seen:
        seen.add(at)
        path.append(at)
        parent = nodes[at].parent
        if parent is not None and parent not in position:
            tally.change("conversations that begin at a message whose parent is missing", where)
        at = position.get(parent) if parent is not None else None
    if at is not None:
        tally.change("conversations whose messages run in a circle (cut)", where)
    return path[::-1]


def _time(node: Node) -> float:
    return float("-inf") if node.time is None else node.time
