"""`impl` blocks in another file than their type, and where a method is defined.

No `use` line shows a call of such a method, and yet the caller depends on the file of the block.
"""

from collections import Counter
from dataclasses import dataclass

from layering.arrows import AwayImpl
from layering.rust_modules import Definition
from layering.rust_tokens import after_generics, closing

# Names that types of the standard library or of other crates have as well: `.read(…)` does not tell whose it is.
COMMON = set(
    "as_mut as_ref as_slice bytes capacity chain chars clear clone close collect count create drain drop "
    "extend fd fill find first flush from get get_mut id insert into_iter is_empty iter iter_mut join kill "
    "kind last len lines load lock map max min name new next open options parse pop push read recv remove "
    "send set skip sort split start status store swap take then try_clone try_lock try_recv try_send unlock "
    "wait wake with write".split()
)
# What may stand before an `impl` that is an item, and not a type.
BEFORE_IMPL = {"}", ";", "]", "{", "unsafe", "default", ""}


@dataclass
class Impl:
    """One block: its place among the tokens, the path of its type, and its methods with their lines."""

    start: int
    end: int
    line: int
    path: tuple[str, ...]
    inherent: bool
    methods: list[tuple[str, bool]]

    def type_in(self, crate, module):
        """The type as this crate defines it, if it does."""
        if not self.path:
            return None
        nodes = [node for node, _ in crate.resolve(module, self.path) if isinstance(node, Definition)]
        return nodes[0] if nodes else None


def impls_of(code):
    """All `impl` blocks in the code, by their start."""
    found = []
    for i, (word, line) in enumerate(code):
        if word != "impl" or (code[i - 1][0] if i else "") not in BEFORE_IMPL:
            continue
        at = after_generics(code, i + 1)
        head = at
        named_for = None
        depth = 0
        while at < len(code) and code[at][0] not in ("{", ";", "where"):
            word = code[at][0]
            depth += {"<": 1, ">": -1}.get(word, 0)
            if word == "for" and depth == 0 and code[at + 1][0] != "<":
                named_for = at
            at += 1
        while at < len(code) and code[at][0] not in ("{", ";"):
            at += 1
        if at == len(code) or code[at][0] == ";":
            continue
        end = closing(code, at)
        path = path_of(code, head if named_for is None else named_for + 1)
        found.append(Impl(i, end, line, path, named_for is None, methods_in(code, at, end)))
    return found


def path_of(code, at):
    """The path of the type at `at`, without references and generics."""
    while code[at][0] in ("&", "mut", "dyn", "!") or code[at][0].startswith("'"):
        at += 1
    path = []
    while code[at][0][0].isalpha() or code[at][0][0] == "_":
        path.append(code[at][0])
        if code[at + 1][0] != "::":
            break
        at += 2
    return tuple(path)


def methods_in(code, begin, end):
    """The functions directly in the braces from `begin` to `end`, each with whether it takes `self`."""
    found, i = [], begin + 1
    while i < end:
        word = code[i][0]
        if word == "fn" and (code[i + 1][0][0].isalpha() or code[i + 1][0][0] == "_"):
            found.append((code[i + 1][0], takes_self(code, i + 2)))
        if word in ("{", "(", "["):
            i = closing(code, i)
        i += 1
    return found


def takes_self(code, at):
    at = after_generics(code, at) + 1
    while code[at][0] in ("&", "mut") or code[at][0].startswith("'"):
        at += 1
    return code[at][0] == "self"


class Methods:
    """Where the methods of a crate are. `others` are the names of methods in the crates that it uses."""

    def __init__(self, crate, others):
        self.places = {}
        self.away = []
        self.count = Counter()
        self.others = others
        homes = {}
        for module in crate.modules:
            for name in names_with_self(module.code):
                self.count[name] += 1
            for block in impls_of(module.code):
                if block.inherent:
                    self.note(block, block.type_in(crate, module), module.file, homes)
        self.unique = {
            name: places[0]
            for name, places in homes.items()
            if self.count[name] == 1 and name not in COMMON and name not in others
        }

    def note(self, block, owner, file, homes):
        if owner is None:
            return
        for name, has_self in block.methods:
            self.places[owner, name] = file
            if has_self and file != owner.file:
                homes.setdefault(name, []).append(file)
        if file != owner.file:
            names = tuple(name for name, _ in block.methods)
            self.away.append(AwayImpl(file, block.line, owner.name, owner.file, names))

    def names(self):
        return frozenset(self.count) | self.others

    def file_of(self, owner, name):
        """The file with this method of this type, if it is known."""
        return self.places.get((owner, name))

    def only_place_of(self, name):
        """The file of the one method of this name, if it stands away from its type."""
        return self.unique.get(name)


def names_with_self(code):
    """The names of all functions that take `self`, those of traits and of macros as well."""
    for i, (word, _) in enumerate(code[:-3]):
        if word == "fn" and code[i + 2][0] in ("<", "(") and takes_self(code, i + 2):
            yield code[i + 1][0]
