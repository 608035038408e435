"""The text of a dataset card: what the datasets are, how they were made, what was refused and why, and what they lack."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from etl.base.markdown import inert, table
from etl.export.formats.cards.facts import Facts, Receipt, Summary
from etl.export.formats.cards.front_matter import Configs
from etl.export.formats.format import Author, Origin, Piece

#: So many models of a dataset are named; the others are counted together.
MODELS_NAMED = 20

#: What the configurations have.
MEANINGS = {
    "sft": "a prompt and its answer, from a record that may be trained on; a conversation is in `messages`",
    "preference": "two answers to one prompt, of which one is better",
    "rag": "a text for retrieval",
}

#: What a reason means that quarantines do not have.
OVER_CAP, UNREADABLE = "the task has max_pairs_per_task better pairs", "an item, or a file, that could not become a record"

LIMITS = """\
- Grades are taken from the evidence as it stands. A wrong grade makes a wrong row; nobody has judged the texts again.
- Exact duplicates ship once. Near-duplicates are kept.
- Texts are as the agents and their users wrote them. They were not searched for personal data or secrets.
- The sides of the split share no task and no prompt. They may share sources, models and tools.
- The licence of a text is that of its source. This card names it where the configuration does.
"""


def about(configs: Configs, pieces: Sequence[Piece], facts: Facts) -> str:
    """Return the text, in Markdown."""
    return "\n\n".join(part.strip() for part in _parts(configs, pieces, facts)) + "\n"


def _parts(configs: Configs, pieces: Sequence[Piece], facts: Facts) -> Iterator[str]:
    origin, summary, receipts = facts.origin, facts.summary, facts.receipts
    yield "# Datasets from evidence of LLM agents"
    yield (
        "Made by `etl` from logs of attempts at tasks. Rejected text can only be the rejected side of a pair. Each row names "
        "the item of the evidence that it is from. A refused record is in the quarantine, with its reason and without its text."
    )
    yield "## What it has"
    yield table(("configuration", "split", "rows"), [*_counts(configs, pieces)])
    yield "\n".join(f"- `{name}`: {meaning}." for name, meaning in MEANINGS.items() if name in configs)
    if any(name.startswith("quarantine_") for name in configs):
        yield "`quarantine_…` are rows that were refused, and why; `receipts` are the documents of the run, as JSON text."
    if origin.where is not None or origin.max_chars is not None:
        chosen = {"--where": origin.where, "--max-chars": origin.max_chars}
        yield (
            "The rows were chosen by "
            + " and ".join(f"{option} {inert(str(value))}" for option, value in chosen.items() if value is not None)
            + ". The other figures on this page are of all rows."
        )
    yield "## Where the texts are from"
    yield table(("source", "licence"), [(source, told or "not given") for source, told in facts.licenses.items()])
    yield from _written_by(origin.authors)
    yield "## How it was made"
    yield (
        f"By run {summary.run_id}, run {summary.seq} of its root, started at {summary.started_at}. It collected the evidence, "
        "gave each record a category by its grades, compared contents, and published what may ship."
    )
    yield table(
        ("stage", "in", "accepted", "rejected", "quarantined", "skipped"),
        [
            (receipt.stage, sum(counts), *counts)
            for receipt in receipts
            for counts in [(receipt.stats.accepted, receipt.stats.rejected, receipt.stats.quarantined, receipt.stats.skipped)]
        ],
    )
    yield "Settings of the run (drift settings and unset ones are left out):"
    yield table(("setting", "value"), [*_settings(summary)])
    if summary.overlay:
        yield f"These files replace rules of the product: {', '.join(map(inert, summary.overlay))}."
    yield "## What does not ship, and why"
    yield table(("stage", "reason", "rows", "what it means"), [*_refused(receipts, origin)])
    yield "## Hashes"
    yield f"The sha256 of the run's summary is `{facts.summary_sha256}`; it binds the receipts. These are the files:"
    yield table(("file", "rows", "sha256"), [(piece.path, piece.lines, piece.sha256) for piece in pieces])
    yield "## Known limits"
    yield LIMITS


def _counts(configs: Configs, pieces: Iterable[Piece]) -> Iterator[tuple[str, str, int]]:
    """Yield how many rows each configuration has in each split."""
    lines = {piece.path: piece.lines for piece in pieces}
    for name, splits in configs.items():
        for split, paths in splits.items():
            yield name, split, sum(map(lines.__getitem__, paths))


def _written_by(authors: Sequence[Author]) -> Iterator[str]:
    """Yield who wrote the answers, for each dataset: a pair has two answers."""
    for dataset in dict.fromkeys(author.dataset for author in authors):
        models: Counter[str] = Counter()
        for author in authors:
            if author.dataset == dataset:
                models[author.model or "not named"] += author.answers
        total, ranked = models.total(), models.most_common()
        rows = [(model, answers, _share(answers, total)) for model, answers in ranked[:MODELS_NAMED]]
        if others := ranked[MODELS_NAMED:]:
            answers = sum(answers for _, answers in others)
            rows.append((f"{len(others)} others", answers, _share(answers, total)))
        yield f"Who wrote the {'texts' if dataset == 'rag' else 'answers'} in {dataset}:"
        yield table(("model", "answers", "share"), rows)


def _share(part: int, whole: int) -> str:
    return f"{100 * part // whole} %" if 100 * part >= whole else "under 1 %"


def _refused(receipts: Iterable[Receipt], origin: Origin) -> Iterator[tuple[str, str, int, str]]:
    for receipt in receipts:
        for kind in ("skipped", "quarantined"):
            if receipt.stage == "score":
                continue  # its categories are no refusals
            for reason, rows in sorted(receipt.counts_by_reason.get(kind, {}).items(), key=lambda pair: (-pair[1], pair[0])):
                yield receipt.stage, reason, rows, origin.reasons.get(reason, OVER_CAP if reason == "over_cap" else UNREADABLE)


def _settings(summary: Summary) -> Iterator[tuple[str, str]]:
    for name, value in sorted(summary.request.settings.items()):
        if value is not None and not name.startswith("drift_"):
            yield name, str(value).lower() if isinstance(value, bool) else str(value)
