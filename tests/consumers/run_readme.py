"""Runs the README's lines of Python that train with TRL as they are printed, but with a tiny random model, for a step.

``python run_readme.py README FOLDER`` in FOLDER, which has releases/. The last line is a JSON document.
"""

import json
import os
import re
import sys
import tempfile
from functools import partial
from pathlib import Path

import trl
from train_trl import COMMON, make_model


def main(readme: Path, folder: Path) -> None:
    """Print the lines that were run."""
    blocks = re.findall(r"```python\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
    (code,) = (block for block in blocks if "SFTTrainer" in block)
    os.chdir(folder)
    with tempfile.TemporaryDirectory() as model:
        make_model(Path(model)).save_pretrained(model)
        trl.SFTTrainer = partial(trl.SFTTrainer, args=trl.SFTConfig(**COMMON, output_dir=model))
        exec(re.sub(r'model="[^"]+"', f"model={model!r}", code), {})
    print(json.dumps(code))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
