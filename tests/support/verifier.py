"""An independent verifier: compares a root's runs with each other and with the files on disk, using the standard library only.

``python verifier.py ROOT [--head HASH] [--evidence DIR]`` prints a sentence for each thing that is not as recorded, and
exits with 1 if there is one. A chain that was cut off or forged through to ``head`` looks intact from inside: pin a head.
"""

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BESIDE = {"head", "latest.md", "pin.json", "README.md", ".gitkeep"}
DIGEST = re.compile(r"[0-9a-f]{64}")
TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z")
COUNT, SEQ, ONE, NULL = range(1 << 63), range(1, 1 << 63), range(1, 2), type(None)
STATUS = re.compile("ok|reused|failed|not_run")

# Shapes: a dict names every field (one after "?" may be absent, "*" is any name), [shape] is a list, a tuple holds
# alternatives, a pattern is a text, a range the whole numbers in it, and a type is itself.
STATS = {f"?{name}": COUNT for name in ("accepted", "rejected", "quarantined", "skipped")}
REASONS = {f"?{name}": {"*": COUNT} for name in ("rejected", "quarantined", "skipped")}
NAMED = [{"path": str, "sha256": DIGEST}]
ENTRY = {"path": str, "sha256": (DIGEST, NULL), "bytes": (COUNT, NULL), "record_count": COUNT,
         "?columns": ([str], NULL), "?carried": bool}  # fmt: skip
SIDE = {"files": [ENTRY], "record_count": COUNT, "hash": DIGEST}
SUMMARY = {
    "?schema_version": ONE, "run_id": str, "seq": SEQ, "previous": (DIGEST, NULL), "started_at": TIME, "published": bool,
    "stages": [{"name": str, "status": STATUS, "records_in": COUNT, "records_out": COUNT, "stats": STATS,
                "inputs_hash": DIGEST, "outputs_hash": DIGEST, "passed": bool}],
    "datasets": {"rag": COUNT, "sft": COUNT, "preference": COUNT}, "total_records_in": COUNT, "total_records_out": COUNT,
    "total_accepted": COUNT, "total_rejected": COUNT, "total_quarantined": COUNT, "total_skipped": COUNT,
    "request": {"stages": [str], "evidence": str, "known_paths": (str, NULL), "holdout": (str, NULL),
                "fail_fast": bool, "force": bool, "?rehash": bool,
                "settings": {"*": (bool, int, float, str, NULL)}},
    "overall_passed": bool, "run_hash": DIGEST, "materials": NAMED, "?overlay": [str], "documents": NAMED,
}  # fmt: skip
RECEIPT = {
    "?schema_version": ONE, "run_id": str, "stage": str, "status": STATUS, "timestamp": TIME, "git_commit": (str, NULL),
    "inputs": SIDE, "outputs": SIDE, "stats": STATS, "counts_by_reason": REASONS, "?blank": COUNT,
    "?records": ({"in": COUNT, "by_outcome": {"*": COUNT}}, COUNT, NULL),
    "?grades": ({"met": COUNT, "ambiguous_grade": COUNT, "unmatched_grade": COUNT}, NULL),
    "?holdout": ({"matched": COUNT, "unmatched": [COUNT], "records": COUNT}, NULL),
    "?splits": ({"?train": COUNT, "?validation": COUNT, "?test": COUNT, "?moved": COUNT}, NULL),
    "?items": ({"mapped": COUNT, "part": COUNT, "skipped": COUNT, "blank": COUNT}, NULL),
    "?files": ({"read": COUNT, "?ignored": {"*": COUNT}, "?ignored_members": {"*": COUNT}}, NULL), "duration_ms": COUNT,
    "validation": {"passed": bool, "?errors": [str], "?warnings": [str]}, "code_hash": DIGEST, "settings_hash": DIGEST,
    "engine": {"etl": str, "duckdb": str, "python": str}, "?made_by": (str, NULL),
}  # fmt: skip


def fits(value: Any, shape: Any) -> bool:
    """Return whether a JSON value has a shape."""
    if isinstance(shape, dict):
        known = {name.removeprefix("?"): inner for name, inner in shape.items()}
        if "*" in known and isinstance(value, dict):
            known = dict.fromkeys(value, known["*"])
        has_fields = isinstance(value, dict) and {name for name in known if f"?{name}" not in shape} <= value.keys()
        return has_fields and all(name in known and fits(item, known[name]) for name, item in value.items())
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(item, shape[0]) for item in value)
    if isinstance(shape, tuple):
        return any(fits(value, inner) for inner in shape)
    if isinstance(shape, re.Pattern):
        return isinstance(value, str) and shape.fullmatch(value) is not None
    return type(value) is int and value in shape if isinstance(shape, range) else type(value) is shape


def read(file: Path, shape: Any) -> tuple[dict[str, Any] | None, str]:
    """Return the document in a file, None if it is missing or has another shape, and the hash of its bytes."""
    try:
        document = json.loads((content := file.read_bytes()).decode())
    except (OSError, ValueError, RecursionError):
        return None, ""
    return (document if fits(document, shape) else None), hashlib.sha256(content).hexdigest()


def digest_of(file: Path) -> str | None:
    """Return the hash of a file's bytes, None if the file does not exist."""
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None


def check(root: Path, pinned: str | None = None, evidence: Path | None = None) -> list[str]:
    """Return a sentence for each thing that is not as recorded; none means that the root is intact."""
    reports = root / "reports" / "distillation"
    found, problems = [], []
    for path in sorted(reports.iterdir()) if reports.is_dir() else []:
        summary, digest = read(path / "summary.json", SUMMARY)
        if summary and summary["run_id"] == path.name:
            found.append((summary["seq"], path.name, summary, digest))
        elif not (path.name in BESIDE and path.is_file()):
            problems.append(f"{path.name}: it is not the folder of a run with its summary.")
    runs = [(summary, digest) for _, _, summary, digest in sorted(found, key=lambda run: run[:2])]
    digests = [digest for _, digest in runs]
    for seq, (summary, _) in enumerate(runs, start=1):
        if (summary["seq"], summary["previous"]) != (seq, digests[seq - 2] if seq > 1 else None):
            problems.append(f"{summary['run_id']}: it does not follow on the run before it.")
        problems += documents(reports / summary["run_id"], summary)
    problems += head(reports / "head", *(runs[-1] if runs else (None, "")))
    if pinned is not None and pinned.lower() not in digests:
        problems.append(f"pinned head: no run has a summary with the hash {pinned}.")
    return [*problems, *files(root, evidence, [summary for summary, _ in runs])]


def documents(folder: Path, summary: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong in the folder of a run."""
    bound = {document["path"]: document["sha256"] for document in summary["documents"]}
    wanted = {"drift.json", "summary.md", *(f"{stage['name']}.json" for stage in summary["stages"])}
    for name in sorted((wanted | {path.name for path in folder.iterdir()}) - {"summary.json"}):
        if name not in wanted or name not in bound or digest_of(folder / name) != bound[name]:
            yield f"{folder.name}/{name}: it is not what the run wrote."


def head(file: Path, newest: dict[str, Any] | None, digest: str) -> Iterator[str]:
    """Yield what is wrong with the head of the chain; the newest run determines its bytes."""
    names = newest and {"schema_version": 1, "seq": newest["seq"], "run_id": newest["run_id"], "sha256": digest}
    wanted = (json.dumps(names, indent=2, ensure_ascii=False) + "\n").encode()
    if (not file.is_file() or file.read_bytes() != wanted) if newest else file.exists():
        yield "head: it does not name the newest run."


def files(root: Path, evidence: Path | None, summaries: list[dict[str, Any]]) -> Iterator[str]:
    """Yield what is wrong with the files that the newest published run names, and each data file beside them."""
    published = next((summary for summary in reversed(summaries) if summary["published"]), None)
    named = set()
    for stage in published["stages"] if published else []:
        receipt, _ = read(root / "reports/distillation" / published["run_id"] / f"{stage['name']}.json", RECEIPT)
        if receipt is None:
            yield f"{published['run_id']}/{stage['name']}.json: it is no receipt."
            continue
        for entry in (entry for entry in receipt["outputs"]["files"] if entry["bytes"] is not None):
            named.add(root / entry["path"])
            if digest_of(root / entry["path"]) != entry["sha256"]:
                yield f"{entry['path']}: it is not what run {published['run_id']} published."
        for entry in receipt["inputs"]["files"] if receipt["stage"] == "collect" else []:
            file = (evidence or root / published["request"]["evidence"]) / entry["path"]
            is_judged = entry["sha256"] is not None and entry["bytes"] is not None and file.is_file()
            if is_judged and hashlib.sha256(file.read_bytes()[: entry["bytes"]]).hexdigest() != entry["sha256"]:
                yield f"{entry['path']}: its bytes are not those that run {published['run_id']} collected."
    exports = root / "exports"
    for path in sorted(exports.rglob("*")):
        is_data = path.name.lower().endswith((".jsonl", ".parquet"))
        top = path.relative_to(exports).parts[0]
        if is_data and top in {path.name, "rag", "sft", "preference", "quarantine"} and path not in named:
            yield f"{path.relative_to(root)}: no receipt names it."


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Check a root; exit code 1 if something is not as recorded.")
    parser.add_argument("root", type=Path)
    parser.add_argument("--head", metavar="HASH", help="A head written down elsewhere must be in the chain.")
    parser.add_argument("--evidence", type=Path, help="The evidence folder (default: where the run read it).")
    given = parser.parse_args()
    sentences = check(given.root, given.head, given.evidence)
    print(*sentences or ["Intact."], sep="\n")
    sys.exit(bool(sentences))
