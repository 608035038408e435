"""Links that lead out, files that unpack to too much, lines of too many values: named, refused, and the run goes on."""

import gzip
import json
import sys
from pathlib import Path

import pytest
from backports import zstd
from conftest import etl, evidence_line, write_evidence
from memory import watched

SKIPPED = "select source_path, item_number, reason, detail from evidence.skipped order by all"


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
            "item_number": 0,
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
    assert (entry["item_number"], entry["reason"]) == (2, "corrupt_stream")
    assert sentence in str(entry["detail"])
    assert etl("sql", "select count(*) as n from evidence.record", "--root", tmp_path, "--json").json == [{"n": 1}]


#: Judges each line of a file and prints the reasons.
JUDGE = """
import sys
from etl.ingest.formats.strict_json import judge_value

for line in open(sys.argv[1], "rb"):
    print(*(judge_value(line, 64, 1_000_000) or ["good"])[:1], file=sys.stderr)
"""

#: The length of a line whose values would take a gigabyte and more if they were read.
LONG = 60_000_000

RUN = [sys.executable, "-m", "etl", "run-all"]


def write_array(file: Path, value: str, count: int) -> int:
    """Write a line of evidence with an array of ``count`` values, whose elements are of this form; return its length."""
    line = json.dumps(evidence_line("long", values=[0])).encode()
    before, after = line[:-2], line[-2:]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(before + f",{value}".encode() * (count - 1) + after)
    return file.stat().st_size


NEST = '{"ab":' * 61 + "0" + "}" * 61


@pytest.mark.parametrize(
    ("value", "count", "reason"),
    [
        pytest.param("{}", LONG // 3, "too_large", id="60 MB of empty objects"),
        pytest.param("[]", LONG // 3, "too_large", id="60 MB of empty arrays", marks=pytest.mark.slow),
        pytest.param("0.5", LONG // 4, "too_large", id="60 MB of fractions", marks=pytest.mark.slow),
        pytest.param(NEST, LONG // 400, "too_large", id="60 MB of nested objects", marks=pytest.mark.slow),
        pytest.param("0", 2**24, "too_large", id="2**24 numbers", marks=pytest.mark.slow),
        pytest.param("[]", 2**24 + 1, "too_large", id="2**24 + 1 arrays", marks=pytest.mark.slow),
        pytest.param("0", 2**26 + 1, "too_large", id="2**26 + 1 numbers", marks=pytest.mark.slow),
        pytest.param("0", 999_990, "good", id="numbers up to the limit"),
        pytest.param("[]", 499_990, "good", id="arrays up to the limit", marks=pytest.mark.slow),
        pytest.param(NEST, 16_120, "good", id="nested objects up to the limit"),
    ],
)
def test_no_line_takes_more_than_four_times_its_length_to_judge(tmp_path: Path, value: str, count: int, reason: str) -> None:
    """A line with as many values as it may have, or of 60 MB: it is judged in four times these 60 MB, or of its length."""
    few = write_evidence(tmp_path, {"few.jsonl": [evidence_line(f"few-{number}") for number in range(5)]})
    size = write_array(tmp_path / "long.jsonl", value, count)
    usual = watched(sys.executable, "-c", JUDGE, few / "few.jsonl").peak
    code, _, said, peak = watched(sys.executable, "-c", JUDGE, tmp_path / "long.jsonl")
    assert (code, said) == (0, f"{reason}\n")
    assert peak - usual <= 4 * max(size, LONG)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("value", "count"),
    [("{}", LONG // 3), ("[]", LONG // 3), ("0.5", LONG // 4), ("0", 2**24), ("0", 2**24 + 1), ("0", 2**26 + 1)],
)
def test_a_line_of_too_many_values_is_skipped(tmp_path: Path, value: str, count: int) -> None:
    """Its bytes are kept and the others are read; a run over 60 MB takes four times that more, at most."""
    evidence = tmp_path / "evidence" / "evidence"
    write_evidence(evidence, {"few.jsonl": [evidence_line(f"few-{number}") for number in range(5)]})
    flags = ["--set", "max_line_bytes=200000000"]
    usual = watched(*RUN, "--root", tmp_path / "usual", "--evidence", tmp_path / "evidence", *flags).peak
    size = write_array(evidence / "long.jsonl", value, count)
    code, _, said, peak = watched(*RUN, "--root", tmp_path, *flags)
    assert code == 1, said
    (entry,) = skipped(tmp_path)
    assert (entry["source_path"], entry["item_number"], entry["reason"]) == ("evidence/long.jsonl", 1, "too_large")
    kept = "select octet_length(raw) as kept from evidence.skipped"
    assert etl("sql", kept, "--root", tmp_path, "--json").json == [{"kept": size}]
    assert etl("sql", "select count(*) as n from evidence.record", "--root", tmp_path, "--json").json == [{"n": 5}]
    times = 4 if size < 2 * LONG else 6  # of a longer line the engine alone takes three times its length
    assert peak - usual <= times * max(size, LONG)


@pytest.mark.slow
@pytest.mark.parametrize(("value", "count"), [("0", 9_999_980), ("{}", 4_999_980), (NEST, 161_280)])
def test_the_engine_reads_as_many_values_as_may_be_set(tmp_path: Path, value: str, count: int) -> None:
    """A line with the most values that the setting can allow becomes a record like any other."""
    write_array(tmp_path / "evidence" / "evidence.jsonl", value, count)
    code, _, said, _ = watched(*RUN, "--root", tmp_path, "--set", "max_values=10000000", "--set", "max_line_bytes=200000000")
    assert (code, skipped(tmp_path)) == (0, []), said
    tasks = etl("sql", "select task_id from evidence.record", "--root", tmp_path, "--json").json
    assert tasks == [{"task_id": "long"}]
