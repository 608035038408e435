"""The files that trainers take, by the name of the trainer: one small module for each, and its entry here.

A format is given the rows of the published datasets, and yields lines of its files. It leaves out what the trainer cannot take,
with a reason, and nothing else.
"""

from etl.export.formats import hf, llamafactory, mlx, openai, reserved, trl, verl
from etl.export.formats.format import Format

#: The format of each trainer.
FORMATS: dict[str, type[Format]] = {
    "trl": trl.Trl,
    "trl-parquet": trl.TrlParquet,
    "openai": openai.OpenAI,
    "llamafactory": llamafactory.LlamaFactory,
    "verl": verl.Verl,
    "mlx": mlx.Mlx,
    "hf": hf.Hf,
}

#: What writes the tasks that are held out; it is no trainer's.
RESERVED = "reserved"
FORMATS_OF_ALL = FORMATS | {RESERVED: reserved.Reserved}
