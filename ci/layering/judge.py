"""What is wrong with the arrows, as sentences that say where and what to do."""

from layering.arrows import circles, first_arrows

ROOTS = {"lib.rs", "main.rs", "__init__.py"}
# These take from all. `python -m` runs the last one as a program of its own, above the package.
FREE = ROOTS | {"__main__.py"}
# What a folder holds beside the files of its own crate.
NO_ENTRY = {"bin", "__pycache__"}


class Judge:
    """Compares trees with the layers that are drawn for their folders."""

    def __init__(self, repository, trees, layers):
        self.repository, self.trees, self.layers = repository, trees, layers
        self.problems = []

    def short(self, file):
        return file.relative_to(self.repository) if file.is_relative_to(self.repository) else file

    def all_problems(self):
        self.check_that_there_is_something()
        for tree in self.trees:
            self.problems += tree.problems
            drawn = self.layers.get(tree.folder) if tree.root.name in ROOTS else None
            arrows = tree.arrows
            if drawn:
                self.check_entries(tree, drawn)
                upward = self.upward(tree, drawn)
                self.tell_upward(drawn, upward)
                arrows = arrows - upward
            self.tell_circles(arrows)
        return self.problems

    def check_that_there_is_something(self):
        if not any(tree.files for tree in self.trees):
            self.problems.append("no files found: run this in the repository")
        elif not any(tree.arrows for tree in self.trees):
            self.problems.append("no arrows found in any file: the check reads nothing, so mend ci/layering")
        folders = {tree.folder for tree in self.trees if tree.root.name in ROOTS}
        for folder, drawn in self.layers.items():
            if folder not in folders:
                self.problems.append(
                    f"{drawn.place}: {self.short(folder)} has no lib.rs, main.rs or __init__.py: correct the folder"
                )
        for tree in self.trees:
            if tree.folder in self.layers and not tree.arrows:
                self.problems.append(
                    f"{self.short(tree.folder)}: no arrows found: the check reads nothing here, so mend ci/layering"
                )

    def check_entries(self, tree, drawn):
        """Every entry of the folder stands in a row, and every entry of a row is in the folder."""
        there = {entry_of(file, tree.folder) for file in tree.folder.iterdir() if is_entry(file)}
        of_tests = {entry_of(file, tree.folder) for file in tree.test_files if file.is_relative_to(tree.folder)}
        of_tests -= {entry_of(file, tree.folder) for file in tree.files if file.is_relative_to(tree.folder)}
        folder = self.short(tree.folder)
        for entry in sorted(there - of_tests - set(drawn.rows)):
            self.problems.append(f"{folder}/{entry} stands in no row of layers: add it to the block at {drawn.place}")
        for entry in sorted(set(drawn.rows) - there):
            self.problems.append(
                f"{drawn.place}: {folder}/{entry} does not exist: take it out of its row, or correct the name"
            )

    def upward(self, tree, drawn):
        """Arrows to a row above, to another entry of the same row, or to the root."""
        found = set()
        for arrow in tree.arrows:
            if not (arrow.source.is_relative_to(tree.folder) and arrow.target.is_relative_to(tree.folder)):
                continue
            source, target = entry_of(arrow.source, tree.folder), entry_of(arrow.target, tree.folder)
            if arrow.source.name in FREE and arrow.source.parent == tree.folder:
                continue
            if source == target or source not in drawn.rows:
                continue
            if arrow.target == tree.root or (target in drawn.rows and drawn.rows[target] >= drawn.rows[source]):
                found.add(arrow)
        return found

    def tell_upward(self, drawn, upward):
        for arrow in sorted(upward, key=lambda a: (str(a.source), a.line, a.name)):
            self.problems.append(
                f"{self.short(arrow.source)}:{arrow.line}: upward: takes {arrow.name} from {self.short(arrow.target)}"
            )
        if upward:
            pairs = len(first_arrows(upward))
            self.problems.append(
                f"{len(upward)} places ({pairs} pairs of files) take from an entry above or beside their own "
                f"({drawn.place}): move what they need below them, or hand it down as a parameter or a trait"
            )

    def tell_circles(self, arrows):
        for files, inside in circles(arrows):
            lines = [f"a circle of {len(files)} files: move what they share into a file below them"]
            lines += [
                f"    {self.short(a.source)}:{a.line}: takes {a.name} from {self.short(a.target)}" for a in inside
            ]
            self.problems.append("\n".join(lines))


def is_entry(file):
    if file.name in FREE or file.name in NO_ENTRY:
        return False
    if file.is_dir():
        return any(file.rglob("*.rs")) or any(file.rglob("*.py"))
    return file.suffix in (".rs", ".py")


def entry_of(file, folder):
    """The entry of a folder that `file` belongs to."""
    return file.relative_to(folder).parts[0].removesuffix(".rs").removesuffix(".py")


def impls_above(repository, trees, layers):
    """Lines about `impl` blocks that stand in another file than their type: above it, or in the same entry."""
    for tree in trees:
        drawn = layers.get(tree.folder)
        for block in sorted(tree.away, key=lambda b: (str(b.file), b.line)):
            place = f"{block.file.relative_to(repository)}:{block.line}"
            home = block.type_file.relative_to(repository)
            where = "beside it"
            if drawn and block.file.is_relative_to(tree.folder) and block.type_file.is_relative_to(tree.folder):
                rows = [drawn.rows.get(entry_of(file, tree.folder), -1) for file in (block.file, block.type_file)]
                where = "above it" if rows[0] > rows[1] else "BELOW it" if rows[0] < rows[1] else where
            yield f"{place}: {where}: impl {block.type_name} ({home}): {', '.join(block.methods) or 'no methods'}"
