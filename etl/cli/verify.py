"""The commands about what proves a run: receipts, keygen, verify."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from etl.base.errors import NotFoundError, UsageError
from etl.cli.opening import look_at, open_history
from etl.cli.options import AsJson, Evidence, Root, RunId
from etl.cli.result import Answer, checked

if TYPE_CHECKING:
    from etl.base.project import Project
    from etl.receipts.models import Check


def receipts(
    run_id: RunId = None,
    root: Root = Path(),
    form: Annotated[
        str, typer.Option("--format", help="table, or in-toto: a line of JSON for each stage (Statement v1, SLSA v1).")
    ] = "table",
    key: Annotated[
        Path | None,
        typer.Option("--sign", metavar="KEYFILE", help="Sign each line of in-toto with this ed25519 or P-256 key."),
    ] = None,
    as_json: AsJson = False,
) -> Answer:
    """Show the receipts of a run; or state them in the standard form, signed if a key is given."""
    if form not in {"table", "in-toto"}:
        raise UsageError(f"--format {form}: it is table or in-toto.")
    if form == "in-toto":
        if as_json:
            raise UsageError("--json prints one document, and --format in-toto a line for each stage; name one.")
        return _statements(run_id, look_at(root), key)
    if key is not None:
        raise UsageError("--sign: only what --format in-toto prints can be signed; add it.")
    from etl.console.show import show_receipts
    from etl.receipts.store import require_documents, require_run

    project = look_at(root)
    with open_history(project) as history:
        summary, documents = require_documents(project.reports / require_run(history, run_id))
    return Answer({"summary": summary, "receipts": documents}, partial(show_receipts, summary, documents))


def _statements(run_id: str | None, project: "Project", key_file: Path | None) -> Answer:
    from etl.receipts.attestation.statement import statements_of
    from etl.receipts.markdown import harmless

    sign = _signer(key_file) if key_file else None
    with open_history(project) as history:
        stated = statements_of(project, history, run_id)
    for receipt in stated.left_out:
        typer.echo(
            harmless(f"etl: {receipt.stage} is left out: it is {receipt.status}, and has no output that stands."),
            err=True,
        )
    if not stated.statements:
        raise NotFoundError("No stage of this run has an output that stands, so there is nothing to state.")
    lines = [statement.to_line() for statement in stated.statements]
    signed = [sign(line) for line in lines] if sign else lines
    return Answer(None, partial(typer.echo, "\n".join(signed)))


def _signer(key_file: Path) -> Callable[[str], str]:
    """Return a function that puts a line into a signed envelope. Raises KeyFileError."""
    from etl.receipts.attestation.signing import read_private_key, sign

    key = read_private_key(key_file)
    return lambda line: sign(line.encode(), key).to_line()


def keygen(
    file: Annotated[Path, typer.Argument(metavar="NAME", help="The private key's file; NAME.pub is the public key's.")],
    is_p256: Annotated[bool, typer.Option("--p256", help="Make an ECDSA P-256 pair.")] = False,
) -> Answer:
    """Make a pair of ed25519 or P-256 keys to sign receipts with; nothing is overwritten."""
    from etl.receipts.attestation.signing import make_keys

    pair = make_keys(file, is_p256)
    said = f"private {pair.private} (keep it to yourself)\npublic  {pair.public} (give it away)\nkeyid   {pair.keyid}"
    return Answer(pair, partial(typer.echo, said))


def verify(
    run_id: RunId = None,
    root: Root = Path(),
    evidence: Evidence = None,
    everything: Annotated[bool, typer.Option("--all", help="Check the whole chain of runs, and every file.")] = False,
    head: Annotated[
        str | None, typer.Option("--head", metavar="HASH", help="A head written down elsewhere must be in the chain.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", metavar="PUBFILE", help="Check --envelopes with it.")] = None,
    envelopes: Annotated[
        Path | None, typer.Option("--envelopes", metavar="FILE", help="Signed lines of etl receipts; -: stdin.")
    ] = None,
) -> Answer:
    """Re-hash every file that a run's receipts name, or check all runs, or signed receipts; exit code 1 if one is wrong."""
    if (everything or head) and (run_id or key or envelopes):
        raise UsageError("verify: --all and --head check every run; leave out the run, --key and --envelopes.")
    project = look_at(root)
    if everything or head:
        from etl.receipts.verify import verify_all

        checks = verify_all(project, head, evidence)
    elif key is not None or envelopes is not None:
        checks = _envelope_checks(run_id, project, key, envelopes)
    else:
        from etl.receipts.verify import verify as checks_of
        from etl.warehouse.sql_files import Sql

        with open_history(project) as history:
            checks = checks_of(project, Sql.of(project.overlay), history, run_id, evidence)
    return checked("verify", checks)


def _envelope_checks(
    run_id: str | None, project: "Project", key_file: Path | None, envelopes: Path | None
) -> "list[Check]":
    from etl.receipts.attestation.signing import check_envelopes, read_public_key

    if key_file is None or envelopes is None:
        raise UsageError("--key PUBFILE and --envelopes FILE go together; name both.")
    if run_id is not None:
        raise UsageError("--envelopes: they say themselves which run they are about; name no run.")
    key = read_public_key(key_file)
    text = sys.stdin.buffer.read() if str(envelopes) == "-" else _bytes_of(envelopes)
    with open_history(project) as history:
        return check_envelopes(project, history, text, str(envelopes), key)


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise NotFoundError(f"{file}: it cannot be read ({error.strerror}).") from None
