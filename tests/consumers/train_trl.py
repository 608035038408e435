"""Trains one step of each of TRL's trainers on a folder that ``etl export --for trl`` wrote, and prints what they made of it.

It runs where TRL is installed, which is not where the tests run: ``python train_trl.py FOLDER``. The model is tiny and random,
tokenizer one token per byte. The last line is a JSON document: for each trainer the texts that it tokenized, and the loss.
"""

import json
import math
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

import datasets
import torch
import trl
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

#: So many rows with calls of tools are trained on, and so many without: the shortest, as each byte is a token.
ROWS = 8

#: What all trainers are told.
COMMON = {
    "max_steps": 1,
    "per_device_train_batch_size": 2,
    "use_cpu": True,
    "report_to": [],
    "save_strategy": "no",
    "bf16": False,
    "disable_tqdm": True,
}


def make_model(folder: Path) -> PreTrainedTokenizerFast:
    """Write a tiny random model into a folder, and return its tokenizer: a token for each byte, with ChatML's template."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *alphabet]
    plain = Tokenizer(models.BPE(vocab={token: number for number, token in enumerate(vocabulary)}, merges=[]))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    plain.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    tokenizer.chat_template = Path(__file__).with_name("chatml.jinja").read_text(encoding="utf-8")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **sizes, **ends)).save_pretrained(folder)
    return tokenizer


def shortest(folder: str, name: str) -> datasets.Dataset:
    """Return the shortest rows with calls of tools, and the shortest without, of a configuration."""
    rows = datasets.load_dataset(folder, name, split="train")
    sizes = sorted((len(text), '"tool_calls"' in text, place) for place, text in enumerate(map(json.dumps, rows)))
    places = [[place for _, calls, place in sizes if calls == wanted][:ROWS] for wanted in (True, False)]
    return rows.select([*places[0], *places[1]])


#: What GRPO handed to the reward function.
REWARDED: list[dict[str, Any]] = []


def reward(prompts: list[Any], completions: list[Any], **columns: Any) -> list[float]:
    """Return a reward for each completion, and note what came with it."""
    REWARDED.append({"prompts": prompts, **{name: columns[name] for name in ("task_id", "answers")}})
    return [float(len(str(completion)) % 2) for completion in completions]


def trainers(folder: str, model: str, tokenizer: PreTrainedTokenizerFast) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    """Yield each trainer, and the columns of the tokens that it made."""
    with tempfile.TemporaryDirectory() as out:
        common = {**COMMON, "output_dir": out}
        given = {"model": model, "processing_class": tokenizer}
        sft, preference, kto, grpo = (shortest(folder, name) for name in ("sft", "preference", "kto", "grpo"))
        config = trl.SFTConfig(**common, max_length=None)
        yield "sft", trl.SFTTrainer(**given, args=config, train_dataset=sft), ("input_ids",)
        config = trl.SFTConfig(**common, max_length=None, assistant_only_loss=True)
        yield "sft_assistant_only", trl.SFTTrainer(**given, args=config, train_dataset=sft), ("input_ids",)
        config = trl.DPOConfig(**common, max_length=None)
        made = trl.DPOTrainer(**given, args=config, train_dataset=preference)
        yield "dpo", made, ("prompt_ids", "chosen_ids", "rejected_ids")
        config = trl.KTOConfig(**common, max_length=None)
        yield "kto", trl.KTOTrainer(**given, args=config, train_dataset=kto), ("prompt_ids", "completion_ids")
        config = trl.RewardConfig(**common, max_length=None)
        yield "reward", trl.RewardTrainer(**given, args=config, train_dataset=preference), ("chosen_ids", "rejected_ids")
        config = trl.GRPOConfig(**common, num_generations=2, max_completion_length=8)
        yield "grpo", trl.GRPOTrainer(**given, args=config, train_dataset=grpo, reward_funcs=reward), ()


def told(trainer: Any, columns: tuple[str, ...], tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """Train, and return the texts of what the trainer tokenized, what of it counts, and the loss."""
    rows = list(trainer.train_dataset)
    found: dict[str, Any] = {column: [tokenizer.decode(row[column]) for row in rows] for column in columns}
    if "labels" in rows[0]:  # what does not count is -100 there
        found["trained"] = [tokenizer.decode([token for token in row["labels"] if token >= 0]) for row in rows]
    found["loss"] = trainer.train().training_loss
    found["is_finite"] = math.isfinite(found["loss"])
    return found


def main(folder: str) -> None:
    """Train with each trainer, and print what came of it."""
    with tempfile.TemporaryDirectory() as model:
        tokenizer = make_model(Path(model))
        results = {name: told(made, columns, tokenizer) for name, made, columns in trainers(folder, model, tokenizer)}
    print(json.dumps(results | {"rewarded": REWARDED}))


if __name__ == "__main__":
    main(sys.argv[1])
