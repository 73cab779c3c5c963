"""Selects a path through branching conversations: after an edit or a regeneration, the branch that was used last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rct_lightning.corpus.conversation import Tally


@dataclass(frozen=True, slots=True)
class Node:
    """A message's place in the tree: its own id, the id of the message before it, and its time in seconds."""

    id: str
    parent: str | None
    time: float | None


def newest_path(nodes: Sequence[Node], tally: Tally, where: str, leaf: str | None = None) -> list[int]:
    """Return the positions of the nodes from the root to a leaf.

    Args:
        nodes: The nodes in the order of the file.
        tally: Where cycles and missing parents are counted.
        where: The conversation, for the report.
        leaf: The id at which the path ends; the newest leaf if it is None or unknown.

    Returns:
        Positions, oldest first. If no node names another one as its parent, there is no tree: all positions in order.
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
