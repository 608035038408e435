"""The description of a folder of Parquet files in Croissant 1.1, see http://mlcommons.org/croissant/1.1.

The hash of each file stands in it, so a reader that checks hashes refuses a file that was changed.
"""

import json
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from etl.export.formats.cards.about import MEANINGS
from etl.export.formats.cards.facts import Facts
from etl.export.formats.cards.front_matter import Configs
from etl.export.formats.format import Object, Piece

#: The context that the specification gives, and the terms for where data is from.
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def croissant(configs: Configs, schemas: Mapping[str, pa.Schema], pieces: Sequence[Piece], facts: Facts) -> str:
    """Return the text of croissant.json: the files, and a set of records for each."""
    summary = facts.summary
    licenses = sorted({given for given in facts.licenses.values() if given is not None})
    config_of = {path: name for name, splits in configs.items() for paths in splits.values() for path in paths}
    told: Object = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": "evidence-of-llm-agents",
        "description": "Datasets made from logs of attempts at tasks, with what was refused and why, and receipts of the run.",
        "version": f"{summary.seq}.0.0",
        "datePublished": summary.started_at[:10],
        **({"license": licenses} if licenses else {}),
        "prov:wasDerivedFrom": [*_derived_from(facts)],
        "prov:wasGeneratedBy": {
            "@type": "prov:Activity",
            "@id": f"run/{summary.run_id}",
            "name": f"etl run {summary.run_id}",
            "prov:startedAtTime": summary.started_at,
        },
        "distribution": [_file(piece) for piece in pieces],
        "recordSet": [_records(piece, config_of[piece.path], schemas[config_of[piece.path]]) for piece in pieces],
    }
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def _derived_from(facts: Facts) -> Iterable[Object]:
    """Yield each source whose texts are in the datasets, and the evidence as a whole, by its hash."""
    for source in facts.licenses:
        yield {"@type": "prov:Entity", "@id": f"evidence/{source}", "name": f"evidence/{source}"}
    for receipt in facts.receipts:
        if receipt.stage == "collect":
            yield {"@type": "prov:Entity", "@id": f"sha256:{receipt.inputs.hash}", "name": "all files of the evidence"}


def _file(piece: Piece) -> Object:
    return {
        "@type": "cr:FileObject",
        "@id": piece.path,
        "name": piece.path,
        "contentUrl": piece.path,
        "contentSize": f"{piece.bytes} B",
        "encodingFormat": "application/x-parquet",
        "sha256": piece.sha256,
    }


def _records(piece: Piece, config: str, schema: pa.Schema) -> Object:
    """Return the set of records of a file."""
    name = piece.path.removesuffix(".parquet")
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": MEANINGS.get(config, f"rows of {config}"),
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column.name}",
                "name": column.name,
                "dataType": _type(column.type),
                **({"isArray": True, "arrayShape": "-1"} if isinstance(column.type, pa.ListType) else {}),
                "source": {"fileObject": {"@id": piece.path}, "extract": {"column": column.name}},
            }
            for column in schema
        ],
    }


def _type(kind: pa.DataType) -> str:
    if isinstance(kind, pa.ListType):
        return _type(kind.value_type)
    return "sc:DateTime" if pa.types.is_timestamp(kind) else "sc:Integer" if pa.types.is_integer(kind) else "sc:Text"
