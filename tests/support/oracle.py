"""An oracle: what sections 4 to 6 of the specification say about a handful of records, in plain Python.

It is written from the specification and not from the SQL, so that the two can be compared. It is slow and simple on
purpose: every answer is found by looking at all records again.
"""

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol

Record = Mapping[str, Any]
"""The columns of evidence.record by name."""

Key = tuple[str, int, int]
"""(source_path, item_number, record_number): the key of a record."""

ACCEPTED = "accepted"
PARTIAL = "partially_accepted"
REJECTED = "rejected"
REVIEW = "needs_human_review"

VERDICTS = {
    **dict.fromkeys(("accept", "accepted", "approve", "approved", "pass", "passed", "success", "succeeded"), ACCEPTED),
    **dict.fromkeys(("resolved", "correct", "true", "lgtm"), ACCEPTED),
    **dict.fromkeys(("partial", "partially_accepted", "request_changes", "cycle"), PARTIAL),
    **dict.fromkeys(("reject", "rejected", "fail", "failed", "failure", "block", "blocked"), REJECTED),
    **dict.fromkeys(("unresolved", "incorrect", "false"), REJECTED),
    **dict.fromkeys(("review", "escalate", "needs_human_review"), REVIEW),
}


class Settings(Protocol):
    """The settings that sections 4 to 6 name."""

    accept_at: float
    partial_at: float
    grounded_accept_at: float
    grounded_partial_at: float
    max_pairs_per_task: int
    include_partial: bool
    include_review: bool


@dataclass(frozen=True)
class Candidate:
    """A pair in the window: its records, the rank of each on its side, and its outcome."""

    chosen: Key
    rejected: Key
    chosen_rank: int
    rejected_rank: int
    gap: str
    outcome: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class _Pair:
    """A pair in the window before its outcome is known."""

    chosen: Record
    rejected: Record
    i: int
    j: int


class Oracle:
    """Answers about these records under these settings; ``known_paths`` is the manifest, None if none was given."""

    def __init__(self, records: Sequence[Record], settings: Settings, known_paths: Collection[str] | None = None) -> None:
        self.records = records
        self.settings = settings
        self.known_paths = known_paths

    # Section 4: scoring.

    def score(self, record: Record) -> tuple[str, str]:
        """Return the category and the rule that decided it."""
        graded = self._graded(record)
        if graded is not None:
            return graded
        if record["source_class"] == "extraction":
            return self._category_of_verdicts(record["task_id"]), "parent"
        return by_markers(record["success_markers"], record["failure_markers"])

    def category(self, record: Record) -> str:
        """Return the category."""
        return self._categories[key(record)]

    @cached_property
    def _categories(self) -> dict[Key, str]:
        return {key(record): self.score(record)[0] for record in self.records}

    def _graded(self, record: Record) -> tuple[str, str] | None:
        settings, score, fraction = self.settings, record["score"], record["grounded_fraction"]
        if record["human_override"] is not None:
            return record["human_override"], "human_override"
        if not is_blank(record["verdict"]):
            return VERDICTS.get(trimmed(record["verdict"]).lower(), REVIEW), "verdict"
        if score is not None:
            return grade(score, settings.accept_at, settings.partial_at), "score"
        if fraction is not None:
            return grade(fraction, settings.grounded_accept_at, settings.grounded_partial_at), "grounded_fraction"
        return None

    def _category_of_verdicts(self, task_id: str) -> str:
        verdicts = [one for one in self.records if one["source_class"] == "verdict" and one["task_id"] == task_id]
        categories = {self.score(one)[0] for one in verdicts}
        return categories.pop() if len(categories) == 1 else REVIEW

    # Section 6: what sets a record aside.

    def rag_reasons(self, record: Record) -> tuple[str, ...]:
        """Return why the rag dataset refuses the record, in order of precedence; empty: it ships."""
        category = self.category(record)
        return self._reasons(
            record,
            empty_content=is_blank(record["response"]),
            unsafe_rag_category=category == REJECTED,
            category_disallowed=category == REVIEW and not self.settings.include_review,
        )

    def sft_reasons(self, record: Record) -> tuple[str, ...]:
        """Return why the sft dataset refuses the record, in order of precedence; empty: it ships."""
        category = self.category(record)
        return self._reasons(
            record,
            empty_content=is_blank(record["response"]) or is_blank(record["prompt"]),
            unsafe_sft_category=category in {REJECTED, REVIEW},
            category_disallowed=category == PARTIAL and not self.settings.include_partial,
        )

    def is_eligible(self, record: Record) -> bool:
        """Return whether nothing in the record itself sets it aside, whatever its category."""
        return not self._reasons(record, empty_content=is_blank(record["response"]))

    def _reasons(self, record: Record, **of_the_dataset: bool) -> tuple[str, ...]:
        applies = of_the_dataset | {
            "missing_provenance": is_blank(record["source_path"]) or is_blank(record["item_sha256"]),
            "missing_source_run_id": is_blank(record["run_id"]),
            "hallucinated_file_path": self._cites_an_absent_path(record),
            "duplicate_id": self._is_a_copy(record),
        }
        return in_order(applies)

    def _cites_an_absent_path(self, record: Record) -> bool:
        known = self.known_paths
        if known is None:
            return False
        # The specification does not say what a manifest means that lists a path outside its repository; here it admits none.
        return any(path not in known or leaves_the_repository(path) for path in record["cited_paths"] or ())

    def _is_a_copy(self, record: Record) -> bool:
        return any(other["evidence_id"] == record["evidence_id"] and key(other) < key(record) for other in self.records)

    # Section 5: pairs.

    @cached_property
    def candidates(self) -> list[Candidate]:
        """The pairs of all windows, task by task, each task's in the order of section 5."""
        found = []
        for task_id in sorted({record["task_id"] for record in self.records}):
            pairs = [
                pair
                for prompt in self._prompts(task_id)
                for pair in self._window(self._side("chosen", task_id, prompt), self._side("rejected", task_id, prompt))
            ]
            found += self._with_outcomes(sorted(pairs, key=place))
        return found

    def _with_outcomes(self, pairs: Sequence[_Pair]) -> list[Candidate]:
        decided, clean = [], 0
        for pair in pairs:
            reasons = pair_reasons(pair.chosen, pair.rejected)
            clean += not reasons
            beyond = clean > self.settings.max_pairs_per_task
            outcome = "quarantined" if reasons else "over_cap" if beyond else "exported"
            gap = f"accepted_over_{self.category(pair.rejected)}"
            decided.append(Candidate(key(pair.chosen), key(pair.rejected), pair.i, pair.j, gap, outcome, reasons))
        return decided

    def _window(self, chosen: Sequence[Record], rejected: Sequence[Record]) -> list[_Pair]:
        size = self.settings.max_pairs_per_task
        return [
            _Pair(one, other, i, j)
            for i, one in enumerate(chosen[:size], start=1)
            for j, other in enumerate(rejected[:size], start=1)
        ]

    def _prompts(self, task_id: str) -> set[str | None]:
        return {record["prompt"] for record in self.records if record["task_id"] == task_id}

    def _side(self, side: str, task_id: str, prompt: str | None) -> list[Record]:
        """Return the records on this side of this task and prompt, the best first."""
        members = [
            record
            for record in self.records
            if record["task_id"] == task_id and record["prompt"] == prompt and self.side(record) == side
        ]
        return sorted(members, key=best_first)

    def side(self, record: Record) -> str | None:
        """Return the side of a preference on which the record can be."""
        if not self.is_eligible(record):
            return None
        category = self.category(record)
        if category == PARTIAL:
            return None if self._has_eligible_rejected(record["task_id"], record["prompt"]) else "rejected"
        return {ACCEPTED: "chosen", REJECTED: "rejected"}.get(category)

    def _has_eligible_rejected(self, task_id: str, prompt: str | None) -> bool:
        return any(
            record["task_id"] == task_id
            and record["prompt"] == prompt
            and self.category(record) == REJECTED
            and self.is_eligible(record)
            for record in self.records
        )

    def pairing_outcome(self, record: Record) -> str:
        """Return the outcome of the record at the pairing."""
        side = self.side(record)
        if side is None:
            return "not_a_side" if self.is_eligible(record) else "ineligible"
        opposite = "rejected" if side == "chosen" else "chosen"
        task_id = record["task_id"]
        if not self._side(opposite, task_id, record["prompt"]):
            elsewhere = any(self._side(opposite, task_id, prompt) for prompt in self._prompts(task_id))
            return "prompt_differs" if elsewhere else "no_counterpart"
        outcomes = {pair.outcome for pair in self.candidates if key(record) in {pair.chosen, pair.rejected}}
        if "exported" in outcomes:
            return "paired"
        return "over_cap" if "over_cap" in outcomes or not outcomes else "refused"


PRECEDENCE = (
    "missing_provenance",
    "missing_source_run_id",
    "empty_content",
    "schema_violation",  # what a dataset requires is never null: evidence.record does not admit it
    "unsafe_sft_category",
    "unsafe_rag_category",
    "invalid_preference_pairing",
    "hallucinated_file_path",
    "duplicate_id",
    "self_pairing",
    "category_disallowed",
)


def in_order(applies: Mapping[str, bool]) -> tuple[str, ...]:
    """Return the reasons that apply, in order of precedence."""
    return tuple(reason for reason in PRECEDENCE if applies.get(reason))


def pair_reasons(chosen: Record, rejected: Record) -> tuple[str, ...]:
    """Return why a pair of eligible records is quarantined."""
    same = chosen["run_id"] == rejected["run_id"] or chosen["response"] == rejected["response"]
    return in_order({"invalid_preference_pairing": is_blank(chosen["prompt"]), "self_pairing": same})


def best_first(record: Record) -> tuple[bool, float, bool, datetime, str]:
    """Order records of one side: score descending, created_at ascending, each with null last, then evidence_id."""
    score, created_at = record["score"], record["created_at"]
    return (score is None, -(score or 0), created_at is None, created_at or datetime.min, record["evidence_id"])  # noqa: DTZ901


def place(pair: _Pair) -> tuple[int, int, int, str, str]:
    """Order the pairs of a task."""
    i, j = pair.i, pair.j
    return max(i, j), i + j, i, pair.chosen["evidence_id"], pair.rejected["evidence_id"]


def key(record: Record) -> Key:
    """Return the key of a record."""
    return record["source_path"], record["item_number"], record["record_number"]


def grade(number: float, accept_at: float, partial_at: float) -> str:
    """Return the category of a number that should lie between 0 and 1."""
    if not 0 <= number <= 1:
        return REVIEW
    return ACCEPTED if number >= accept_at else PARTIAL if number >= partial_at else REJECTED


def by_markers(success: Collection[str] | None, failure: Collection[str] | None) -> tuple[str, str]:
    """Return the category that the markers give, and the name of the rule; without markers nothing is signalled."""
    if success and failure:
        return PARTIAL, "markers"
    if success or failure:
        return (ACCEPTED if success else REJECTED), "markers"
    return REVIEW, "no_signal"


def leaves_the_repository(path: str) -> bool:
    """Return whether a path is absolute, starts with a drive letter, or climbs with '..'."""
    parts = path.replace("\\", "/").split("/")
    has_drive = path[1:2] == ":" and path[0].isascii() and path[0].isalpha()
    return has_drive or ".." in parts or (len(parts) > 1 and not parts[0])


def is_blank(text: str | None) -> bool:
    """Return whether a text is null or only white space."""
    return text is None or all(map(is_space, text))


def trimmed(text: str) -> str:
    """Return a text without the white space at its ends."""
    inner = [position for position, character in enumerate(text) if not is_space(character)]
    return text[inner[0] : inner[-1] + 1] if inner else ""


def is_space(character: str) -> bool:
    """Return whether a character is white space: ``[[:space:]]`` or Unicode Z."""
    return character in " \t\n\v\f\r" or unicodedata.category(character).startswith("Z")
