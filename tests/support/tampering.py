"""Ways to tamper with a root: each kind changes, at random, something that the chain of runs covers, and is undone."""

import json
import os
import random
import shutil
from collections.abc import Callable
from functools import cached_property
from hashlib import sha256
from pathlib import Path

#: The contents of a root by relative path: a file's bytes, a link's target, None for a folder.
Content = dict[str, bytes | str | None]

REPORTS = "reports/distillation"
FREE = {f"{REPORTS}/latest.md", "exports/README.md", "exports/.gitkeep"}


class Tree:
    """A root, and its contents before anything was changed, which can be restored."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.content = self.read()

    def read(self) -> Content:
        """Return the contents now."""
        found: Content = {}
        for top in ("reports", "exports", "evidence"):
            for folder, folders, files in os.walk(self.root / top):
                for name in (*folders, *files):
                    path = Path(folder, name)
                    key = path.relative_to(self.root).as_posix()
                    found[key] = str(path.readlink()) if path.is_symlink() else None if path.is_dir() else path.read_bytes()
        return found

    def restore(self) -> None:
        """Restore everything."""
        now = self.read()
        for path in sorted(now, reverse=True):
            if path not in self.content or type(now[path]) is not type(self.content[path]):
                file = self.root / path
                file.rmdir() if now[path] is None else file.unlink()
        for path, content in sorted(self.content.items()):
            if content is None:
                (self.root / path).mkdir(parents=True, exist_ok=True)
            elif isinstance(content, bytes) and now.get(path) != content:
                (self.root / path).parent.mkdir(parents=True, exist_ok=True)
                (self.root / path).write_bytes(content)

    @cached_property
    def documents(self) -> list[str]:
        """Every document in a run's folder."""
        return sorted(path for path in self.content if path.count("/") == 3 and path.startswith(f"{REPORTS}/"))

    @cached_property
    def runs(self) -> list[str]:
        """The ids of the runs, oldest first."""
        seqs = {path.split("/")[2]: self.json(path)["seq"] for path in self.documents if path.endswith("/summary.json")}
        return sorted(seqs, key=seqs.__getitem__)

    @cached_property
    def outputs(self) -> list[str]:
        """Every published file."""
        exports = [path for path, content in self.content.items() if path.startswith("exports/") and content is not None]
        return sorted(set(exports) - FREE)

    @cached_property
    def inputs(self) -> list[str]:
        """The files of evidence that neither grew nor vanished since the published run collected them."""
        published = [run for run in self.runs if self.json(f"{REPORTS}/{run}/summary.json")["published"]]
        entries = self.json(f"{REPORTS}/{published[-1]}/collect.json")["inputs"]["files"] if published else []
        sizes = {f"evidence/{entry['path']}": entry["bytes"] for entry in entries}
        return [path for path, size in sizes.items() if len(self.content.get(path) or b"") == size > 0]

    def json(self, path: str) -> dict:
        """Return a document as the run wrote it."""
        return json.loads(self.of(path))

    def of(self, path: str) -> bytes:
        """Return the original bytes of a file."""
        content = self.content[path]
        assert isinstance(content, bytes)
        return content

    def pick(self, rng: random.Random) -> str:
        """Choose a covered file: first the kind of file, then the file."""
        kinds = [self.documents, self.outputs, self.inputs, [f"{REPORTS}/head"]]
        return rng.choice(rng.choice([kind for kind in kinds if kind]))

    def write(self, path: str, content: bytes) -> None:
        """Write a file, with the folders above it."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(content)

    def flip(self, rng: random.Random, path: str) -> None:
        """Flip a bit of a file, if it has one."""
        if content := bytearray(self.of(path)):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
            self.write(path, bytes(content))

    def exchange(self, one: str, other: str) -> None:
        """Exchange the names of two files or folders."""
        aside = self.root / "aside"
        (self.root / one).rename(aside)
        (self.root / other).rename(self.root / one)
        aside.rename(self.root / other)

    def two_runs(self, rng: random.Random) -> list[str]:
        """Return two runs, if there are two."""
        return sorted(rng.sample(self.runs, 2)) if len(self.runs) > 1 else []


def flip_bit(rng: random.Random, tree: Tree) -> None:
    """Flip a bit of any file."""
    tree.flip(rng, tree.pick(rng))


def flip_bit_of_document(rng: random.Random, tree: Tree) -> None:
    """Flip a bit of a run's document."""
    tree.flip(rng, rng.choice(tree.documents))


def flip_bit_of_head(rng: random.Random, tree: Tree) -> None:
    """Flip a bit of head."""
    tree.flip(rng, f"{REPORTS}/head")


def flip_bit_of_output(rng: random.Random, tree: Tree) -> None:
    """Flip a bit of a published file."""
    if tree.outputs:
        tree.flip(rng, rng.choice(tree.outputs))


def truncate(rng: random.Random, tree: Tree) -> None:
    """Cut any file to any length, often by one byte or to nothing."""
    path = tree.pick(rng)
    content = tree.of(path)
    if content:
        tree.write(path, content[: rng.choice([0, len(content) - 1, rng.randrange(len(content))])])


def append(rng: random.Random, tree: Tree) -> None:
    """Add bytes after the end of a document, head or a published file."""
    path = rng.choice([*tree.outputs, *tree.documents, f"{REPORTS}/head"])
    tree.write(path, tree.of(path) + rng.choice([b"\n", b" ", b"\0", b"{}\n", rng.randbytes(20)]))


def pad_head(rng: random.Random, tree: Tree) -> None:
    """Write the same content of head in other bytes."""
    head = f"{REPORTS}/head"
    said = tree.json(head)
    shuffled = dict(rng.sample(sorted(said.items()), len(said)))
    texts = [json.dumps(said), json.dumps(shuffled, indent=2) + "\n", json.dumps(said, indent=2), json.dumps(said, indent=4)]
    tree.write(head, rng.choice(texts).encode())


def delete_document(rng: random.Random, tree: Tree) -> None:
    """Remove a document of a run."""
    (tree.root / rng.choice(tree.documents)).unlink()


def delete_run(rng: random.Random, tree: Tree) -> None:
    """Remove a run's folder."""
    shutil.rmtree(tree.root / REPORTS / rng.choice(tree.runs))


def delete_output(rng: random.Random, tree: Tree) -> None:
    """Remove a published file."""
    if tree.outputs:
        (tree.root / rng.choice(tree.outputs)).unlink()


def delete_head(_: random.Random, tree: Tree) -> None:
    """Remove head."""
    (tree.root / REPORTS / "head").unlink()


def delete_exports(_: random.Random, tree: Tree) -> None:
    """Remove all published files."""
    if tree.outputs:
        shutil.rmtree(tree.root / "exports")


def delete_reports(rng: random.Random, tree: Tree) -> None:
    """Remove every run, or all but the first; head stays."""
    for run in tree.runs[rng.choice([0, 0, 1]) :]:
        shutil.rmtree(tree.root / REPORTS / run)


def cut_tail(rng: random.Random, tree: Tree) -> None:
    """Remove the newest runs; head stays."""
    for run in tree.runs[rng.randrange(len(tree.runs)) :]:
        shutil.rmtree(tree.root / REPORTS / run)


def cut_start(rng: random.Random, tree: Tree) -> None:
    """Remove the oldest runs."""
    for run in tree.runs[: rng.randrange(len(tree.runs))]:
        shutil.rmtree(tree.root / REPORTS / run)


def roll_back_head(rng: random.Random, tree: Tree) -> None:
    """Let head name an older run, as it once did."""
    run = rng.choice(tree.runs)
    summary = tree.of(f"{REPORTS}/{run}/summary.json")
    head = {"schema_version": 1, "seq": json.loads(summary)["seq"], "run_id": run, "sha256": sha256(summary).hexdigest()}
    tree.write(f"{REPORTS}/head", (json.dumps(head, indent=2) + "\n").encode())


def swap_documents_within(rng: random.Random, tree: Tree) -> None:
    """Exchange the names of two documents of one run."""
    folder = f"{REPORTS}/{rng.choice(tree.runs)}/"
    tree.exchange(*rng.sample([path for path in tree.documents if path.startswith(folder)], 2))


def swap_documents_between(rng: random.Random, tree: Tree) -> None:
    """Exchange a document between two runs."""
    if runs := tree.two_runs(rng):
        name = rng.choice(tree.documents).rpartition("/")[2]
        tree.exchange(*(f"{REPORTS}/{run}/{name}" for run in runs))


def swap_outputs(rng: random.Random, tree: Tree) -> None:
    """Exchange the names of two published files."""
    if len(tree.outputs) > 1:
        tree.exchange(*rng.sample(tree.outputs, 2))


def swap_runs(rng: random.Random, tree: Tree) -> None:
    """Exchange the names of two runs' folders."""
    if runs := tree.two_runs(rng):
        tree.exchange(*(f"{REPORTS}/{run}" for run in runs))


def exchange_ids(rng: random.Random, tree: Tree) -> None:
    """Exchange the names of two runs, in their documents as well, and bind the changed documents."""
    if runs := tree.two_runs(rng):
        one, other = (run.encode() for run in runs)
        for path in tree.documents:
            if path.split("/")[2] in runs:
                content = tree.of(path).replace(one, b"@").replace(other, one).replace(b"@", other)
                tree.write(path.replace(*runs) if runs[0] in path else path.replace(*runs[::-1]), content)
        for run in runs:
            rebind(tree, run)


def exchange_seqs(rng: random.Random, tree: Tree) -> None:
    """Exchange the places of two runs in the order."""
    if runs := tree.two_runs(rng):
        paths = [f"{REPORTS}/{run}/summary.json" for run in runs]
        seqs = [f'"seq": {tree.json(path)["seq"]},'.encode() for path in paths]
        for path, mine, its in zip(paths, seqs, seqs[::-1], strict=True):
            tree.write(path, tree.of(path).replace(mine, its))


def edit_and_rebind(rng: random.Random, tree: Tree) -> None:
    """Edit a document and bind the edit in its run's summary: the next summary, or head, does not."""
    path = rng.choice([path for path in tree.documents if not path.endswith("/summary.json")])
    content = bytearray(tree.of(path))
    content[rng.randrange(len(content))] ^= 1
    tree.write(path, bytes(content))
    rebind(tree, path.split("/")[2])


def edit_output_and_rebind(rng: random.Random, tree: Tree) -> None:
    """Edit a published file, the receipts that name it, and the summaries that bind those."""
    if not tree.outputs:
        return
    path = rng.choice(tree.outputs)
    before = sha256(tree.of(path)).hexdigest().encode()
    after = sha256(tree.of(path) + b"\n").hexdigest().encode()
    tree.write(path, tree.of(path) + b"\n")
    for document in tree.documents:
        if before in tree.of(document):
            tree.write(document, tree.of(document).replace(before, after))
    for run in tree.runs:
        rebind(tree, run)


def rebind(tree: Tree, run: str) -> None:
    """Let a run's summary bind the documents with their present bytes."""
    folder = tree.root / REPORTS / run
    summary = json.loads((folder / "summary.json").read_bytes())
    for document in summary["documents"]:
        document["sha256"] = sha256((folder / document["path"]).read_bytes()).hexdigest()
    (folder / "summary.json").write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def add_to_exports(rng: random.Random, tree: Tree) -> None:
    """Add to the published files what a trainer would take for part of a dataset: a file, or a link to a folder."""
    names = ["more.jsonl", "sft/more.jsonl", "rag/MORE.PARQUET", "quarantine/.more.jsonl", "preference/new/more.parquet"]
    name = f"exports/{rng.choice(names)}"
    tree.write(name, rng.choice([b"", b"{}\n"]))
    if rng.random() < 0.3:
        (tree.root / name).unlink()
        (tree.root / name).symlink_to(tree.root / rng.choice(["evidence", "nowhere"]))


def add_to_run(rng: random.Random, tree: Tree) -> None:
    """Add a file or folder to a run's documents."""
    path = tree.root / REPORTS / rng.choice(tree.runs) / rng.choice(["more.json", ".hidden", "README.md", "collect.json.new"])
    path.mkdir() if rng.random() < 0.3 else path.write_bytes(b"{}\n")


def add_run(rng: random.Random, tree: Tree) -> None:
    """Add to the runs a copy of a run under another name, a folder that is not a run, or a loose file."""
    name = rng.choice(["20260101T000000Z-0001", "20991231T235959Z-0099", "zzz", ".hidden", "head.new", "head2"])
    kind = rng.randrange(3)
    if kind == 0:
        shutil.copytree(tree.root / REPORTS / rng.choice(tree.runs), tree.root / REPORTS / name)
    elif kind == 1:
        (tree.root / REPORTS / name).mkdir()
    else:
        (tree.root / REPORTS / name).write_bytes(b"")


def replace_by_something_else(rng: random.Random, tree: Tree) -> None:
    """Replace a document or published file by a folder, or by a link that leads nowhere."""
    path = tree.root / rng.choice([*tree.outputs, *tree.documents, f"{REPORTS}/head"])
    path.unlink()
    path.mkdir() if rng.random() < 0.5 else path.symlink_to("nowhere")


def rename(rng: random.Random, tree: Tree) -> None:
    """Rename a document, published file or run."""
    path = tree.root / rng.choice([*tree.outputs, *tree.documents, *(f"{REPORTS}/{run}" for run in tree.runs)])
    path.rename(path.with_name(path.name.upper() if path.name.upper() != path.name else f"{path.name}-"))


def edit_input(rng: random.Random, tree: Tree) -> None:
    """Change bytes of a file of evidence; its size stays."""
    if tree.inputs:
        path = rng.choice(tree.inputs)
        content = bytearray(tree.of(path))
        for _ in range(rng.randint(1, 5)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        tree.write(path, bytes(content))


KINDS: tuple[Callable[[random.Random, Tree], None], ...] = (
    flip_bit, flip_bit_of_document, flip_bit_of_head, flip_bit_of_output, truncate, append, pad_head, delete_document,
    delete_run, delete_output, delete_head, delete_exports, delete_reports, cut_tail, cut_start, roll_back_head,
    swap_documents_within, swap_documents_between, swap_outputs, swap_runs, exchange_ids, exchange_seqs, edit_and_rebind,
    edit_output_and_rebind, add_to_exports, add_to_run, add_run, replace_by_something_else, rename, edit_input,
)  # fmt: skip
