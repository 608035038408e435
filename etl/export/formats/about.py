"""The text of a dataset card: what the datasets are, how they were made, what was refused and why, and what they lack."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

from msgspec import Struct, field
from msgspec.json import decode

from etl.base.markdown import inert, table
from etl.export.formats.card import Configs
from etl.export.formats.format import Author, Origin, Piece

#: So many models of a dataset are named; the others are counted together.
MODELS_NAMED = 20

#: What the configurations have.
MEANINGS = {
    "sft": "a prompt and its answer, from a record that may be trained on; a conversation is in `messages`",
    "preference": "two answers to one prompt, of which one is better",
    "rag": "a text to look up",
}

#: Why rows are skipped that nothing is wrong with.
SKIPPED = {"over_cap": "the task has max_pairs_per_task better pairs"}

LIMITS = """\
- Grades are taken from the evidence as it stands. A wrong grade makes a wrong row; nobody has judged the texts again.
- Equal contents ship once, near-duplicates do not count as equal.
- Texts are as the agents and their users wrote them. They were not searched for personal data or secrets.
- The sides of the split share no task and no prompt. They may share sources, models and tools.
- The licence of a text is that of its source. This card names it where the configuration does.
"""


class Stats(Struct):
    """What became of the records of a stage."""

    accepted: int
    rejected: int
    quarantined: int
    skipped: int


class Side(Struct):
    """The files that a stage read, or wrote."""

    hash: str
    record_count: int


class Receipt(Struct):
    """What a card tells of a receipt."""

    stage: str
    stats: Stats
    counts_by_reason: dict[str, dict[str, int]]
    inputs: Side
    outputs: Side
    code_hash: str


class Request(Struct):
    """What a run was asked for."""

    settings: dict[str, bool | int | float | str | None]


class Summary(Struct):
    """What a card tells of the summary of a run."""

    run_id: str
    seq: int
    started_at: str
    request: Request
    overlay: list[str] = field(default_factory=list)


def summary_of(origin: Origin) -> Summary:
    """Return the summary of the run."""
    return decode(origin.documents["summary.json"], type=Summary)


def receipts_of(origin: Origin) -> list[Receipt]:
    """Return the receipts of the run's stages."""
    return [decode(text, type=Receipt) for name, text in origin.documents.items() if name != "summary.json"]


def licenses_of(origin: Origin) -> dict[str, str | None]:
    """Return the licence of each source whose texts are in the datasets, as etl.toml gives it; None where it gives none."""
    given = summary_of(origin).request.settings
    found = ((author.source, given.get(f"sources.{author.source}.license")) for author in origin.authors)
    return {source: None if value is None else str(value) for source, value in sorted(found, key=lambda pair: pair[0])}


def license_of(origin: Origin) -> str | None:
    """Return the licence of all sources, ``other`` where they have several, None where one has none."""
    licenses = {*licenses_of(origin).values()}
    if not licenses or None in licenses:
        return None
    return "other" if len(licenses) > 1 else licenses.pop()


def about(configs: Configs, pieces: Sequence[Piece], origin: Origin) -> str:
    """Return the text, in Markdown."""
    return "\n\n".join(part.strip() for part in _parts(configs, pieces, origin)) + "\n"


def _parts(configs: Configs, pieces: Sequence[Piece], origin: Origin) -> Iterator[str]:
    summary, receipts = summary_of(origin), receipts_of(origin)
    yield "# Datasets from evidence of LLM agents"
    yield (
        "Made by `etl` from logs of attempts at tasks. Rejected text can only be the rejected side of a pair. Each row names "
        "the item of the evidence that it is from. Each refused row is in the quarantine, with its reason and without its text."
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
    yield table(("source", "licence"), [(source, told or "not given") for source, told in licenses_of(origin).items()])
    yield from _written_by(origin.authors)
    yield "## How it was made"
    yield (
        f"Run {summary.run_id}, the {_ordinal(summary.seq)} of its root, began at {summary.started_at}. It collected the "
        "evidence, gave each record a category by its grades, compared contents, and published what may ship."
    )
    yield table(
        ("stage", "in", "accepted", "rejected", "quarantined", "skipped"),
        [
            (receipt.stage, sum(counts), *counts)
            for receipt in receipts
            for counts in [(receipt.stats.accepted, receipt.stats.rejected, receipt.stats.quarantined, receipt.stats.skipped)]
        ],
    )
    yield "Its settings, but for those of drift and those that are not set:"
    yield table(("setting", "value"), [*_settings(summary)])
    if summary.overlay:
        yield f"These files replace rules of the product: {', '.join(map(inert, summary.overlay))}."
    yield "## What was refused, and why"
    yield table(("stage", "reason", "rows", "what it means"), [*_refused(receipts, origin)])
    yield "## Hashes"
    yield f"The sha256 of the run's summary is `{_hash(origin)}`; it binds the receipts. These are the files:"
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
        yield f"Answers in {dataset}, by the model that wrote them:"
        yield table(("model", "answers", "share"), rows)


def _share(part: int, whole: int) -> str:
    return f"{100 * part // whole} %" if 100 * part >= whole else "under 1 %"


def _refused(receipts: Iterable[Receipt], origin: Origin) -> Iterator[tuple[str, str, int, str]]:
    for receipt in receipts:
        for kind in ("skipped", "quarantined"):
            if receipt.stage == "score":
                continue  # its categories are no refusals
            for reason, rows in sorted(receipt.counts_by_reason.get(kind, {}).items(), key=lambda pair: (-pair[1], pair[0])):
                yield receipt.stage, reason, rows, origin.reasons.get(reason, SKIPPED.get(reason, ""))


def _settings(summary: Summary) -> Iterator[tuple[str, str]]:
    for name, value in sorted(summary.request.settings.items()):
        if value is not None and not name.startswith("drift_"):
            yield name, str(value).lower() if isinstance(value, bool) else str(value)


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _hash(origin: Origin) -> str:
    return sha256(origin.documents["summary.json"].encode()).hexdigest()
