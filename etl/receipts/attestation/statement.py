"""A run's receipts in the form that others know: an in-toto Statement v1 with SLSA provenance v1 for each stage.

A statement is made from the documents of its run and from nothing else, so that whoever has them can make it again, byte
for byte. docs/receipts.md says where each fact stands.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal, TypeVar
from urllib.parse import quote

from pydantic import ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from etl.receipts.models import (
    Count,
    CountsByReason,
    Document,
    Engine,
    FileEntry,
    Named,
    Records,
    RunRequest,
    RunSummary,
    Sha256,
    StageReceipt,
    Stats,
    Status,
    Time,
    Validation,
)

#: The product as a package URL: what all its identifiers begin with.
PACKAGE = "pkg:pypi/evidence-etl"

#: How parameters and dependencies are to be read. Carried over: an earlier run made the outputs, so inputs, engine and
#: internal parameters are those of then.
STAGE: Final = "pkg:pypi/evidence-etl#stage/v1"
CARRY_OVER: Final = "pkg:pypi/evidence-etl#carry-over/v1"

_EXTENSION = "etl_"


def _spelled(name: str) -> str:
    """Return a field's name as the standards spell it; extension fields keep theirs."""
    if name.startswith(_EXTENSION):
        return name
    return "_type" if name == "type_" else to_camel(name)


def _is_absent(value: object) -> bool:
    return value is None or value == []


_T = TypeVar("_T")

#: A field that is left out where it is null.
OrAbsent = Annotated[_T | None, Field(exclude_if=_is_absent)]


class Form(Document):
    """A part of a statement, spelled as the standards do; what does not apply is absent."""

    model_config = ConfigDict(alias_generator=_spelled, json_schema_serialization_defaults_required=False)


class Annotations(Form):
    """What a descriptor describes, and the figures that the receipt has of it."""

    etl_kind: Literal["file", "relation", "material", "engine", "document"]
    etl_bytes: OrAbsent[Count] = None
    etl_record_count: OrAbsent[Count] = None
    etl_columns: OrAbsent[list[str]] = None
    etl_carried: OrAbsent[bool] = None


class Digest(Form):
    """A DigestSet with the one algorithm that the product uses."""

    sha256: Sha256


class ResourceDescriptor(Form):
    """A file, relation, bundle of files, or package: by its digest, or by its URI."""

    name: str
    uri: OrAbsent[str] = None
    digest: OrAbsent[Digest] = None
    annotations: Annotations

    @model_validator(mode="after")
    def _identified(self) -> "ResourceDescriptor":
        if self.uri is None and self.digest is None:
            raise PydanticCustomError("identified", f"{self.name}: a descriptor has a uri or a digest")
        return self


class Subject(ResourceDescriptor):
    """An output; a statement is about what has a digest."""

    digest: Digest


_Descriptor = TypeVar("_Descriptor", bound=ResourceDescriptor)


class InternalParameters(Form):
    """What the run did not leave to the user, under the receipt's names."""

    model_config = ConfigDict(alias_generator=None)

    git_commit: OrAbsent[str] = None
    code_hash: Sha256
    settings_hash: Sha256


class BuildDefinition(Form):
    """What was asked for, and what it was made from."""

    build_type: Literal["pkg:pypi/evidence-etl#stage/v1", "pkg:pypi/evidence-etl#carry-over/v1"]
    external_parameters: RunRequest
    internal_parameters: InternalParameters
    resolved_dependencies: list[ResourceDescriptor]


class Builder(Form):
    """Who made it: the product, in this version, on these engines."""

    id: str
    version: Engine


class BuildMetadata(Form):
    """When it was made, and in which stage of which run."""

    invocation_id: Annotated[str, Field(pattern=r"^[^/]+/[^/]+$")]
    started_on: Time
    finished_on: Time


class RunDetails(Form):
    """This invocation, and the documents that the statement is made from."""

    builder: Builder
    metadata: BuildMetadata
    byproducts: list[ResourceDescriptor]


class Provenance(Form):
    """SLSA provenance v1; the extension fields are facts of the receipt and the summary under their own names."""

    build_definition: BuildDefinition
    run_details: RunDetails
    etl_run_id: str
    etl_stage: str
    etl_status: Status
    etl_seq: Annotated[int, Field(ge=1)]
    etl_previous: OrAbsent[Sha256] = None
    etl_published: bool
    etl_made_by: OrAbsent[str] = None
    etl_duration_ms: Count
    etl_records_in: Count
    etl_records_out: Count
    etl_stats: Stats
    etl_counts_by_reason: CountsByReason
    etl_blank: Count
    etl_records: OrAbsent[Records] = None
    etl_validation: Validation
    etl_unread: Annotated[list[FileEntry], Field(default_factory=list, exclude_if=_is_absent)]
    etl_inputs_hash: Sha256
    etl_outputs_hash: Sha256
    etl_run_hash: Sha256


class Statement(Form):
    """Statement v1: a stage's outputs, and how they came about."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    type_: Literal["https://in-toto.io/Statement/v1"] = "https://in-toto.io/Statement/v1"
    subject: Annotated[list[Subject], Field(min_length=1)]
    predicate_type: Literal["https://slsa.dev/provenance/v1"] = "https://slsa.dev/provenance/v1"
    predicate: Provenance


def has_statement(receipt: StageReceipt) -> bool:
    """Tell whether there is something to state: what a failed stage left stands for nothing, others have outputs."""
    outputs = receipt.outputs.files
    return receipt.status in {"ok", "reused"} and bool(outputs) and all(entry.sha256 for entry in outputs)


def statement_of(summary: RunSummary, receipt: StageReceipt, documents: Iterable[Named]) -> Statement:
    """Return the statement of a stage that has one; ``documents`` are the files that hold the receipt and the summary."""
    return Statement(
        subject=[_entry(Subject, entry) for entry in receipt.outputs.files],
        predicate=_provenance(summary, receipt, documents),
    )


def _provenance(summary: RunSummary, receipt: StageReceipt, documents: Iterable[Named]) -> Provenance:
    # an extension field with the name of a field of the receipt or the summary is that field
    facts: dict[str, Any] = {f"{_EXTENSION}{name}": fact for name, fact in [*summary, *receipt]}
    return Provenance(
        **{name: fact for name, fact in facts.items() if name in Provenance.model_fields},
        etl_records_in=receipt.inputs.record_count,
        etl_records_out=receipt.outputs.record_count,
        etl_unread=[entry for entry in receipt.inputs.files if entry.sha256 is None],
        etl_inputs_hash=receipt.inputs.hash,
        etl_outputs_hash=receipt.outputs.hash,
        build_definition=_definition(summary, receipt),
        run_details=RunDetails(
            builder=Builder(id=_package(PACKAGE, receipt.engine.etl), version=receipt.engine),
            metadata=BuildMetadata(
                invocation_id=f"{receipt.run_id}/{receipt.stage}",
                started_on=_earlier(receipt.timestamp, receipt.duration_ms),
                finished_on=receipt.timestamp,
            ),
            byproducts=[_named(document, "document") for document in documents],
        ),
    )


def _definition(summary: RunSummary, receipt: StageReceipt) -> BuildDefinition:
    # a file that could not be read has no digest, which a descriptor must have: it stands in etl_unread
    inputs = [_entry(ResourceDescriptor, entry) for entry in receipt.inputs.files if entry.sha256 is not None]
    materials = [_named(material, "material") for material in summary.materials]
    return BuildDefinition(
        build_type=CARRY_OVER if receipt.status == "reused" else STAGE,
        external_parameters=summary.request,
        internal_parameters=InternalParameters(
            git_commit=receipt.git_commit, code_hash=receipt.code_hash, settings_hash=receipt.settings_hash
        ),
        resolved_dependencies=[*inputs, *materials, *_engines(receipt.engine)],
    )


def _entry(kind: type[_Descriptor], entry: FileEntry) -> _Descriptor:
    return kind(
        name=entry.path,
        digest=Digest(sha256=entry.sha256) if entry.sha256 else None,
        annotations=Annotations(
            etl_kind="relation" if entry.bytes is None else "file",
            etl_bytes=entry.bytes,
            etl_record_count=entry.record_count,
            etl_columns=entry.columns,
            etl_carried=entry.carried or None,
        ),
    )


def _named(named: Named, kind: Literal["material", "document"]) -> ResourceDescriptor:
    return ResourceDescriptor(
        name=named.path, digest=Digest(sha256=named.sha256), annotations=Annotations(etl_kind=kind)
    )


def _engines(engine: Engine) -> list[ResourceDescriptor]:
    packages = {
        "duckdb": _package("pkg:pypi/duckdb", engine.duckdb),
        "evidence-etl": _package(PACKAGE, engine.etl),
        "python": _package("pkg:generic/python", engine.python),
    }
    kind = Annotations(etl_kind="engine")
    return [ResourceDescriptor(name=name, uri=uri, annotations=kind) for name, uri in packages.items()]


def _package(name: str, version: str) -> str:
    return f"{name}@{quote(version, safe='')}"


def _earlier(time: str, milliseconds: int) -> str:
    """Return the time that lies so long before another, as documents write it."""
    moment = datetime.fromisoformat(time).astimezone(UTC) - timedelta(milliseconds=milliseconds)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
