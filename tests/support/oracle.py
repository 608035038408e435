"""An oracle: what sections 4 to 6 of the specification say about a handful of records, in plain Python.

It is written from the specification and not from the SQL, so that the two can be compared. It is slow and simple on
purpose: every answer is found by looking at all records again.
"""

import json
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


Attempt = tuple[Any, ...]
"""A task and a run; of a record without a run its key as well."""


@dataclass(frozen=True)
class Signal:
    """What one rule makes of one record or grade."""

    category: str
    comparison: str | None
    is_by_grade: bool
    is_known: bool = True


@dataclass(frozen=True)
class Decision:
    """What the signals of a record say; ``decided_in`` is the comparison in which all that decided stand, if there is one."""

    category: str
    rule: str
    is_by_grade: bool = False
    comparison: str | None = None
    has_several_comparisons: bool = False
    decided_in: str | None = None


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
        self.records = [record for record in records if record["source_class"] != "grade"]
        self.grades = [record for record in records if record["source_class"] == "grade"]
        self.settings = settings
        self.known_paths = known_paths

    # Section 5: which grades meet which attempts.

    @cached_property
    def _attempts(self) -> set[Attempt]:
        return {attempt_of(record) for record in self.records}

    def met(self, grade: Record) -> list[Attempt]:
        """Return the attempts that a grade meets."""
        task_id, run_id = grade["task_id"], grade["run_id"]
        return [
            attempt
            for attempt in self._attempts
            if (task_id is None or attempt[0] == task_id) and (run_id is None or attempt[1] == run_id)
        ]

    def grade_outcome(self, grade: Record) -> str:
        """Return whether a grade meets one attempt, several or none."""
        met = len(self.met(grade))
        return "met" if met == 1 else "ambiguous_grade" if met else "unmatched_grade"

    @cached_property
    def _grades_by_attempt(self) -> Mapping[Attempt, list[Record]]:
        found: dict[Attempt, list[Record]] = {}
        for grade in self.grades:
            met = self.met(grade)
            if len(met) == 1 or grade["human_override"] == REJECTED:
                for attempt in met:
                    found.setdefault(attempt, []).append(grade)
        return found

    def grades_of(self, record: Record) -> list[Record]:
        """Return the grades that count for a record."""
        return self._grades_by_attempt.get(attempt_of(record), [])

    # Section 5: scoring.

    def score(self, record: Record) -> tuple[str, str]:
        """Return the category and the rule that decided it."""
        decision = self.decision(record)
        return decision.category, decision.rule

    def category(self, record: Record) -> str:
        """Return the category."""
        return self.decision(record).category

    def decision(self, record: Record) -> Decision:
        """Return the category, and what decided it."""
        return self._decisions[key(record)]

    @cached_property
    def _decisions(self) -> dict[Key, Decision]:
        own = {key(record): self._by_signals(record) for record in self.records}
        return {key(record): own[key(record)] or self._by_parent(record, own) for record in self.records}

    def lowest_score(self, record: Record) -> float | None:
        """Return the lowest score of a record and of its grades."""
        scores = [one["score"] for one in (record, *self.grades_of(record)) if one["score"] is not None]
        return min(scores, default=None)

    def _by_signals(self, record: Record) -> Decision | None:
        """Return what the rules but parent decide, None where none of them does."""
        if override := self._override(record):
            return override
        rules = ["infrastructure_error", "verdict", "score", "grounded_fraction"]
        rules += ["markers"] if record["source_class"] != "extraction" else []
        for rule in rules:
            signals = [signal for one in (record, *self.grades_of(record)) for signal in self._signal(one, rule)]
            signals = [signal for signal in signals if signal.is_known] or signals
            if signals:
                category = self._together(rule, record, signals)
                stand = {signal.comparison for signal in signals}
                return self._decided(record, category, rule, signals, stand.pop() if len(stand) == 1 else None)
        return None

    def _together(self, rule: str, record: Record, signals: Sequence[Signal]) -> str:
        if rule == "markers":
            told = [record, *self.grades_of(record)]
            success = any(one["success_markers"] for one in told)
            failure = any(one["failure_markers"] for one in told)
            return PARTIAL if success and failure else ACCEPTED if success else REJECTED
        categories = {signal.category for signal in signals}
        return categories.pop() if len(categories) == 1 else REVIEW

    def _decided(self, record: Record, category: str, rule: str, signals: Sequence[Signal], decided_in: str | None) -> Decision:
        foreign = {signal.comparison for signal in signals if signal.is_by_grade and signal.comparison is not None}
        own = record["comparison"]
        only = next(iter(foreign)) if len(foreign) == 1 else None
        return Decision(
            category,
            rule,
            is_by_grade=any(signal.is_by_grade for signal in signals),
            comparison=own if own is not None else only,
            has_several_comparisons=own is None and len(foreign) > 1,
            decided_in=decided_in,
        )

    def _signal(self, one: Record, rule: str) -> list[Signal]:
        """Return the signal that a record or grade has for a rule, if it has one."""
        settings, score, fraction = self.settings, one["score"], one["grounded_fraction"]
        category, is_known = None, True
        if rule == "infrastructure_error" and not is_blank(one["infrastructure_error"]):
            category = REVIEW
        if rule == "verdict" and not is_blank(one["verdict"]):
            word = trimmed(one["verdict"]).lower()
            category, is_known = VERDICTS.get(word, REVIEW), word in VERDICTS
        if rule == "score" and score is not None:
            category = grade(score, settings.accept_at, settings.partial_at)
        if rule == "grounded_fraction" and fraction is not None:
            category = grade(fraction, settings.grounded_accept_at, settings.grounded_partial_at)
        if rule == "markers" and (one["success_markers"] or one["failure_markers"]):
            category = "by markers"
        is_grade = one["source_class"] == "grade"
        return [Signal(category, one["comparison"], is_grade, is_known)] if category else []

    def attempt(self, record: Record) -> list[Record]:
        """Return the records of the attempt that a record tells of, itself among them."""
        return [one for one in self.records if attempt_of(one) == attempt_of(record)]

    def _override(self, record: Record) -> Decision | None:
        """Return the category that a person gave to the attempt."""
        told = [*self.attempt(record), *self.grades_of(record)]
        given = [one for one in told if one["human_override"] is not None]
        newest = max((one["created_at"] for one in given if one["created_at"]), default=None)
        holding = [one for one in given if one["created_at"] in {None, newest}]
        if not holding:
            return None
        signals = [Signal(one["human_override"], one["comparison"], one["source_class"] == "grade") for one in holding]
        lowest = min((signal.category for signal in signals), key=STANDING.index)
        return self._decided(record, lowest, "human_override", signals, None)

    def _by_parent(self, record: Record, own: Mapping[Key, Decision | None]) -> Decision:
        if record["source_class"] != "extraction":
            return Decision(REVIEW, "no_signal", comparison=record["comparison"])
        categories = set()
        for one in self.records:
            decision = own[key(one)]
            is_parent = one["source_class"] == "verdict" or (decision is not None and decision.is_by_grade)
            if is_parent and one["task_id"] == record["task_id"]:
                categories.add(decision.category if decision else REVIEW)
        return Decision(categories.pop() if len(categories) == 1 else REVIEW, "parent", comparison=record["comparison"])

    def is_contradicted(self, record: Record) -> bool:
        """Return whether law 3 keeps a record back that is not rejected itself."""
        mine = self.decision(record)
        if mine.category == REJECTED:
            return False
        attempt = self.attempt(record)
        same = [one for one in self.records if one["task_id"] == record["task_id"] and is_same_content(one, record)]
        for one in [*attempt, *same]:
            other = self.decision(one)
            is_by_person = other.rule == "human_override"
            counts = is_by_person or other.decided_in is None or other.decided_in == mine.comparison
            is_outweighed = (mine.category, mine.rule) == (ACCEPTED, "human_override") and not is_by_person
            if other.category == REJECTED and counts and not is_outweighed:
                return True
        return False

    # Section 6: what sets a record aside.

    def rag_reasons(self, record: Record) -> tuple[str, ...]:
        """Return why the rag dataset refuses the record, in order of precedence; empty: it ships."""
        return self._with_duplicate(record, self._rag_reasons)

    def _rag_reasons(self, record: Record) -> tuple[str, ...]:
        category = self.category(record)
        return self._reasons(
            record,
            empty_content=is_blank(record["response"]),
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
            empty_content=is_answer_empty(record),
            empty_prompt=is_blank(record["prompt"]),
            schema_violation=has_unparsed_call(record),
            unsafe_sft_category=category in {REJECTED, REVIEW},
            category_disallowed=category == PARTIAL and not self.settings.include_partial,
            contradicted=self.is_contradicted(record),
        )

    def _with_duplicate(self, record: Record, reasons_of: Callable[[Record], tuple[str, ...]]) -> tuple[str, ...]:
        """Return the other reasons, and duplicate_content where another record with the content ships."""
        reasons = reasons_of(record)
        best = self._best(record, reasons_of)
        is_duplicate = best is not None and key(best) != key(record)
        if conversation(record) is None and not is_blank(record["response"]):
            for one in self.records:
                if conversation(one) is not None and turn(one) == turn(record):
                    ships = self._best(one, reasons_of)
                    is_duplicate |= ships is not None and key(ships) == key(one)
        return in_order(dict.fromkeys(reasons, True) | {"duplicate_content": is_duplicate})

    def _best(self, record: Record, reasons_of: Callable[[Record], tuple[str, ...]]) -> Record | None:
        """Return the record that ships of those with contents equal to this one's."""
        equal = [one for one in self.records if content(one) == content(record) and not reasons_of(one)]
        return min(
            equal, key=lambda one: (-STANDING.index(self.category(one)), conversation(one) is None, key(one)), default=None
        )

    def is_eligible(self, record: Record) -> bool:
        """Return whether the record may stand in a pair, whatever its side."""
        return key(record) in self._eligible

    @cached_property
    def _eligible(self) -> set[Key]:
        """The first of equal contents in each group and category, of the records that nothing else sets aside."""
        clean = [one for one in self.records if not self._sets_aside(one)]
        group = [(self.group(one), self.category(one), content(one)) for one in clean]
        return {min(key(one) for one, other in zip(clean, group, strict=True) if other == mine) for mine in group}

    def _sets_aside(self, record: Record) -> bool:
        is_chosen = self.category(record) == ACCEPTED
        as_chosen = is_chosen and (self.is_contradicted(record) or has_unparsed_call(record))
        return as_chosen or bool(self._reasons(record, empty_content=is_answer_empty(record)))

    def _reasons(self, record: Record, **of_the_dataset: bool) -> tuple[str, ...]:
        applies = of_the_dataset | {
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
        mine = answer(record)
        prompts = {normalised(one["prompt"]) for one in self.records if answer(one) == mine}
        return sum(len(text) for _, text, _ in mine) >= 32 and len(prompts) > self.settings.max_prompts_per_response

    def _is_a_copy(self, record: Record) -> bool:
        return any(other["evidence_id"] == record["evidence_id"] and key(other) < key(record) for other in self.records)

    # Section 6: pairs.

    def group(self, record: Record) -> tuple[Any, ...]:
        """Return what the two sides of a pair share."""
        return record["task_id"], prompt_messages(record), record["tools"], self.decision(record).comparison

    @cached_property
    def candidates(self) -> list[Candidate]:
        """The pairs of all windows, task by task, each task's in the order of section 6."""
        found = []
        for task_id in sorted({record["task_id"] for record in self.records}):
            groups = {self.group(record) for record in self.records if record["task_id"] == task_id}
            pairs = [
                pair for group in groups for pair in self._window(self._side("chosen", group), self._side("rejected", group))
            ]
            found += self._with_outcomes(sorted(pairs, key=self._place))
        return found

    def _with_outcomes(self, pairs: Sequence[_Pair]) -> list[Candidate]:
        decided, clean = [], 0
        for at, pair in enumerate(pairs):
            reasons = pair_reasons(
                pair.chosen,
                pair.rejected,
                contradicted=not is_same_content(pair.chosen, pair.rejected)
                and any(
                    is_same_content(pair.chosen, other.rejected) and is_same_content(pair.rejected, other.chosen)
                    for other in pairs
                ),
                duplicate_content=any(
                    is_same_content(pair.chosen, other.chosen) and is_same_content(pair.rejected, other.rejected)
                    for other in pairs[:at]
                ),
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

    def _place(self, pair: _Pair) -> tuple[int, int, int, bool, float, str, str]:
        """Order the pairs of a task."""
        i, j, scores = pair.i, pair.j, (self.lowest_score(pair.chosen), self.lowest_score(pair.rejected))
        gap = None if scores[0] is None or scores[1] is None else scores[0] - scores[1]
        return max(i, j), i + j, i, gap is None, -(gap or 0), pair.chosen["evidence_id"], pair.rejected["evidence_id"]

    def _side(self, side: str, group: tuple[Any, ...]) -> list[Record]:
        """Return the records on this side of this group, the best first."""
        members = [record for record in self.records if self.group(record) == group and self.side(record) == side]
        return sorted(members, key=self._best_first)

    def _best_first(self, record: Record) -> tuple[bool, float, bool, datetime, str]:
        """Order records of one side: score descending, created_at ascending, each with null last, then evidence_id."""
        score, created_at = self.lowest_score(record), record["created_at"]
        return (score is None, -(score or 0), created_at is None, created_at or datetime.min, record["evidence_id"])  # noqa: DTZ901

    def side(self, record: Record) -> str | None:
        """Return the side of a preference on which the record can be."""
        if not self.is_eligible(record) or self.decision(record).has_several_comparisons:
            return None
        category = self.category(record)
        if category == PARTIAL:
            return None if self._has_eligible_rejected(self.group(record)) else "rejected"
        return {ACCEPTED: "chosen", REJECTED: "rejected"}.get(category)

    def _has_eligible_rejected(self, group: tuple[Any, ...]) -> bool:
        return any(
            self.group(record) == group
            and self.category(record) == REJECTED
            and self.is_eligible(record)
            and not self.decision(record).has_several_comparisons
            for record in self.records
        )

    def pairing_outcome(self, record: Record) -> str:
        """Return the outcome of the record at the pairing."""
        side = self.side(record)
        if side is None:
            return "not_a_side" if self.is_eligible(record) else "ineligible"
        facing = [
            self.group(one) for one in self.records if self.side(one) == {"chosen": "rejected", "rejected": "chosen"}[side]
        ]
        mine = self.group(record)
        for length, outcome in ((1, "no_counterpart"), (3, "prompt_differs"), (4, "not_comparable")):
            if mine[:length] not in [group[:length] for group in facing]:
                return outcome
        outcomes = {pair.outcome for pair in self.candidates if key(record) in {pair.chosen, pair.rejected}}
        if "exported" in outcomes:
            return "paired"
        return "over_cap" if "over_cap" in outcomes or not outcomes else "refused"


PRECEDENCE = (
    "missing_provenance",
    "missing_source_run_id",
    "empty_content",
    "empty_prompt",
    "schema_violation",
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
    same = chosen["run_id"] == rejected["run_id"] or answer(chosen) == answer(rejected)
    return in_order({"invalid_preference_pairing": is_blank(chosen["prompt"]), "self_pairing": same} | of_the_task)


def key(record: Record) -> Key:
    """Return the key of a record."""
    return record["source_path"], record["item_number"], record["record_number"]


def grade(number: float, accept_at: float, partial_at: float) -> str:
    """Return the category of a number that should lie between 0 and 1."""
    if not 0 <= number <= 1:
        return REVIEW
    return ACCEPTED if number >= accept_at else PARTIAL if number >= partial_at else REJECTED


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


def attempt_of(record: Record) -> Attempt:
    """Return the attempt that a record tells of; without a run it is one by itself."""
    lone = () if record["run_id"] is not None else key(record)
    return (record["task_id"], record["run_id"], *lone)


# Section 4: conversations; section 6: what is compared.


def conversation(record: Record) -> list[Any] | None:
    """Return the messages of a record up to the last one of the assistant; None where it has no conversation."""
    messages = json.loads(record["messages"]) if record["messages"] else []
    while messages and messages[-1]["role"] != "assistant":
        messages.pop()
    return messages or None


def prompt_length(messages: Sequence[Any]) -> int:
    """Return how many messages of a conversation are its prompt."""
    roles = [message["role"] for message in messages]
    for at, role in enumerate(roles):
        if role == "assistant" and "user" in roles[:at]:
            return at
    return roles.index("assistant")


def prompt_messages(record: Record) -> str | None:
    """Return the messages of the prompt as they stand; those of a record without a conversation are one."""
    messages = conversation(record)
    if messages is None:
        return None if record["prompt"] is None else json.dumps([{"role": "user", "content": record["prompt"]}])
    return json.dumps(messages[: prompt_length(messages)])


def compared(messages: Sequence[Any]) -> tuple[Any, ...]:
    """Return what of messages is compared: roles, texts, and names and arguments of calls."""
    return tuple(
        (
            message["role"],
            normalised(message["content"]),
            tuple(
                (call["function"]["name"], comparable(call["function"]["arguments"])) for call in message.get("tool_calls", [])
            ),
        )
        for message in messages
    )


def comparable(value: Any) -> Any:
    """Return a JSON value with its texts normalised, its keys as they stand; numbers are told from texts."""
    if isinstance(value, dict):
        return tuple(("key", name, comparable(inner)) for name, inner in value.items())
    if isinstance(value, list):
        return ("list", *map(comparable, value))
    return normalised(value) if isinstance(value, str) else repr(value)


def content(record: Record) -> tuple[Any, ...]:
    """Return the content of a record: its conversation, else its prompt and response as two messages."""
    messages = conversation(record)
    if messages is None:
        return (("user", normalised(record["prompt"]), ()), ("assistant", normalised(record["response"]), ()))
    return compared(messages)


def answer(record: Record) -> tuple[Any, ...]:
    """Return what follows the prompt, as it is compared."""
    messages = conversation(record)
    if messages is None:
        return (("assistant", normalised(record["response"]), ()),)
    return compared(messages[prompt_length(messages) :])


def turn(record: Record) -> tuple[str, str]:
    """Return the turn of a record: its prompt and response, as texts are compared."""
    return normalised(record["prompt"]), normalised(record["response"])


def is_same_content(one: Record, other: Record) -> bool:
    """Return whether two records have the same content: a text may have the turn of a conversation."""
    is_mixed = (conversation(one) is None) != (conversation(other) is None)
    is_one_turn = is_mixed and turn(one) == turn(other) and not is_blank(one["response"])
    return content(one) == content(other) or is_one_turn


def is_answer_empty(record: Record) -> bool:
    """Return whether no assistant message of the answer has a visible text or a call."""
    return not any(role == "assistant" and (text or calls) for role, text, calls in answer(record))


def has_unparsed_call(record: Record) -> bool:
    """Return whether a call of the answer has arguments that were no JSON object."""
    messages = conversation(record) or []
    after = messages[prompt_length(messages) :] if messages else []
    calls = [call for message in after for call in message.get("tool_calls", [])]
    return any([*call["function"]["arguments"]] == ["unparsed"] for call in calls)


def trimmed(text: str) -> str:
    """Return a text without the white space at its ends."""
    inner = [position for position, character in enumerate(text) if not is_space(character)]
    return text[inner[0] : inner[-1] + 1] if inner else ""


def is_space(character: str) -> bool:
    """Return whether a character is white space: Unicode Z, U+0009 to 000D or U+0085."""
    return character in "\t\n\v\f\r\x85" or unicodedata.category(character).startswith("Z")
