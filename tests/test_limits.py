"""Links that lead out, and files that unpack to more than they may: named, refused, and the run goes on."""

import gzip
from pathlib import Path

import pytest
from backports import zstd
from conftest import etl, evidence_line, write_evidence

SKIPPED = "select source_path, line_number, reason, detail from evidence.skipped order by all"


def skipped(root: Path) -> list[dict[str, object]]:
    """Return what a run over the root's evidence skipped."""
    rows: list[dict[str, object]] = etl("sql", SKIPPED, "--root", root, "--json").json
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("is_folder", [False, True])
def test_a_link_that_leads_out_is_refused(tmp_path: Path, is_folder: bool) -> None:
    """A link to a file or folder elsewhere is one unreadable entry; with --follow-links its target is read."""
    elsewhere = write_evidence(tmp_path / "elsewhere", {"secret.jsonl": [evidence_line("secret")]})
    root = tmp_path / "root"
    write_evidence(root / "evidence", {"evidence/own.jsonl": [evidence_line("own")]})
    name = "linked" if is_folder else "linked.jsonl"
    (root / "evidence" / "evidence" / name).symlink_to(elsewhere if is_folder else elsewhere / "secret.jsonl")
    assert etl("run-all", "--root", root).exit_code == 1
    assert skipped(root) == [
        {
            "source_path": f"evidence/{name}",
            "line_number": 0,
            "reason": "unreadable_file",
            "detail": "it leads out of the evidence folder; --follow-links follows it",
        }
    ]
    assert etl("run-all", "--root", root, "--follow-links").exit_code == 0
    tasks = etl("sql", "select task_id from evidence.record order by all", "--root", root, "--json").json
    assert [row["task_id"] for row in tasks] == ["own", "secret"]


def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    """A link to a file of the evidence folder is that file under another name."""
    write_evidence(tmp_path / "evidence", {"evidence/a.jsonl": [evidence_line("a")]})
    (tmp_path / "evidence" / "evidence" / "b.jsonl").symlink_to("a.jsonl")
    assert etl("run-all", "--root", tmp_path).exit_code == 0
    paths = etl("sql", "select source_path from evidence.record order by all", "--root", tmp_path, "--json").json
    assert [row["source_path"] for row in paths] == ["evidence/a.jsonl", "evidence/b.jsonl"]


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress], ids=["gz", "zst"])
@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("max_unpack_ratio=100", "it unpacks to more than 100 times its size (setting max_unpack_ratio)"),
        ("max_unpacked_bytes=20000000", "it unpacks to more than 20000000 bytes (setting max_unpacked_bytes)"),
    ],
)
def test_a_bomb_is_cut_off(tmp_path: Path, pack: object, setting: str, sentence: str) -> None:
    """Lines unpacked within the limits count; the rest is one corrupt_stream entry that names the limit it broke."""
    assert callable(pack)
    suffix = "gz" if pack is gzip.compress else "zst"
    good = write_evidence(tmp_path, {"good": [evidence_line("good", verdict="accept")]}) / "good"
    (tmp_path / "evidence").mkdir()
    bomb = good.read_bytes() + b" " * (64 << 20) + b"\n" + good.read_bytes()
    (tmp_path / "evidence" / f"evidence.jsonl.{suffix}").write_bytes(pack(bomb))
    flags = ["--set", "max_line_bytes=1000000", "--set", "max_unpack_ratio=1000000", "--set", setting]
    assert etl("run-all", "--root", tmp_path, *flags).exit_code == 1
    (entry,) = skipped(tmp_path)
    assert (entry["line_number"], entry["reason"]) == (2, "corrupt_stream")
    assert sentence in str(entry["detail"])
    assert etl("sql", "select count(*) as n from evidence.record", "--root", tmp_path, "--json").json == [{"n": 1}]
