"""Writes the same rows with polars: python polars_peer.py EVIDENCE OUT [--threads N].

As in the DuckDB script, all that is compared is a 64-bit hash, records are narrow rows in the order of their lines, and texts
are fetched when an output is written.
"""

import argparse
import os
from hashlib import sha256
from pathlib import Path

import polars as pl
from polars import col, lit
from sums import write_sums
from talks import as_json, talk_of

FIELDS = pl.Struct(
    dict.fromkeys(("run_id", "task_id", "created_at", "model", "prompt", "response", "verdict", "comparison"), pl.String)
    | {"score": pl.Float64}
)
TALK = {
    "said_prompt": pl.String,
    "said_response": pl.String,
    "prompt_messages": pl.String,
    "answer_messages": pl.String,
    "tools": pl.String,
    "asked_exactly": pl.String,
    "is_one_prompt": pl.Boolean,
    "is_one_answer": pl.Boolean,
    "asked_calls": pl.String,
    "answer_calls": pl.String,
    "asked_texts": pl.List(pl.String),
    "answer_texts": pl.List(pl.String),
    "is_answer_empty": pl.Boolean,
    "has_unparsed_call": pl.Boolean,
}

#: From the worst to the best.
CATEGORIES = pl.Enum(["rejected", "needs_human_review", "partially_accepted", "accepted"])
REJECTED, REVIEW, PARTIAL, ACCEPTED = (lit(name, CATEGORIES) for name in CATEGORIES.categories)
WORDS = {
    word: category
    for category, words in {
        "accepted": "accept accepted approve approved pass passed success succeeded resolved correct true lgtm",
        "partially_accepted": "partial partially_accepted request_changes cycle",
        "rejected": "reject rejected fail failed failure block blocked unresolved incorrect false",
    }.items()
    for word in words.split()
}
WHITE = r"[\p{Z}\t-\r\u{85}]"

#: What a text has that needs more than spaces for white space and no control characters of ASCII; see policy.is_simple.
HARD = (
    r"[^\x00-\x7F\p{L}\p{N}\p{P}\p{S}]|[\u{374}-\u{387}\u{958}-\u{95F}\u{9DC}-\u{9DF}\u{A33}-\u{A5E}\u{B5C}\u{B5D}"
    r"\u{F43}-\u{F69}\u{1161}-\u{1175}\u{11A8}-\u{11C2}\u{1F71}-\u{1FFD}\u{2126}-\u{212B}\u{2329}\u{232A}\u{2ADC}"
    r"\u{F900}-\u{FAD9}\u{FB1D}-\u{FB4E}\u{1D15E}-\u{1D1C0}\u{2F800}-\u{2FA1D}]"
)
FEW = 5
MOST_PROMPTS = 20


def hashes(lines: pl.Series) -> pl.Series:
    """Return the sha256 of each line, which polars cannot compute itself."""
    return pl.Series([sha256(line.encode()).hexdigest() for line in lines], dtype=pl.String)


def read(evidence: Path) -> pl.DataFrame:
    """Return the good lines with their fields."""
    line = col("line")
    is_good = (
        line.str.ends_with("}")
        & ~line.str.contains_any(["NaN", "\ufffd"])
        & (line.str.count_matches('"source_class"', literal=True) == 1)
    )
    return (
        pl.scan_csv(
            evidence / "evidence.jsonl",
            separator="\x1f",
            quote_char=None,
            has_header=False,
            encoding="utf8-lossy",
            new_columns=["line"],
            row_index_name="item_number",
            row_index_offset=1,
        )
        .filter(is_good)
        .select(
            col("item_number").cast(pl.Int64),
            line.map_batches(hashes, return_dtype=pl.String).alias("item_sha256"),
            pl.when(line.str.contains('"messages": [', literal=True)).then(line).alias("talk"),
            line.str.json_decode(FIELDS).alias("field"),
        )
        .unnest("field")
        .filter(col("task_id").is_not_null())
        .with_columns(col("created_at").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC"))
        .collect()
    )


def compared(texts: pl.Series) -> pl.DataFrame:
    """Return hash and length of each text in normal form; the cheapest test for texts that are normal already comes first."""
    text = pl.DataFrame({"text": texts.fill_null("")}).with_row_index("row")
    white, spaces = col("text").str.replace_all(r"[\t-\r]", " "), col("text").str.replace_all("  +", " ")
    is_odd = text["text"].str.contains(r"[^ -~]|  ")
    spaced = text.filter(is_odd).with_columns(white)
    is_hard = spaced["text"].str.contains(HARD)
    parts = [
        text.filter(~is_odd),
        spaced.filter(~is_hard).with_columns(col("text").str.replace_all(r"[\x00-\x1f\x7f]", "")).with_columns(spaces),
        spaced.filter(is_hard)
        .with_columns(col("text").str.replace_all(WHITE, " ").str.replace_all(r"[\p{Cc}\p{Cf}\p{Co}]", "").str.normalize("NFC"))
        .with_columns(spaces),
    ]
    normal = col("text").str.strip_chars(" ")
    hashed = [part.select("row", normal.hash().alias("hash"), normal.str.len_chars().alias("length")) for part in parts]
    return pl.concat(hashed).sort("row")


def texts_of(talks: pl.DataFrame, side: str) -> pl.DataFrame:
    """Return for each conversation the hash of the texts of a side, that of its first text, and their length."""
    flat = talks.select("row", f"{side}_texts").explode(f"{side}_texts")
    hashed = compared(flat[f"{side}_texts"]).drop("row")
    return (
        pl.concat([flat.select("row"), hashed], how="horizontal")
        .group_by("row", maintain_order=True)
        .agg(
            col("hash").cast(pl.String).str.join(",").hash().alias(f"{side}_hash"),
            col("hash").first().alias(f"{side}_first"),
            col("length").sum().alias(f"{side}_length"),
        )
        .drop("row")
    )


def talks_of(lines: pl.Series) -> pl.DataFrame:
    """Return what is known of the conversations of lines; messages that are prompt and response are compared as these are."""
    found = [talk_of(line) for line in lines]
    talks = pl.DataFrame({name: [talk[name] for talk in found] for name in TALK}, TALK).with_row_index("row")
    known = pl.concat([talks, *(texts_of(talks, side) for side in ("asked", "answer"))], how="horizontal")
    hashes_of = {
        side: pl.struct(col(f"{side}_calls").hash().alias("calls"), f"{side}_hash").hash() for side in ("asked", "answer")
    }
    is_turn = col("is_one_prompt") & col("is_one_answer")
    return known.select(
        *("said_prompt", "said_response", "prompt_messages", "answer_messages", "tools", "asked_exactly"),
        *("is_answer_empty", "has_unparsed_call", "answer_length"),
        pl.when(is_turn).then("asked_first").otherwise(hashes_of["asked"]).alias("asked"),
        pl.when("is_one_answer").then("answer_first").otherwise(hashes_of["answer"]).alias("answer"),
        lit(value=True).alias("is_talk"),
    )


def with_talks(lines: pl.DataFrame) -> pl.DataFrame:
    """Return the lines with what is known of their conversations, and prompt and response from there where there is none."""
    told = lines.filter(col("talk").is_not_null())
    talks = pl.concat([told.select("item_number"), talks_of(told["talk"])], how="horizontal")
    found = lines.drop("talk").join(talks, on="item_number", how="left", maintain_order="left")
    return found.with_columns(
        pl.coalesce("prompt", "said_prompt").alias("prompt"),
        pl.coalesce("response", "said_response").alias("response"),
        col("is_talk").fill_null(value=False),
    ).drop("said_prompt", "said_response")


def records(lines: pl.DataFrame) -> pl.DataFrame:
    """Return a narrow row for each line: what records are grouped, compared and ranked by."""
    prompt, response = compared(lines["prompt"]), compared(lines["response"])
    word = col("verdict").str.replace_all(f"^{WHITE}+|{WHITE}+$", "").str.to_lowercase()
    by_score = (
        pl.when(~col("score").is_between(0, 1))
        .then(REVIEW)
        .when(col("score") >= 0.9)
        .then(ACCEPTED)
        .when(col("score") >= 0.5)
        .then(PARTIAL)
        .otherwise(REJECTED)
    )
    return (
        lines.select(
            col("item_number").alias("line"),
            col("item_sha256").str.head(16).str.to_integer(base=16, dtype=pl.UInt64).alias("item"),
            col("task_id").hash().alias("task"),
            pl.struct("task_id", "run_id").hash().alias("attempt"),
            ~col("run_id").fill_null("").str.contains(r"[^\p{Z}\p{Cc}\p{Cf}\p{Co}]").alias("is_run_blank"),
            "created_at",
            "score",
            pl.when(word != "")
            .then(word.replace_strict(WORDS, default="needs_human_review", return_dtype=CATEGORIES))
            .when(col("score").is_not_null())
            .then(by_score)
            .otherwise(REVIEW)
            .alias("category"),
            pl.when(col("comparison").is_not_null()).then(col("comparison").hash()).alias("comparison"),
            pl.coalesce("asked_exactly", "prompt").hash().alias("asked_exactly"),
            col("tools").hash().alias("tools"),
            "is_talk",
            "asked",
            "answer",
            "answer_length",
            "is_answer_empty",
            col("has_unparsed_call").fill_null(value=False),
        )
        .with_columns(
            prompt["hash"].alias("prompt"),
            response["hash"].alias("response"),
            (prompt["length"] == 0).alias("is_prompt_blank"),
            (response["length"] == 0).alias("is_response_blank"),
            col("asked").fill_null(prompt["hash"]),
            col("answer").fill_null(response["hash"]),
            col("answer_length").fill_null(response["length"]),
            col("is_answer_empty").fill_null(response["length"] == 0),
        )
        .with_columns(
            pl.struct("prompt", "response").hash().alias("turn"),
            pl.struct("asked", "answer").hash().alias("content"),
            pl.struct("task", "asked_exactly", "tools", "comparison").hash().alias("party"),
        )
    )


def place(line: str) -> pl.Expr:
    """Return a column of lines as details name them."""
    return "evidence.jsonl:" + col(line).cast(pl.String)


def contradicted(record: pl.DataFrame) -> pl.DataFrame:
    """Return the lines whose attempt, or content for the task, is rejected elsewhere, and where."""
    keys = ["line", "attempt", "task", "content", "turn", "is_talk", "is_response_blank", "is_run_blank", "comparison"]
    rejected = record.filter(col("category") == REJECTED).select(keys)
    other = record.filter(col("category") != REJECTED).select(keys)
    counts = col("comparison_right").is_null() | (col("comparison_right") == col("comparison")).fill_null(value=False)
    same_content = (col("content") == col("content_right")) | (
        (col("turn") == col("turn_right")) & (col("is_talk") != col("is_talk_right")) & ~col("is_response_blank")
    )

    def first(pairs: pl.DataFrame, name: str) -> pl.DataFrame:
        return pairs.group_by("line").agg(col("line_right").min().alias(name))

    by_attempt = other.filter(~col("is_run_blank")).join(rejected, on="attempt").filter(counts)
    by_content = other.join(rejected, on="task").filter(counts & same_content)
    return (
        first(by_attempt, "attempt_at")
        .join(first(by_content, "content_at"), on="line", how="full", coalesce=True)
        .select(
            "line",
            pl.concat_str(
                "its attempt is rejected at " + place("attempt_at"),
                "its content is rejected at " + place("content_at"),
                separator=", ",
                ignore_nulls=True,
            ).alias("contradicted"),
        )
    )


def with_defects(record: pl.DataFrame) -> pl.DataFrame:
    """Return the records with ``contradicted`` (where), ``first`` (of identical lines), ``prompts`` (of a constant answer)."""
    again = record.group_by("item").agg(col("line").min().alias("first"), pl.len()).filter(col("len") > 1)
    long = record.filter(col("answer_length") >= 32)
    frequent = long.group_by("answer").len().filter(col("len") > MOST_PROMPTS)
    constant = (
        record.join(frequent, on="answer", how="semi")
        .group_by("answer")
        .agg(col("prompt").n_unique().alias("prompts"))
        .filter(col("prompts") > MOST_PROMPTS)
    )
    return (
        record.join(contradicted(record), on="line", how="left", maintain_order="left")
        .join(again.select("item", "first"), on="item", how="left", maintain_order="left")
        .with_columns(pl.when(col("line") > col("first")).then("first").alias("first"))
        .join(constant, on="answer", how="left", maintain_order="left")
    )


def with_shared(record: pl.DataFrame) -> pl.DataFrame:
    """Return the records with whether others have their content, and whether a record of the other kind has their turn."""
    contents = record.group_by("content").len().filter(col("len") > 1).select("content", has_equal=lit(value=True))
    turns = record.filter(~col("is_response_blank"))
    both = turns.filter("is_talk").select("turn").unique().join(turns.filter(~col("is_talk")), on="turn", how="semi")
    return (
        record.join(contents, on="content", how="left", maintain_order="left")
        .join(both.select("turn", has_twin=lit(value=True)), on="turn", how="left", maintain_order="left")
        .with_columns(
            col("has_equal").fill_null(value=False), col("has_twin").fill_null(value=False) & ~col("is_response_blank")
        )
    )


def beaten(record: pl.DataFrame, is_refused: pl.Expr) -> pl.DataFrame:
    """Return the lines that have the content of another that ships in a dataset, and the line of that one."""
    alike = record.filter(col("has_equal") | col("has_twin"))
    best = (
        alike.filter(~is_refused)
        .sort(col("category").to_physical(), "is_talk", "line", descending=[True, True, False])
        .unique("content", keep="first", maintain_order=True)
    )
    twins = best.filter(col("is_talk") & col("has_twin")).group_by("turn").agg(col("line").min().alias("twin"))
    return (
        alike.join(best.select("content", col("line").alias("best")), on="content", how="left")
        .join(twins.with_columns(is_talk=lit(value=False)), on=["turn", "is_talk"], how="left")
        .filter(col("twin").is_not_null() | (col("best") != col("line")))
        .select("line", pl.coalesce("twin", "best").alias("beaten_by"))
    )


def decisions(record: pl.DataFrame, dataset: str) -> pl.DataFrame:
    """Return for each record the reasons why it does not ship in rag or sft, and the detail of the first."""
    rejected, review, partial = (col("category") == one for one in (REJECTED, REVIEW, PARTIAL))
    is_rag = dataset == "rag"
    never = {
        "missing_source_run_id": (col("is_run_blank"), lit("run_id")),
        "empty_content": (col("is_response_blank" if is_rag else "is_answer_empty"), lit("response")),
        "empty_prompt": (lit(value=False) if is_rag else col("is_prompt_blank"), lit("prompt")),
        "schema_violation": (lit(value=False) if is_rag else col("has_unparsed_call"), lit("arguments of a call")),
        f"unsafe_{dataset}_category": (rejected if is_rag else rejected | review, col("category").cast(pl.String)),
        "contradicted": (col("contradicted").is_not_null(), col("contradicted")),
        "duplicate_id": (col("first").is_not_null(), "first at " + place("first")),
        "duplicate_content": (col("beaten_by").is_not_null(), "same content as " + place("beaten_by")),
        "repeated_response": (col("prompts").is_not_null(), lit(f"its answer answers more than {MOST_PROMPTS} prompts")),
        "category_disallowed": (review if is_rag else partial, col("category").cast(pl.String)),
    }
    is_refused = pl.any_horizontal(one for name, (one, _) in never.items() if name != "duplicate_content")
    texts = [pl.when(one).then(lit(name)) for name, (one, _) in never.items()]
    found = record.join(beaten(record, is_refused), on="line", how="left", maintain_order="left")
    return found.select(
        "line",
        col("category").cast(pl.String),
        pl.coalesce(texts).alias("reason"),
        pl.concat_list(texts).list.drop_nulls().alias("reasons"),
        pl.coalesce(pl.when(one).then(detail) for one, detail in never.values()).alias("detail"),
    )


def ranked(record: pl.DataFrame) -> pl.DataFrame:
    """Return the records that can stand in a pair, with their places: the five best of each side of a group."""
    is_accepted = col("category") == ACCEPTED
    defective = (
        col("is_run_blank")
        | col("is_answer_empty")
        | col("first").is_not_null()
        | col("prompts").is_not_null()
        | (is_accepted & (col("has_unparsed_call") | col("contradicted").is_not_null()))
    )
    eligible = record.filter((col("category") != REVIEW) & ~defective)
    shared = eligible.filter("has_equal").unique(["party", "category", "content"], keep="first", maintain_order=True)
    once = pl.concat([eligible.filter(~col("has_equal")), shared])
    facing = once.filter(col("category") == REJECTED).select("party").unique()
    partial = once.filter(col("category") == PARTIAL).join(facing, on="party", how="anti")
    return (
        pl.concat([once.filter(col("category") != PARTIAL), partial])
        .sort("score", "created_at", "item", descending=[True, False, False], nulls_last=True)
        .with_columns(is_accepted.alias("is_chosen"))
        .with_columns(pl.int_range(pl.len()).over("party", "is_chosen").alias("place"))
        .filter(col("place") < FEW)
    )


def like_others(pair: pl.DataFrame) -> pl.DataFrame:
    """Return the pairs that repeat a better one of the task, or that another prefers the other way round."""
    names = []
    for side in ("", "_rejected"):
        content = pair.select("nth", called=col(f"content{side}"), alike=col(f"content{side}"), keep=col(f"has_equal{side}"))
        turn, is_talk = f"turn{side}", col(f"is_talk{side}")
        twin = pair.select(
            "nth",
            called=pl.struct(turn, is_talk.alias("kind")).hash(),
            alike=pl.struct(turn, (~is_talk).alias("kind")).hash(),
            keep=col(f"has_twin{side}"),
        )
        names.append(pl.concat([content, twin]).filter("keep").drop("keep"))
    found = names[0].join(names[1], on="nth", suffix="_rejected").join(pair.select("nth", "task", "order"), on="nth")
    first = found.group_by("task", "called", "called_rejected").agg(col("order").min().alias("best"))
    same = found.join(
        first, left_on=["task", "alike", "alike_rejected"], right_on=["task", "called", "called_rejected"], how="inner"
    )
    reverse = found.join(
        first, left_on=["task", "alike_rejected", "alike"], right_on=["task", "called", "called_rejected"], how="semi"
    )
    return (
        same.filter(col("best") < col("order"))
        .select("nth", is_repeated=lit(value=True))
        .unique()
        .join(reverse.select("nth", is_reversed=lit(value=True)).unique(), on="nth", how="full", coalesce=True)
    )


def pairs(record: pl.DataFrame) -> pl.DataFrame:
    """Return the pairs that ship or are refused, without texts, in the order of their places."""
    side = ranked(record)
    i, j = col("place"), col("place_rejected")
    pair = (
        side.filter("is_chosen")
        .join(side.filter(~col("is_chosen")), on="party", suffix="_rejected")
        .with_columns((col("score") - col("score_rejected")).alias("gap"))
        .sort(
            pl.max_horizontal(i, j), i + j, i, "gap", "item", "item_rejected",
            descending=[False, False, False, True, False, False], nulls_last=True,
        )
        .with_columns(pl.int_range(pl.len()).over("task").alias("order"), pl.int_range(pl.len()).alias("nth"))
    )  # fmt: skip
    is_one_run, is_one_answer = (col(name) == col(f"{name}_rejected") for name in ("attempt", "answer"))
    is_one_content = (col("content") == col("content_rejected")) | (
        (col("turn") == col("turn_rejected")) & (col("is_talk") != col("is_talk_rejected")) & ~col("is_response_blank")
    )
    refusals = {
        "another pair prefers the reverse": ("contradicted", col("is_reversed") & ~is_one_content),
        "prompt is blank": ("invalid_preference_pairing", col("is_prompt_blank")),
        "a better pair has the same contents": ("duplicate_content", col("is_repeated")),
        "both sides are of one run": ("self_pairing", is_one_run),
        "both sides have one answer": ("self_pairing", is_one_answer),
    }
    reasons = [pl.when(one).then(lit(reason)) for reason, one in refusals.values()]
    details = [pl.when(one).then(lit(detail)) for detail, (_, one) in refusals.items()]
    return (
        pair.join(like_others(pair), on="nth", how="left", maintain_order="left")
        .with_columns(col("is_repeated", "is_reversed").fill_null(value=False))
        .select(
            col("line").alias("chosen"),
            col("line_rejected").alias("rejected"),
            col("category").cast(pl.String).alias("chosen_category"),
            col("category_rejected").cast(pl.String).alias("rejected_category"),
            "task",
            pl.coalesce(reasons).alias("reason"),
            pl.concat_list(reasons).list.drop_nulls().list.unique(maintain_order=True).alias("reasons"),
            pl.concat_str(details, separator=", ", ignore_nulls=True).alias("detail"),
        )
        .with_columns(pl.int_range(pl.len()).over("task", col("reason").is_null()).alias("nth"))
        .filter(col("reason").is_not_null() | (col("nth") < FEW))
        .sort("chosen", "rejected")
    )


def provenance(suffix: str = "") -> pl.Expr:
    """Return where a record is from."""
    return pl.struct(
        lit("evidence.jsonl").alias("source_path"),
        col(f"item_number{suffix}").alias("item_number"),
        lit(1, pl.Int64).alias("record_number"),
        col(f"item_sha256{suffix}").alias("item_sha256"),
    )


def title() -> pl.Expr:
    """Return the first line of the prompt, up to 120 characters; null where that is blank."""
    ends = f"^{WHITE}+|{WHITE}+$"
    first = col("prompt").str.replace_all(ends, "").str.extract(r"^([^\n\r]*)")
    beginning = first.str.head(121)
    cut = (
        pl.when(first.str.len_chars() <= 120)
        .then(first)
        .when(beginning.str.contains(WHITE))
        .then(beginning.str.replace(f"(?s)^(.*){WHITE}.*$", "$1"))
        .otherwise(first.str.head(120))
    ).str.replace_all(ends, "")
    return pl.when(cut != "").then(cut)


def rag(lines: pl.DataFrame) -> pl.DataFrame:
    """Return the rag dataset."""
    return lines.select(
        col("item_sha256").alias("id"),
        col("run_id").alias("source_run_id"),
        "task_id",
        lit("evidence").alias("source"),
        col("category").alias("source_category"),
        title().alias("title"),
        col("response").alias("content"),
        "model",
        "created_at",
        lit("train").alias("split"),
        provenance().alias("provenance"),
    )


def sft(lines: pl.DataFrame) -> pl.DataFrame:
    """Return the sft dataset."""
    asked, answer = col("prompt_messages"), col("answer_messages")
    return lines.select(
        col("item_sha256").alias("id"),
        col("run_id").alias("source_run_id"),
        "task_id",
        lit("evidence").alias("source"),
        col("category").alias("quality_score"),
        col("prompt").alias("instruction"),
        "response",
        (asked.str.head(-1) + "," + answer.str.slice(1)).alias("messages"),
        "tools",
        "model",
        "created_at",
        lit("train").alias("split"),
        provenance().alias("provenance"),
    )


def quarantine(lines: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that a dataset of records refuses."""
    return lines.select(
        col("item_sha256").alias("id"),
        col("run_id").alias("source_run_id"),
        "task_id",
        "category",
        col("reason").alias("quarantine_reason"),
        col("reasons").alias("quarantine_reasons"),
        "detail",
        provenance().alias("provenance"),
    )


def ids(pair: pl.Series) -> pl.Series:
    """Return the sha256 of the hashes of both lines of each pair."""
    return pl.Series([sha256(both.encode()).hexdigest() for both in pair], dtype=pl.String)


def answer_of(response: str) -> str:
    """Return a response as the messages of an answer."""
    return as_json([{"role": "assistant", "content": response}])


def with_texts(pair: pl.DataFrame, lines: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    """Return pairs with these columns of both sides and their ids, in the same order."""
    number = pl.Series(range(len(lines)), dtype=pl.UInt32)
    at = pl.DataFrame({"line": lines["item_number"], "at": number})
    found = [
        lines[["item_number", "item_sha256", *columns]][
            pair.join(at, left_on=side, right_on="line", how="left", maintain_order="left")["at"]
        ]
        for side in ("chosen", "rejected")
    ]
    both = pl.concat([pair, found[0], found[1].rename(lambda name: f"{name}_rejected")], how="horizontal")
    return both.with_columns(
        (col("item_sha256") + col("item_sha256_rejected")).map_batches(ids, return_dtype=pl.String).alias("id"),
        pl.struct(provenance().alias("chosen"), provenance("_rejected").alias("rejected")).alias("provenance"),
    )


def preference(pair: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """Return the preference dataset."""
    columns = [
        *("task_id", "run_id", "created_at", "prompt", "response", "tools", "is_talk", "prompt_messages", "answer_messages")
    ]
    has_talk = col("is_talk") | col("is_talk_rejected")
    return with_texts(pair, lines, columns).select(
        "id",
        "task_id",
        "prompt",
        col("response").alias("chosen"),
        col("response_rejected").alias("rejected"),
        pl.coalesce("prompt_messages", "prompt_messages_rejected").alias("prompt_messages"),
        *(
            pl.coalesce(
                f"answer_messages{suffix}",
                pl.when(has_talk).then(f"response{suffix}").map_elements(answer_of, return_dtype=pl.String),
            ).alias(f"{side}_messages")
            for side, suffix in (("chosen", ""), ("rejected", "_rejected"))
        ),
        "tools",
        col("run_id").alias("chosen_run_id"),
        col("run_id_rejected").alias("rejected_run_id"),
        "chosen_category",
        "rejected_category",
        ("accepted_over_" + col("rejected_category")).alias("reason"),
        pl.max_horizontal("created_at", "created_at_rejected").alias("created_at"),
        lit("train").alias("split"),
        "provenance",
    )


def quarantine_of_pairs(pair: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """Return the pairs that are refused."""
    return with_texts(pair, lines, ["task_id", "run_id"]).select(
        "id",
        col("run_id").alias("chosen_run_id"),
        col("run_id_rejected").alias("rejected_run_id"),
        "task_id",
        "chosen_category",
        "rejected_category",
        col("reason").alias("quarantine_reason"),
        col("reasons").alias("quarantine_reasons"),
        "detail",
        "provenance",
    )


def write(out: Path, name: str, frame: pl.DataFrame) -> None:
    """Write a frame as JSONL and as Parquet."""
    frame.write_parquet(out / f"{name}.parquet", compression="zstd", compression_level=3)
    frame.with_columns(pl.selectors.datetime().dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")).write_ndjson(out / f"{name}.jsonl")


def run(evidence: Path, out: Path) -> None:
    """Read, judge, and write each output."""
    lines = with_talks(read(evidence))
    record = with_shared(with_defects(records(lines)))
    lines = lines.drop("verdict", "score", "comparison", "asked_exactly", "asked", "answer")
    for dataset, shape in (("rag", rag), ("sft", sft)):
        decided = decisions(record, dataset).drop("line")
        refused = col("reason").is_not_null()
        found = pl.concat([lines, decided], how="horizontal")
        write(out, dataset, shape(found.filter(~refused)))
        write(out, f"quarantine_{dataset}", quarantine(found.filter(refused)))
    pair = pairs(record)
    write(out, "preference", preference(pair.filter(col("reason").is_null()), lines))
    write(out, "quarantine_preference", quarantine_of_pairs(pair.filter(col("reason").is_not_null()), lines))
    write_sums(out)


def main() -> None:
    """Run with as many threads as the command line asks for; polars reads the number when its first query starts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("evidence", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--threads", type=int, default=None)
    chosen = parser.parse_args()
    if chosen.threads:
        os.environ["POLARS_MAX_THREADS"] = str(chosen.threads)
    run(chosen.evidence, chosen.out)


if __name__ == "__main__":
    main()
