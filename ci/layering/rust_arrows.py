"""The arrows of a Rust crate: `use` lines, paths in the code, macros, calls of methods away from their type."""

from layering.arrows import Arrow, Tree
from layering.rust_methods import Methods, impls_of
from layering.rust_modules import Crate, Definition, Import, use_leaves

# Words that begin no path.
KEYWORDS = set(
    "as async await break const continue dyn else enum extern false fn for if impl in let loop match mod move mut pub "
    "ref return static struct trait true type union unsafe use where while".split()
)
# Behind these stands a name that is being made or belongs to a value.
NOT_A_USE = {
    ".",
    "::",
    "$",
    "fn",
    "struct",
    "enum",
    "union",
    "trait",
    "type",
    "mod",
    "let",
    "mut",
    "const",
    "static",
    "macro_rules",
}


def read_crate(root, methods_of_others=frozenset()):
    """The files and arrows of the crate whose root file this is."""
    crate = Crate(root)
    tree = Tree(root, {module.file for module in crate.modules}, problems=crate.problems)
    tree.test_files = crate.test_files - tree.files
    methods = Methods(crate, methods_of_others)
    tree.away = methods.away
    for module in crate.modules:
        Reader(crate, module, methods, tree).read()
    return tree, methods.names()


class Reader:
    """Reads the arrows of one module into the tree."""

    def __init__(self, crate, module, methods, tree):
        self.crate, self.module, self.methods, self.tree = crate, module, methods, tree

    def read(self):
        self.note_local_uses()
        for use in self.module.uses:
            self.follow_use(use)
        self.read_code()

    def arrow(self, line, target, name):
        if target != self.module.file:
            self.tree.arrows.add(Arrow(self.module.file, line, target, name))

    def follow_use(self, use):
        """A `use` of a definition is an arrow. A module that is imported is none: what is taken through it is."""
        for node, _ in self.crate.resolve(self.module, use.path):
            if isinstance(node, Definition):
                if not (use.public and self.is_below(node.file)):
                    self.arrow(use.line, node.file, "::".join(use.path))
            elif use.alias is None and not use.public and self.has_own_names(node):
                self.arrow(use.line, node.file, "::".join((*use.path, "*")))

    def is_below(self, file):
        """Whether `file` is a module below this one: to show what is in it is no import."""
        return any(module.file == file and module.is_in(self.module) for module in self.crate.modules)

    @staticmethod
    def has_own_names(module):
        return any(isinstance(meaning, Definition) for found in module.names.values() for meaning in found)

    def note_local_uses(self):
        """Binds what functions import for themselves, so that paths through it are understood."""
        code = self.module.code
        for i, (word, _) in enumerate(code):
            if word == "use" and code[i + 1][0] != "<":
                for use in use_leaves(code, i, False)[0]:
                    if use.alias is not None:
                        self.module.local.setdefault(use.alias, []).append(Import(self.module, use.path))

    def read_code(self):
        code, i = self.module.code, 0
        impls = impls_of(code)
        inside = []
        while i < len(code):
            word, line = code[i]
            while inside and i > inside[-1].end:
                inside.pop()
            while impls and impls[0].start <= i:
                inside.append(impls.pop(0))
            if word == "use" and code[i + 1][0] != "<":
                leaves, i = use_leaves(code, i, False)
                for use in leaves:
                    self.follow_use(use)
                continue
            if not (word[0].isalpha() or word[0] == "_"):
                i += 1
                continue
            before = code[i - 1][0] if i else ""
            if before == "." and i + 1 < len(code) and code[i + 1][0] in ("(", "::"):
                self.read_call(code, i, inside)
            if word in KEYWORDS or (before in NOT_A_USE and not (before == "$" and word == "crate")):
                i += 1
                continue
            i = self.read_path(code, i, inside)

    def read_path(self, code, at, inside):
        """Follows the path at `at`, and answers with the index behind it."""
        line, path = code[at][1], [code[at][0]]
        i = at + 1
        while i + 1 < len(code) and code[i][0] == "::" and (code[i + 1][0][0].isalpha() or code[i + 1][0][0] == "_"):
            path.append(code[i + 1][0])
            i += 2
        following = code[i][0] if i < len(code) else ""
        if path[0] == "Self":
            if len(path) > 1 and inside:
                self.read_method_of(inside[-1].type_in(self.crate, self.module), path[1], line)
        elif len(path) == 1:
            self.read_name(path[0], line, following, code[at - 1][0] if at else "")
        else:
            for node, behind in self.crate.resolve(self.module, tuple(path)):
                if isinstance(node, Definition):
                    self.arrow(line, node.file, "::".join(path))
                    if behind:
                        self.read_method_of(node, behind[0], line)
        return i

    def read_name(self, name, line, following, before):
        """A name alone: a macro, a type, or a function that is called or handed on."""
        if following == "!":
            found = self.crate.lookup(self.module, name) or self.macro(name)
        elif name in ("crate", "self", "super") or (following == ":" and not name[0].isupper()):
            return
        elif name in self.module.names or self.module.globs:
            found = self.crate.lookup(self.module, name)
        else:
            return
        for node in found:
            if isinstance(node, Definition) and (
                following in ("!", "(") or node.kind != "fn" or before in ("(", ",", "=")
            ):
                self.arrow(line, node.file, name)

    def macro(self, name):
        """Macros that `#[macro_use]`, `#[macro_export]` or their place above this module bring here."""
        found = self.crate.macros.get(name, ())
        return [] if any(one.file == self.module.file for one in found) else list(found)

    def read_call(self, code, at, inside):
        name, line = code[at]
        target = None
        if code[at - 2][0] == "self" and (at < 3 or code[at - 3][0] != ".") and inside:
            owner = inside[-1].type_in(self.crate, self.module)
            target = self.methods.file_of(owner, name)
        target = target or self.methods.only_place_of(name)
        if target:
            self.arrow(line, target, f".{name}()")

    def read_method_of(self, owner, name, line):
        target = self.methods.file_of(owner, name)
        if target and target != owner.file:
            self.arrow(line, target, f"{owner.name}::{name}")
