"""The arrows of a Python package: imports at the top and in functions, and paths such as `package.module.name`."""

import ast

from layering.arrows import Arrow, Tree


def read_package(root):
    """The files and arrows of the package whose `__init__.py` this is."""
    package = Package(root)
    for name, (file, _) in package.modules.items():
        Reader(package, name, file).visit(package.trees[name])
    return package.tree


class Package:
    """All modules of the package, by their dotted names."""

    def __init__(self, root):
        self.tree = Tree(root)
        self.modules, self.trees, self.names = {}, {}, {}
        for file in sorted(root.parent.rglob("*.py")):
            parts = (root.parent.name, *file.relative_to(root.parent).with_suffix("").parts)
            is_package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if is_package else parts)
            self.modules[name] = (file, is_package)
            self.trees[name] = ast.parse(file.read_text(), str(file))
            self.tree.files.add(file)
        for name, tree in self.trees.items():
            self.names[name] = self.imported_names(name, tree)

    def imported_names(self, module, tree):
        """What the top of a module imports by name: for each, where it comes from."""
        found = {}
        for node in tree.body:
            if isinstance(node, ast.ImportFrom):
                source = self.source_of(module, node)
                for alias in node.names:
                    found[alias.asname or alias.name] = (source, alias.name)
        return found

    def source_of(self, module, node):
        """The dotted name after `from`, with the dots before it counted."""
        if not node.level:
            return node.module or ""
        parts = module.split(".")
        if not self.modules[module][1]:
            parts.pop()
        parts = parts[: len(parts) - (node.level - 1)]
        return ".".join(parts + ([node.module] if node.module else []))

    def file_of(self, module, name, seen=()):
        """The file that defines `name` of `module`, or that is the module of this name."""
        if f"{module}.{name}" in self.modules:
            return self.modules[f"{module}.{name}"][0]
        if module not in self.modules:
            return None
        if name in self.names[module] and (module, name) not in seen:
            source, original = self.names[module][name]
            return self.file_of(source, original, (*seen, (module, name))) or self.modules[module][0]
        return self.modules[module][0]


class Reader(ast.NodeVisitor):
    def __init__(self, package, name, file):
        self.package, self.name, self.file = package, name, file
        # Names here that are modules of the package.
        self.bound = {}

    def arrow(self, line, target, name):
        if target and target != self.file:
            self.package.tree.arrows.add(Arrow(self.file, line, target, name))

    def visit_If(self, node):
        """What only a type checker imports is free."""
        if ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING", "_typing.TYPE_CHECKING"):
            for other in node.orelse:
                self.visit(other)
        else:
            self.generic_visit(node)

    def visit_Import(self, node):
        for alias in node.names:
            if alias.name in self.package.modules:
                self.bound[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
                # The package alone is no arrow: what is taken from it is.
                if "." in alias.name:
                    self.arrow(node.lineno, self.package.modules[alias.name][0], alias.name)

    def visit_ImportFrom(self, node):
        source = self.package.source_of(self.name, node)
        if source not in self.package.modules:
            return
        for alias in node.names:
            if alias.name == "*":
                self.arrow(node.lineno, self.package.modules[source][0], f"{source}.*")
            elif not self.is_outside(source, alias.name):
                self.arrow(node.lineno, self.package.file_of(source, alias.name), f"{source}.{alias.name}")

    def is_outside(self, source, name):
        """Whether `name` is a native module beside the Python files: a stub says so."""
        file, is_package = self.package.modules[source]
        return is_package and (file.parent / f"{name}.pyi").is_file() and not (file.parent / f"{name}.py").is_file()

    def visit_Attribute(self, node):
        dotted = ast.unparse(node) if is_dotted(node) else ""
        first, _, rest = dotted.partition(".")
        if rest and first in self.bound:
            module, parts = self.bound[first], rest.split(".")
            while parts and f"{module}.{parts[0]}" in self.package.modules:
                module = f"{module}.{parts.pop(0)}"
            if not parts:
                self.arrow(node.lineno, self.package.modules[module][0], dotted)
            elif not self.is_outside(module, parts[0]):
                self.arrow(node.lineno, self.package.file_of(module, parts[0]), dotted)
        else:
            self.generic_visit(node)

    def visit_Call(self, node):
        """`importlib.import_module("package.module")`."""
        called = ast.unparse(node.func) if is_dotted(node.func) else ""
        if called.split(".")[-1] == "import_module" and node.args and isinstance(node.args[0], ast.Constant):
            module = self.package.modules.get(node.args[0].value)
            self.arrow(node.lineno, module and module[0], str(node.args[0].value))
        self.generic_visit(node)


def is_dotted(node):
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)
