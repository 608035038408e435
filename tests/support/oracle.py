"""An oracle: what sections 5 and 6 of the specification say about a handful of records, in plain Python.

It is written from the specification and not from the SQL, so that the two can be compared. It is slow and simple on
purpose: every answer is found by looking at all records again.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
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

#: From the lowest category to the best.
STANDING = (REJECTED, REVIEW, PARTIAL, ACCEPTED)

VERDICTS = {
    **dict.fromkeys(("accept", "accepted", "approve", "approved", "pass", "passed", "success", "succeeded"), ACCEPTED),
    **dict.fromkeys(("resolved", "correct", "true", "lgtm"), ACCEPTED),
    **dict.fromkeys(("partial", "partially_accepted", "request_changes", "cycle"), PARTIAL),
    **dict.fromkeys(("reject", "rejected", "fail", "failed", "failure", "block", "blocked"), REJECTED),
    **dict.fromkeys(("unresolved", "incorrect", "false"), REJECTED),
    **dict.fromkeys(("review", "escalate", "needs_human_review"), REVIEW),
}


class Settings(Protocol):
    """The settings that sections 5 and 6 name."""

    accept_at: float
    partial_at: float
    grounded_accept_at: float
    grounded_partial_at: float
    max_pairs_per_task: int
    max_prompts_per_response: int
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

    # Section 5: scoring.

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
        override = self._override(record)
        if override is not None:
            return override, "human_override"
        if not is_blank(record["infrastructure_error"]):
            return REVIEW, "infrastructure_error"
        if not is_blank(record["verdict"]):
            return VERDICTS.get(trimmed(record["verdict"]).lower(), REVIEW), "verdict"
        if score is not None:
            return grade(score, settings.accept_at, settings.partial_at), "score"
        if fraction is not None:
            return grade(fraction, settings.grounded_accept_at, settings.grounded_partial_at), "grounded_fraction"
        return None

    def attempt(self, record: Record) -> list[Record]:
        """Return the records of the attempt that a record tells of, itself among them."""
        if record["run_id"] is None:
            return [record]
        return [one for one in self.records if (one["task_id"], one["run_id"]) == (record["task_id"], record["run_id"])]

    def _override(self, record: Record) -> str | None:
        """Return the category that a person gave to the attempt."""
        given = [one for one in self.attempt(record) if one["human_override"] is not None]
        newest = max((one["created_at"] for one in given if one["created_at"]), default=None)
        holding = [one["human_override"] for one in given if one["created_at"] in {None, newest}]
        return min(holding, key=STANDING.index, default=None)

    def is_contradicted(self, record: Record) -> bool:
        """Return whether law 3 keeps a record back that is not rejected itself."""
        if self.category(record) == REJECTED:
            return False
        attempt = self.attempt(record)
        same = [one for one in self.records if one["task_id"] == record["task_id"] and content(one) == content(record)]
        rejected = [one for one in [*attempt, *same] if self.category(one) == REJECTED]
        if (self.category(record), self.score(record)[1]) == (ACCEPTED, "human_override"):
            rejected = [one for one in rejected if self.score(one)[1] == "human_override"]
        return bool(rejected)

    def _category_of_verdicts(self, task_id: str) -> str:
        verdicts = [one for one in self.records if one["source_class"] == "verdict" and one["task_id"] == task_id]
        categories = {self.score(one)[0] for one in verdicts}
        return categories.pop() if len(categories) == 1 else REVIEW

    # Section 6: what sets a record aside.

    def rag_reasons(self, record: Record) -> tuple[str, ...]:
        """Return why the rag dataset refuses the record, in order of precedence; empty: it ships."""
        return self._with_duplicate(record, self._rag_reasons)

    def _rag_reasons(self, record: Record) -> tuple[str, ...]:
        category = self.category(record)
        return self._reasons(
            record,
            unsafe_rag_category=category == REJECTED,
            category_disallowed=category == REVIEW and not self.settings.include_review,
            contradicted=self.is_contradicted(record),
        )

    def sft_reasons(self, record: Record) -> tuple[str, ...]:
        """Return why the sft dataset refuses the record, in order of precedence; empty: it ships."""
        return self._with_duplicate(record, self._sft_reasons)

    def _sft_reasons(self, record: Record) -> tuple[str, ...]:
        category = self.category(record)
        return self._reasons(
            record,
            empty_prompt=is_blank(record["prompt"]),
            unsafe_sft_category=category in {REJECTED, REVIEW},
            category_disallowed=category == PARTIAL and not self.settings.include_partial,
            contradicted=self.is_contradicted(record),
        )

    def _with_duplicate(self, record: Record, reasons_of: Callable[[Record], tuple[str, ...]]) -> tuple[str, ...]:
        """Return the other reasons, or duplicate_content where there is none and another record with the content ships."""
        if reasons := reasons_of(record):
            return reasons
        same = [one for one in self.records if content(one) == content(record) and not reasons_of(one)]
        best = min(same, key=lambda one: (-STANDING.index(self.category(one)), key(one)))
        return () if key(best) == key(record) else ("duplicate_content",)

    def is_eligible(self, record: Record) -> bool:
        """Return whether the record may stand in a pair, whatever its side."""
        return key(record) in self._eligible

    @cached_property
    def _eligible(self) -> set[Key]:
        """The first of equal contents in each group and category, of the records that nothing else sets aside."""
        clean = [one for one in self.records if not self._sets_aside(one)]
        group = [(one["task_id"], one["prompt"], self.category(one), content(one)) for one in clean]
        return {min(key(one) for one, other in zip(clean, group, strict=True) if other == mine) for mine in set(group)}

    def _sets_aside(self, record: Record) -> bool:
        as_chosen = self.category(record) == ACCEPTED and self.is_contradicted(record)
        return as_chosen or bool(self._reasons(record))

    def _reasons(self, record: Record, **of_the_dataset: bool) -> tuple[str, ...]:
        applies = of_the_dataset | {
            "empty_content": is_blank(record["response"]),
            "repeated_response": self._gives_a_constant_response(record),
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

    def _gives_a_constant_response(self, record: Record) -> bool:
        answer = normalised(record["response"])
        prompts = {normalised(one["prompt"]) for one in self.records if normalised(one["response"]) == answer}
        return len(answer) >= 32 and len(prompts) > self.settings.max_prompts_per_response

    def _is_a_copy(self, record: Record) -> bool:
        return any(other["evidence_id"] == record["evidence_id"] and key(other) < key(record) for other in self.records)

    # Section 6: pairs.

    @cached_property
    def candidates(self) -> list[Candidate]:
        """The pairs of all windows, task by task, each task's in the order of section 6."""
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
        contents = [(content(pair.chosen), content(pair.rejected)) for pair in pairs]
        for at, pair in enumerate(pairs):
            reasons = pair_reasons(
                pair.chosen,
                pair.rejected,
                contradicted=contents[at][0] != contents[at][1] and contents[at][::-1] in contents,
                duplicate_content=contents[at] in contents[:at],
            )
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
    "empty_prompt",
    "schema_violation",  # what a dataset requires is never null: evidence.record does not admit it
    "unsafe_sft_category",
    "unsafe_rag_category",
    "contradicted",
    "invalid_preference_pairing",
    "hallucinated_file_path",
    "duplicate_id",
    "duplicate_content",
    "repeated_response",
    "self_pairing",
    "category_disallowed",
)


def in_order(applies: Mapping[str, bool]) -> tuple[str, ...]:
    """Return the reasons that apply, in order of precedence."""
    return tuple(reason for reason in PRECEDENCE if applies.get(reason))


def pair_reasons(chosen: Record, rejected: Record, **of_the_task: bool) -> tuple[str, ...]:
    """Return why a pair of eligible records is quarantined; ``of_the_task`` tells of the task's other pairs."""
    same = chosen["run_id"] == rejected["run_id"] or normalised(chosen["response"]) == normalised(rejected["response"])
    return in_order({"invalid_preference_pairing": is_blank(chosen["prompt"]), "self_pairing": same} | of_the_task)


def best_first(record: Record) -> tuple[bool, float, bool, datetime, str]:
    """Order records of one side: score descending, created_at ascending, each with null last, then evidence_id."""
    score, created_at = record["score"], record["created_at"]
    return (score is None, -(score or 0), created_at is None, created_at or datetime.min, record["evidence_id"])  # noqa: DTZ901


def place(pair: _Pair) -> tuple[int, int, int, bool, float, str, str]:
    """Order the pairs of a task."""
    i, j, scores = pair.i, pair.j, (pair.chosen["score"], pair.rejected["score"])
    gap = None if None in scores else scores[0] - scores[1]
    return max(i, j), i + j, i, gap is None, -(gap or 0), pair.chosen["evidence_id"], pair.rejected["evidence_id"]


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
    """Return whether nothing of a text is left when it is normalised."""
    return not normalised(text)


def normalised(text: str | None) -> str:
    """Return a text as texts are compared."""
    spaced = (" " if is_space(character) else character for character in text or "")
    kept = "".join(character for character in spaced if unicodedata.category(character) not in {"Cc", "Cf", "Co"})
    return re.sub(" +", " ", unicodedata.normalize("NFC", kept)).strip(" ")


def content(record: Record) -> tuple[str, str]:
    """Return the content of a record: its prompt and response, as texts are compared."""
    return normalised(record["prompt"]), normalised(record["response"])


def trimmed(text: str) -> str:
    """Return a text without the white space at its ends."""
    inner = [position for position, character in enumerate(text) if not is_space(character)]
    return text[inner[0] : inner[-1] + 1] if inner else ""


def is_space(character: str) -> bool:
    """Return whether a character is white space: Unicode Z, U+0009 to 000D or U+0085."""
    return character in "\t\n\v\f\r\x85" or unicodedata.category(character).startswith("Z")
