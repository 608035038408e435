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


@pytest.mark.parametrize("content", [b"\xef\xbb\xbfa\r\nb\r\n", b"a\0b\0", b"\xef\xbb\xbfb\0a\0b\0"])
def test_other_lists_of_two_paths(tmp_path: Path, content: bytes) -> None:
    """A byte order mark is read over; with NUL after each path nothing is quoted."""
    assert paths_in(tmp_path, content) == ("a", "b")
    assert paths_in(tmp_path, b'"a"\0b\nc\r\0') == ('"a"', "b\nc\r")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a\nb\tc\n", r"line 2: it holds a control character, which git would quote; write one path a line"),
        (b"a\x1b[0m", r"line 1: it holds a control character"),
        (b"a\rb\n", r"line 1: it holds a control character"),
        (b"a\0b\n", r"it holds NUL, but does not end with one; write it with git ls-files -z"),
        ("a\nb\n".encode("utf-16"), r"does not end with one|is not UTF-8"),
        (b"a\0\xff\0", r"path 2: the path is not UTF-8"),
    ],
)
def test_what_is_no_list_of_paths_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    """A table, a binary file or another encoding would make every cited path unknown."""
    with pytest.raises(UsageError, match=sentence):
        paths_in(tmp_path, content)


def test_git_reads_the_same(tmp_path: Path) -> None:
    """Files whose names need quoting -> the manifest that git prints names them, with and without -z."""
    names = ["plain.py", "a b.py", "tab\t.py", "line\nfeed.py", 'quote".py', "back\\slash.py", "café\x01\x7f.py"]
    for name in names:
        (tmp_path / name).touch()
    git = ["git", "-C", str(tmp_path), "-c", "init.defaultBranch=main"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    listed = subprocess.run([*git, "ls-files"], check=True, capture_output=True).stdout
    assert paths_in(tmp_path, listed) == tuple(sorted(names))
    ended = subprocess.run([*git, "ls-files", "-z"], check=True, capture_output=True).stdout
    assert paths_in(tmp_path, ended) == tuple(sorted(names))


@pytest.mark.parametrize("line", [b"caf\xe9", rb'"caf\351"'])
def test_a_path_that_is_not_utf8_is_refused(tmp_path: Path, line: bytes) -> None:
    """A path in another encoding, quoted or not -> the sentence names its line."""
    with pytest.raises(UsageError, match=r"manifest\.txt, line 2: the path is not UTF-8"):
        paths_in(tmp_path, b"a\n" + line)
