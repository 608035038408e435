"""Bytes on disk: hashes; second names and copies; durable and atomic replacement."""

import errno
import fcntl
import hashlib
import os
import shutil
from pathlib import Path

_CHUNK = 1 << 20

#: The request by which a file system of Linux lets a file share the blocks of another one, see ioctl_ficlone(2).
_CLONE = 0x40049409


def sha256_of(file: Path) -> str:
    """Return the sha256 hex of a file's bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of_first(file: Path, length: int) -> str:
    """Return the sha256 hex of the first bytes of a file, as many as ``length`` says, or all if it has fewer."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while length and (chunk := stream.read(min(length, _CHUNK))):
            digest.update(chunk)
            length -= len(chunk)
    return digest.hexdigest()


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError that names it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        sync(descriptor, folder)
    finally:
        os.close(descriptor)


def sync_file(file: Path) -> None:
    """Make a file's bytes durable. Raises OSError that names it."""
    with file.open("rb") as stream:
        sync(stream.fileno(), file)


def sync(descriptor: int, path: Path) -> None:
    """Make what was written to an open file durable, once: after a failure the system may have dropped the bytes."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_text(file: Path, text: str) -> None:
    """Write a small file so that a reader sees the old text or the new one, whole; ``sync_folder`` makes its name durable."""
    aside = file.with_name(f".{file.name}.new")
    with aside.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
        stream.flush()
        sync(stream.fileno(), file)
    aside.replace(file)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name; or copy it, where the file system or its owner does not allow a second name."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOSPC, errno.EDQUOT, errno.EIO}:
            raise
        shutil.copy2(source, target, follow_symlinks=False)
        if not target.is_symlink():
            sync_file(target)


def clone_or_copy(source: Path, target: Path) -> None:
    """Make a file with the bytes of another one; it shares its blocks where the file system can do that. Raises OSError."""
    with source.open("rb") as old, target.open("wb") as new:
        try:
            fcntl.ioctl(new.fileno(), _CLONE, old.fileno())
        except OSError:  # each system says it in its own way that it cannot
            shutil.copyfile(source, target)
