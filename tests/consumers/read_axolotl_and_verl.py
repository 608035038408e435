"""Hands exported rows to the code of Axolotl and verl that makes tokens of them, and prints the texts of these tokens.

``python read_axolotl_and_verl.py TRL_FOLDER VERL_FOLDER``; the last line is a JSON document.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import trl
from parts_of_packages import skip_start_of, stand_in_for
from train_trl import make_model

skip_start_of("axolotl", "axolotl.utils", "axolotl.utils.schemas", "axolotl.prompt_strategies", "axolotl.prompt_strategies.dpo")
skip_start_of("verl", "verl.utils", "verl.utils.dataset", "verl.models", "verl.models.transformers")
sys.modules["verl.utils"].hf_tokenizer = None
stand_in_for("verl.models.transformers.qwen2_vl", get_rope_index=None)
stand_in_for("verl.utils.dataset.vision_utils", process_image=None, process_video=None)
stand_in_for("verl.utils.dataset.dataset_utils", DatasetPadMode=SimpleNamespace(RIGHT="right", NO_PADDING="no_padding"))

from axolotl.prompt_strategies.chat_template import load
from axolotl.prompt_strategies.dpo.chat_template import default
from axolotl.utils.dict import DictDefault
from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset

#: So many rows of each kind are read: the shortest, as each byte is a token.
ROWS = 8
LONGEST = 1 << 16


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """Return the shortest lines of the files in a folder, some with calls of tools and some without."""
    texts = sorted((line for file in folder.glob("*.jsonl") for line in file.read_bytes().splitlines()), key=len)
    calls = [text for text in texts if b'"tool_calls"' in text][:ROWS]
    return [json.loads(text) for text in (*calls, *[text for text in texts if b'"tool_calls"' not in text][:ROWS])]


def read_axolotl(folder: Path, tokenizer: Any) -> dict[str, Any]:
    """Return what its chat template strategies make of files for TRL."""
    settings = DictDefault({"chat_template": "tokenizer_default", "sequence_len": LONGEST, "train_on_inputs": False})
    given = DictDefault({"type": "chat_template", "field_messages": "messages", "field_tools": "tools"})
    strategy = load(tokenizer, settings, ds_cfg=given)
    made = [strategy.tokenize_prompt(row) for row in lines_of(folder / "sft")]
    fields = {"field_messages": "prompt", "field_chosen": "chosen", "field_rejected": "rejected"}
    transform, _ = default(DictDefault({"chat_template": "tokenizer_default", "datasets": [fields]}))
    pairs = [row for row in lines_of(folder / "preference") if len(row["chosen"]) == len(row["rejected"]) == 1]
    return {
        "texts": [tokenizer.decode(row["input_ids"]) for row in made],
        "trained": [tokenizer.decode([token for token in row["labels"] if token >= 0]) for row in made],
        "pairs": [transform(dict(row), tokenizer=tokenizer) for row in pairs],
        "answers": [[row["chosen"][0]["content"], row["rejected"][0]["content"]] for row in pairs],
    }


def read_verl(folder: Path, tokenizer: Any) -> dict[str, Any]:
    """Return what its dataset for SFT makes of files, which templates take their messages, and what pandas reads of prompts."""
    plain, calls = (verl_rows(folder / name, tokenizer) for name in ("sft", "sft_calls"))
    texts = [tokenizer.decode(row["input_ids"][: int(row["attention_mask"].sum())]) for row in calls[1]]
    prompts = [row for file in sorted(folder.glob("rl/*.parquet")) for row in pd.read_parquet(file).to_dict("records")]
    return {
        "rows": plain[0] + calls[0],
        "texts": texts,
        "refusing": [*refusing(plain[2], tokenizer)],
        "refusing_calls": [*refusing(calls[2], tokenizer)],
        "refusing_two_texts": [*refusing([TWO_TEXTS], tokenizer)],
        "prompts": len(prompts),
        "truths": [row["reward_model"] for row in prompts],
    }


#: What a template must take at least.
TWO_TEXTS = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hi."}]


def verl_rows(folder: Path, tokenizer: Any) -> tuple[int, list[Any], list[Any]]:
    """Return how many rows verl's dataset for SFT has, the shortest as tokens, and their messages."""
    files = sorted(map(str, folder.glob("*.parquet")))
    rows = MultiTurnSFTDataset(files, tokenizer, {"max_length": LONGEST, "ignore_input_ids_mismatch": True})
    places = sorted(range(len(rows)), key=lambda place: len(str(rows.messages[place])))[:ROWS]
    return len(rows), [rows[place] for place in places], [rows.messages[place] for place in places]


def refusing(conversations: list[Any], tokenizer: Any) -> Iterator[str]:
    """Yield the names of TRL's bundled chat templates that cannot render a conversation without system messages."""
    for file in sorted((Path(trl.__file__).parent / "chat_templates").glob("*.jinja")):
        try:
            for messages in conversations:
                said = [message for message in messages if message["role"] != "system"]
                tokenizer.apply_chat_template(said, chat_template=file.read_text(encoding="utf-8"), tokenize=False)
        except Exception:  # noqa: BLE001 - a template raises whatever it likes
            yield file.stem


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as model:
        tokenizer = make_model(Path(model))
    found = {"axolotl": read_axolotl(Path(sys.argv[1]), tokenizer), "verl": read_verl(Path(sys.argv[2]), tokenizer)}
    print(json.dumps(found, default=str))
