"""The manifest of known paths: read as git prints it, quoted or not."""

import subprocess
from pathlib import Path

import pytest

from etl.base.errors import UsageError
from etl.ingest.known_paths import read_known_paths


def paths_in(folder: Path, content: bytes) -> tuple[str, ...]:
    """Return the paths that a manifest with this content names."""
    file = folder / "manifest.txt"
    file.write_bytes(content)
    return read_known_paths(file).paths


@pytest.mark.parametrize(
    ("content", "paths"),
    [
        (b"", ()),
        (b"b\na\nb\n", ("a", "b")),
        (b"a\r\n\n\r\nb c", ("a", "b c")),
        ("é".encode(), ("é",)),
        (rb'"caf\303\251.py"', ("café.py",)),
        (rb'"a\tb\nc\"d\\e\a\b\v\f\r"', ('a\tb\nc"d\\e\a\b\v\f\r',)),
        (b'"caf\xc3\xa9 \\303\\251"', ("café é",)),
        (rb'"say "hi""', ('say "hi"',)),
    ],
)
def test_paths_as_git_prints_them(tmp_path: Path, content: bytes, paths: tuple[str, ...]) -> None:
    """One path a line, each once, sorted -> C escapes and octal bytes within double quotes are undone."""
    assert paths_in(tmp_path, content) == paths


@pytest.mark.parametrize(
    "entry", ['"', '"a', 'a"', r"a\tb", r'"a\x41"', r'"a\u0041"', r'"a\400"', r'"a\12"', r'"a\'"', '"a\\"', r'"\303\q"']
)
def test_what_git_would_not_print_stays_as_it_is(tmp_path: Path, entry: str) -> None:
    """A quote or a backslash that git would not print so -> the line is the path."""
    assert paths_in(tmp_path, entry.encode()) == (entry,)


def test_git_reads_the_same(tmp_path: Path) -> None:
    """Files whose names need quoting -> the manifest that git prints names them."""
    names = ["plain.py", "a b.py", "tab\t.py", "line\nfeed.py", 'quote".py', "back\\slash.py", "café\x01\x7f.py"]
    for name in names:
        (tmp_path / name).touch()
    git = ["git", "-C", str(tmp_path), "-c", "init.defaultBranch=main"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    listed = subprocess.run([*git, "ls-files"], check=True, capture_output=True).stdout
    assert paths_in(tmp_path, listed) == tuple(sorted(names))


@pytest.mark.parametrize("line", [b"caf\xe9", rb'"caf\351"'])
def test_a_path_that_is_not_utf8_is_refused(tmp_path: Path, line: bytes) -> None:
    """A path in another encoding, quoted or not -> the sentence names its line."""
    with pytest.raises(UsageError, match=r"manifest\.txt, line 2: the path is not UTF-8"):
        paths_in(tmp_path, b"a\n" + line)
