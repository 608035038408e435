"""The files that trainers take, by the name of the trainer: one small module for each, and its entry here.

A format is given the rows of the published datasets, and yields lines of its files. It leaves out what the trainer cannot take,
with a reason, and nothing else.
"""

from etl.export.formats import llamafactory, mlx, openai, trl
from etl.export.formats.rows import Format

#: The format of each trainer.
FORMATS: dict[str, type[Format]] = {
    "trl": trl.Trl,
    "openai": openai.OpenAI,
    "llamafactory": llamafactory.LlamaFactory,
    "mlx": mlx.Mlx,
}
