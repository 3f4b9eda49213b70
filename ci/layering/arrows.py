"""What is found in a crate or package: files, arrows between them, circles."""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Arrow:
    """`source` takes `name`, which `target` defines."""

    source: Path
    line: int
    target: Path
    name: str


@dataclass(frozen=True)
class AwayImpl:
    """Methods of a type in another file than the type."""

    file: Path
    line: int
    type_name: str
    type_file: Path
    methods: tuple[str, ...]


@dataclass
class Tree:
    """One crate (a library, a program) or one Python package."""

    root: Path
    files: set[Path] = field(default_factory=set)
    arrows: set[Arrow] = field(default_factory=set)
    away: list[AwayImpl] = field(default_factory=list)
    # Files that only tests have, and complaints of the reader itself.
    test_files: set[Path] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.root.parent


def first_arrows(arrows):
    """One arrow, the first by line, for each pair of files."""
    first = {}
    for arrow in sorted(arrows, key=lambda a: (str(a.source), a.line, str(a.target), a.name)):
        first.setdefault((arrow.source, arrow.target), arrow)
    return list(first.values())


def circles(arrows):
    """The groups of files that reach each other, and the arrows inside of each. (Tarjan's algorithm, with a stack.)"""
    after = defaultdict(list)
    for arrow in first_arrows(arrows):
        after[arrow.source].append(arrow)
    order, low, stack, on_stack, groups = {}, {}, [], set(), []
    for start in sorted(after, key=str):
        if start in order:
            continue
        order[start] = low[start] = len(order)
        stack.append(start)
        on_stack.add(start)
        walk = [(start, iter(after[start]))]
        while walk:
            file, rest = walk[-1]
            arrow = next(rest, None)
            if arrow is not None:
                target = arrow.target
                if target not in order:
                    order[target] = low[target] = len(order)
                    stack.append(target)
                    on_stack.add(target)
                    walk.append((target, iter(after[target])))
                elif target in on_stack:
                    low[file] = min(low[file], order[target])
                continue
            walk.pop()
            if walk:
                above = walk[-1][0]
                low[above] = min(low[above], low[file])
            if low[file] == order[file]:
                group = set()
                while file not in group:
                    group.add(stack[-1])
                    on_stack.discard(stack.pop())
                if len(group) > 1:
                    groups.append(group)
    return [(sorted(group), [a for f in sorted(group) for a in after[f] if a.target in group]) for group in groups]
