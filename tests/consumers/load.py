"""Loads each configuration and split of a folder with ``datasets``, and prints the rows of all as one JSON document."""

import json
import os
import sys
import tempfile

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}

import datasets


def main(folder: str) -> None:
    """Print the version, and the rows by configuration and split; ``default`` is what comes without a name."""
    rows = {}
    with tempfile.TemporaryDirectory() as cache:
        for name in datasets.get_dataset_config_names(folder):
            for split, loaded in datasets.load_dataset(folder, name, cache_dir=cache).items():
                rows[f"{name}/{split}"] = list(loaded)
        default = {split: len(loaded) for split, loaded in datasets.load_dataset(folder, cache_dir=cache).items()}
    print(json.dumps({"version": datasets.__version__, "rows": rows, "default": default}, default=str))


if __name__ == "__main__":
    main(sys.argv[1])
