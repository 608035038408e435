"""Makes texts like those of real evidence: as long, and half of them with braces and quotes. The same number, the same text.

Measured on 9,657 lines of AlpacaEval annotations and 200 tau-bench trajectories, in characters and in shares of texts:

===================  =====  ====  ====  ====  ====  ====  ====  =====  ======  ==========  ========  =========
what                    5%   10%   25%   50%   75%   90%   95%    99%    most  with braces  with LF  non-ASCII
===================  =====  ====  ====  ====  ====  ====  ====  =====  ======  ==========  ========  =========
prompts                 31    38    60   100   177   321   519  1,184   1,917         1 %      30 %        4 %
answers                 48   122   377   872 1,892 2,931 3,395  4,409  11,956         7 %      73 %       19 %
results of tools         0     2    51   667   810   965 1,257  4,723   8,117        70 %       0 %        0 %
arguments of calls      27    27    27    31   140   280   406    543   1,008       100 %       0 %        0 %
messages an attempt     12    12    16    24    36    42    52     62      62
===================  =====  ====  ====  ====  ====  ====  ====  =====  ======  ==========  ========  =========

Evidence of agents that write code has braces and quotes in most texts, that of chats in few; here it is one half. A text is a
piece of a long one that is made once: half a million of them take seconds, and those near each other differ.
zstd at level 3 packs lines of them 5.0 to 1; real lines, 4.7 to 1.
"""

import json
import random
from bisect import bisect_right
from functools import cache
from itertools import accumulate, pairwise

WORDS = (
    "agent", "branch", "build", "cache", "change", "check", "class", "client", "commit", "config", "cursor",
    "default", "deploy", "error", "event", "failure", "file", "fixture", "flag", "function", "handler", "import",
    "index", "input", "job", "key", "limit", "line", "loader", "lock", "log", "loop", "merge", "message", "method",
    "model", "module", "option", "output", "parser", "patch", "path", "pool", "query", "queue", "record", "release",
    "request", "response", "result", "retry", "review", "row", "schema", "server", "session", "signal", "stage",
    "state", "step", "stream", "table", "task", "test", "thread", "timeout", "token", "trace", "type", "value",
    "worker",
)  # fmt: skip
_FOREIGN = ("naïve", "Größe", "déjà vu", "→", "≥ 3", "日本語", "“so”", "🙂", "Привет")

_SHARES = (0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1)
PROMPTS = (20, 31, 38, 60, 100, 177, 321, 519, 1184, 1917)
ANSWERS = (32, 48, 122, 377, 872, 1892, 2931, 3395, 4409, 11_956)
RESULTS = (0, 0, 2, 51, 667, 810, 965, 1257, 4723, 8117)
ARGUMENTS = (27, 27, 27, 27, 31, 140, 280, 406, 543, 1008)
MESSAGES = (12, 12, 12, 16, 24, 36, 42, 52, 62, 62)

#: The kinds of texts: one half is prose, the others have braces and quotes. Each kind has a long text of so many characters.
KINDS = ("prose", "prose", "prose", "code", "document", "call")
_CORPUS = 4 << 20

#: Bits of the numbers that choose a text.
_BITS = 64


def draw(lengths: tuple[int, ...], share: float) -> int:
    """Return the length below which this share of the texts is; ``lengths`` has one for each of the measured shares."""
    at = min(bisect_right(_SHARES, share), len(_SHARES) - 1)
    before, after = lengths[at - 1], lengths[at]
    return before + round((after - before) * (share - _SHARES[at - 1]) / (_SHARES[at] - _SHARES[at - 1]))


def text(number: int, lengths: tuple[int, ...]) -> str:
    """Return the text of a number of 64 bits: the number chooses its kind, its length and where it starts."""
    kind = KINDS[number % len(KINDS)]
    corpus, starts = _corpus(kind)
    start = starts[(number >> 3) % len(starts)]
    return corpus[start : start + draw(lengths, (number >> 40) / (1 << _BITS - 40))].strip()


def scattered(number: int) -> int:
    """Return a number of 64 bits that looks random, and is always the same for a number (splitmix64)."""
    number = (number + 1) * 0x9E3779B97F4A7C15 % (1 << _BITS)
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 % (1 << _BITS)
    number = (number ^ number >> 27) * 0x94D049BB133111EB % (1 << _BITS)
    return number ^ number >> 31


@cache
def _corpus(kind: str) -> tuple[str, list[int]]:
    """Return the long text of a kind, and where its units start, as far as the longest text fits behind."""
    rng = random.Random(kind)
    make = {"prose": _prose, "code": _code, "document": _document, "call": _call}[kind]
    units: list[str] = []
    length = 0
    while length < _CORPUS:
        units.append(make(rng))
        length += len(units[-1])
    starts = accumulate(map(len, units), initial=0)
    return "".join(units), [start for start, _ in pairwise(starts) if start + ANSWERS[-1] <= length]


def _sentence(rng: random.Random, words: int) -> str:
    """Return a sentence; every twelfth has a word that is not ASCII, every eighth a quoted one."""
    chosen = rng.choices(WORDS, k=words)
    if rng.random() < 1 / 12:
        chosen[-1] = rng.choice(_FOREIGN)
    if rng.random() < 1 / 8:
        chosen[0] = f'"{chosen[0]}"'
    return " ".join(chosen).capitalize() + "."


def _prose(rng: random.Random) -> str:
    """Return a paragraph: sentences, and at times a list below them."""
    paragraph = " ".join(_sentence(rng, rng.randint(5, 16)) for _ in range(rng.randint(1, 5)))
    items = "".join(f"\n- {_sentence(rng, 6)}" for _ in range(rng.choice((0, 0, 3))))
    return f"{paragraph}{items}\n\n"


def _code(rng: random.Random) -> str:
    """Return a few lines of code that begin with a brace and a quote."""
    name, key, value, other = rng.choices(WORDS, k=4)
    return (
        f'{name} = {{"{key}": {rng.randint(0, 999)}, "{value}": ["{other}", None]}}\n'
        f"def {key}_{other}({value}: dict[str, int]) -> str:\n"
        f'\t"""{_sentence(rng, 8)}"""\n'
        f"    if not {name}.get('{value}'):\n"
        f'        raise ValueError(f"cannot read {{{value}!r}}: C:\\\\{key}\\\\{other}.log\\n")\n'
        f'    return "\\t".join({{**{name}, "{key}": {rng.randint(0, 9)}}})  # {_sentence(rng, 4)}\n'
    )


def _document(rng: random.Random) -> str:
    """Return a JSON object, with or without line feeds; every other one escapes what is not ASCII."""
    found = {
        rng.choice(WORDS): rng.randint(0, 1 << 40),
        "path": f"src/{rng.choice(WORDS)}/{rng.choice(WORDS)}.py",
        "text": f"{_sentence(rng, 9)}\n\t{_sentence(rng, 5)}",
        "scores": [rng.random(), None, True, {"nested": [rng.choice(_FOREIGN)]}],
    }
    is_ascii = rng.random() < 1 / 2
    return json.dumps(found, ensure_ascii=is_ascii, indent=rng.choice((None, None, 2))) + "\n"


def _call(rng: random.Random) -> str:
    """Return a tool call whose arguments are JSON text within JSON, and its result."""
    path = f"src/{rng.choice(WORDS)}.py"
    arguments = json.dumps({"path": path, "old": _sentence(rng, 6), "new": f'{{"{rng.choice(WORDS)}": "\\n"}}'})
    call = json.dumps({"name": f"edit_{rng.choice(WORDS)}", "arguments": arguments}, ensure_ascii=False)
    return f"{call}\n{path}:{rng.randint(1, 999)}: \x1b[1m{_sentence(rng, 7)}\x1b[0m\n"
