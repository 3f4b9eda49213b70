"""The modules of a crate, and what a name in them means."""

from dataclasses import dataclass, field
from pathlib import Path

from layering.rust_tokens import CLOSE, OPEN, closing, tokens_of, without_tests

DEFINING = {"struct", "enum", "union", "trait", "type", "fn", "const", "static"}
# What may stand before an item.
BEFORE_ITEM = {"}", ";", "]", "{", ")", "pub", "unsafe", "async", "const", "default", '"C"', "extern"}


@dataclass(frozen=True)
class Definition:
    """A name that a file gives a meaning to. `kind` is the keyword, or `unknown` for what a macro may have made."""

    file: Path
    name: str
    kind: str


@dataclass(eq=False)
class Import:
    """`use path as …`, which is looked up when it is needed."""

    module: "Module"
    path: tuple[str, ...]


@dataclass(frozen=True)
class Use:
    """One leaf of a `use` line. `alias` is what it is called here; a glob has None."""

    path: tuple[str, ...]
    alias: str | None
    line: int
    public: bool


@dataclass(eq=False)
class Module:
    name: str
    file: Path
    parent: "Module | None"
    names: dict[str, list] = field(default_factory=dict)
    local: dict[str, list] = field(default_factory=dict)
    globs: list[tuple[str, ...]] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    code: list = field(default_factory=list)

    def root(self):
        return self if self.parent is None else self.parent.root()

    def is_in(self, other):
        """Whether this is `other` or a module below it."""
        return self is other or (self.parent is not None and self.parent.is_in(other))

    def bind(self, name, meaning):
        self.names.setdefault(name, []).append(meaning)


class Crate:
    """All modules of one crate, read from its root file."""

    def __init__(self, root):
        self.modules, self.problems, self.test_files = [], [], set()
        self.macros = {}
        self.known = {}
        self.root = self.read_file("crate", root, None, root.parent)

    def read_file(self, name, file, parent, folder):
        """Reads a module that is a file; its children are in `folder`."""
        module = Module(name, file, parent)
        self.modules.append(module)
        tokens, test_modules = without_tests(tokens_of(file.read_text()))
        for child in test_modules:
            found = child_file(child, folder)
            if found:
                self.test_files.add(found[0])
        self.read_items(module, tokens, folder)
        return module

    def read_items(self, module, tokens, folder):
        """Notes what the items define, and keeps all that is code in `module.code`."""
        depth, i, public, path = 0, 0, False, None
        while i < len(tokens):
            word, line = tokens[i]
            if word == "#" and depth == 0 and tokens[i + 1][0] == "[":
                end = closing(tokens, i + 1)
                if tokens[i + 2][0] == "path":
                    path = tokens[i + 4][0].strip('"')
                module.code.extend(tokens[i : end + 1])
                i = end + 1
                continue
            begins = depth == 0 and (i == 0 or tokens[i - 1][0] in BEFORE_ITEM)
            if begins and word == "pub":
                public = True
            elif begins and word == "use":
                i = self.read_use(module, tokens, i, public)
                public = False
                continue
            elif begins and word == "mod":
                i = self.read_module(module, tokens, i, folder, path)
                public, path = False, None
                continue
            elif depth == 0 and word == "macro_rules" and tokens[i + 1][0] == "!":
                self.define_macro(module, tokens, i)
            elif begins and word in DEFINING and tokens[i + 1][0][0].isidentifier():
                name = tokens[i + 1][0] if tokens[i + 1][0] != "mut" else tokens[i + 2][0]
                module.bind(name, Definition(module.file, name, word))
            depth += (word in OPEN) - (word in CLOSE)
            if word in (";", "}") and depth == 0:
                public = False
            module.code.append(tokens[i])
            i += 1

    def read_use(self, module, tokens, at, public):
        leaves, end = use_leaves(tokens, at, public)
        for use in leaves:
            module.uses.append(use)
            if use.alias is None:
                module.globs.append(use.path)
            else:
                module.bind(use.alias, Import(module, use.path))
        return end

    def read_module(self, module, tokens, at, folder, path):
        name, line = tokens[at + 1]
        if tokens[at + 2][0] == "{":
            end = closing(tokens, at + 2)
            child = Module(name, module.file, module)
            self.modules.append(child)
            self.read_items(child, tokens[at + 3 : end], folder / name)
        else:
            end = at + 2
            # A file that is named by `path` finds its children beside it, as mod.rs does.
            found = (
                (module.file.parent / path, (module.file.parent / path).parent) if path else child_file(name, folder)
            )
            if not found or not found[0].is_file():
                self.problems.append(
                    f"{module.file}:{line}: `mod {name};` has no file: make it, or teach ci/layering to find it"
                )
                return end + 1
            child = self.read_file(name, Path(resolved(found[0])), module, found[1])
        module.bind(name, child)
        return end + 1

    def define_macro(self, module, tokens, at):
        name = tokens[at + 2][0]
        meaning = Definition(module.file, name, "macro")
        module.bind(name, meaning)
        self.macros.setdefault(name, []).append(meaning)

    def lookup(self, module, name, seen=frozenset()):
        """What `name` means in `module`: modules and definitions. Empty for what comes from another crate."""
        if not seen and (module, name) in self.known:
            return self.known[module, name]
        if (module, name) in seen:
            return []
        deeper = seen | {(module, name)}
        found = []
        for meaning in module.names.get(name, ()) or module.local.get(name, ()):
            if isinstance(meaning, Import):
                found += [node for node, _ in self.resolve(meaning.module, meaning.path, deeper)]
            else:
                found.append(meaning)
        if not found and name not in module.names:
            for path in module.globs:
                for node, _ in self.resolve(module, path, deeper):
                    if isinstance(node, Module):
                        found += self.lookup(node, name, deeper)
        if not seen:
            self.known[module, name] = found
        return found

    def resolve(self, module, path, seen=frozenset()):
        """Where `path`, written in `module`, ends: pairs of a module or definition and the names behind it."""
        current, rest = self.start_of(module, path, seen)
        for name in rest:
            following = []
            for node, behind in current:
                if isinstance(node, Definition):
                    following.append((node, behind + (name,)))
                    continue
                if (node, name) in seen:
                    continue
                found = self.lookup(node, name, seen)
                # A name that is not written there: a macro has made it, or another crate.
                found = found or [Definition(node.file, name, "unknown")]
                following += [(one, ()) for one in found]
            current = following
        return current

    def start_of(self, module, path, seen):
        """The first module or definition of `path`, and the names that remain."""
        first, rest = path[0], path[1:]
        if first == "crate":
            return [(module.root(), ())], rest
        if first in ("self", "super"):
            node = module
            if first == "super":
                node = node.parent
            while rest and rest[0] == "super" and node:
                node, rest = node.parent, rest[1:]
            return ([(node, ())] if node else []), rest
        return [(node, ()) for node in self.lookup(module, first, seen)], rest


def resolved(file):
    """`file` without `..`, and with links as they are written."""
    parts = []
    for part in file.parts:
        if part == ".." and parts:
            parts.pop()
        else:
            parts.append(part)
    return Path(*parts)


def child_file(name, folder):
    """The file of `mod name;` and the folder of its children."""
    for file in (folder / f"{name}.rs", folder / name / "mod.rs"):
        if file.is_file():
            return file, folder / name
    return None


def use_leaves(tokens, at, public):
    """The leaves of the `use` at `at`, and the index behind its semicolon."""
    end = at
    while tokens[end][0] != ";":
        end += 1
    leaves = []
    read_tree(tokens[at + 1 : end], (), public, leaves)
    return leaves, end + 1


def read_tree(tokens, prefix, public, leaves):
    """Adds the leaves of `a::{b, c::d as e, self, *}` below `prefix`."""
    path, i = list(prefix), 0
    while i < len(tokens):
        word, line = tokens[i]
        if word == "{":
            end = closing(tokens, i)
            for part in parts_of(tokens[i + 1 : end]):
                read_tree(part, tuple(path), public, leaves)
            return
        if word == "*":
            leaves.append(Use(tuple(path), None, line, public))
            return
        if word == "::" and i == 0 and not prefix:
            return
        if word == "as":
            leaves.append(Use(tuple(path), tokens[i + 1][0], line, public))
            return
        if word not in ("::", "$"):
            if not (word == "self" and path):
                path.append(word)
            last = line
        i += 1
    if path:
        leaves.append(Use(tuple(path), path[-1], last, public))


def parts_of(tokens):
    """The parts between commas that stand in no braces."""
    parts, depth = [[]], 0
    for token in tokens:
        depth += (token[0] in OPEN) - (token[0] in CLOSE)
        if token[0] == "," and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]
