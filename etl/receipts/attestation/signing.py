"""Keys and signatures: ed25519 and P-256 key files, DSSE envelopes around what is signed. Only this module sees a key.

No message quotes anything that was read from a key file.
"""

import base64
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from pydantic import AliasPath, BaseModel, ConfigDict, Field, ValidationError
from securesystemslib import dsse, signer
from securesystemslib.exceptions import UnverifiedSignatureError

from etl.base.errors import UsageError
from etl.base.files import sync, sync_folder
from etl.base.project import Project
from etl.receipts.attestation.statement import statements_of
from etl.receipts.models import Check, Document, Sha256
from etl.warehouse.connection import Warehouse

PrivateKey = signer.CryptoSigner
PublicKey = signer.SSlibKey

#: The form of public keys, in files and under their ids.
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo

#: What the bytes in an envelope are: an in-toto Statement as JSON.
PAYLOAD_TYPE = "application/vnd.in-toto+json"


class Signature(Document):
    """One signature. ``keyid`` only says which key to try: it is not signed itself."""

    # DSSE asks readers to ignore fields that they do not know
    model_config = ConfigDict(extra="ignore", json_schema_serialization_defaults_required=False)

    keyid: str | None = None
    sig: str


class Envelope(Document):
    """Envelope (DSSE v1): bytes in base64, what they are, and who signed both."""

    model_config = ConfigDict(extra="ignore")

    payload: str
    payload_type: str = Field(alias="payloadType")
    signatures: list[Signature] = Field(min_length=1)


class KeyPair(Document):
    """Where a new pair of keys is, and what signatures call it."""

    private: str
    public: str
    keyid: Sha256


class _Claim(BaseModel):
    """The stage that a payload says it is about. Nothing else in it is read: it is compared as a whole."""

    run_id: str = Field(validation_alias=AliasPath("predicate", "etl_run_id"))
    stage: str = Field(validation_alias=AliasPath("predicate", "etl_stage"))


class SignatureError(ValueError):
    """An envelope does not hold what the key's owner signed; its text is the reason."""


def sign(payload: bytes, key: PrivateKey) -> Envelope:
    """Return the envelope with a statement's bytes, signed."""
    envelope = dsse.Envelope(payload, PAYLOAD_TYPE, {})
    envelope.sign(key)
    return Envelope.model_validate(envelope.to_dict())


def open_envelope(line: bytes, key: PublicKey) -> bytes:
    """Return the payload of an envelope in JSON if one of its signatures is this key's. Raises SignatureError."""
    try:
        envelope = Envelope.model_validate_json(line)
    except ValueError:
        raise SignatureError("it is not a DSSE envelope") from None
    payload = _decode(envelope.payload)
    signed = dsse.Envelope(payload, envelope.payload_type, {}).pae()
    # A keyid proves nothing, so each signature is tried with this key. The library's own reader refuses a signature without
    # a keyid, and two with the same one; its verify skips those with another keyid than the key's.
    for signature in envelope.signatures:
        with suppress(UnverifiedSignatureError, SignatureError):
            key.verify_signature(signer.Signature(key.keyid, _decode(signature.sig).hex()), signed)
            break
    else:
        raise SignatureError(f"it is not signed with the key {key.keyid}")
    if envelope.payload_type != PAYLOAD_TYPE:
        raise SignatureError(f"it is signed, but its payload is not of the type {PAYLOAD_TYPE}")
    return payload


def _decode(text: str) -> bytes:
    """Return the bytes of base64 in either alphabet, as DSSE asks of whoever reads. Raises SignatureError."""
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except ValueError:
        raise SignatureError("its payload is not base64") from None


def check_envelopes(project: Project, history: Warehouse, text: bytes, name: str, key: PublicKey) -> list[Check]:
    """Return a check for each line of ``text``: that it is signed with this key, and that its run states the same now.

    ``name`` is the file that the text came from. Raises UsageError where it holds no line, for then nothing is checked.
    """

    @cache
    def lines_of(run_id: str) -> set[bytes]:
        """Return the lines that a run states now."""
        return {statement.to_line().encode() for statement in statements_of(project, history, run_id).statements}

    lines = [(number, line) for number, line in enumerate(text.split(b"\n"), start=1) if line.strip()]
    if not lines:
        raise UsageError(f"{name}: it holds no envelope; etl receipts --format in-toto --sign KEYFILE makes some.")
    return [_check(f"line {number}", line, key, lines_of) for number, line in lines]


def _check(what: str, line: bytes, key: PublicKey, lines_of: Callable[[str], set[bytes]]) -> Check:
    """Check one envelope; ``lines_of`` returns what a run states now. What is not signed is not even named."""
    try:
        payload = open_envelope(line, key)
        claim = _Claim.model_validate_json(payload)
        what = f"{what}: {claim.run_id}/{claim.stage}"
        if payload in lines_of(claim.run_id):
            return Check(what, "ok", "it is signed, and the run's documents state the same")
        return Check(what, "failed", "it is signed, but the run's documents state something else now")
    except ValidationError:
        return Check(what, "failed", "it is signed, but it does not name a stage of a run")
    except (SignatureError, UsageError) as error:
        return Check(what, "failed", str(error))


def make_keys(file: Path, is_p256: bool = False) -> KeyPair:
    """Write a new private key, ed25519 or P-256, to ``file``, and its public key beside it. Raises UsageError.

    Nothing is overwritten, nobody else can read the private key at any moment, and half a pair is not left behind.
    """
    secret = (PrivateKey.generate_ecdsa() if is_p256 else PrivateKey.generate_ed25519()).private_bytes
    key = serialization.load_pem_private_key(secret, password=None).public_key()
    public = file.with_name(f"{file.name}.pub")
    with ExitStack() as undo:
        _create(public, 0o644, key.public_bytes(serialization.Encoding.PEM, SPKI), undo)
        _create(file, 0o600, secret, undo)  # last: a killed process leaves no secret without its public key
        sync_folder(file.parent)
        undo.pop_all()
    return KeyPair(private=str(file), public=str(public), keyid=_public_key(key).keyid)


def _create(file: Path, mode: int, content: bytes, undo: ExitStack) -> None:
    """Write a new file, with its mode from the first byte on; ``undo`` removes it. Raises UsageError where one is there."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except OSError as error:
        raise UsageError(
            f"{file}: it cannot be created ({error.strerror}); no file is overwritten, so choose another name or folder."
        ) from None
    undo.callback(file.unlink, missing_ok=True)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        sync(stream.fileno(), file)


def read_private_key(file: Path) -> PrivateKey:
    """Return the key to sign with. Raises UsageError where it is of another kind, or open to others than its owner."""
    with _read(file, "private key in PEM (PKCS #8, without a password)") as (pem, mode):
        if mode & 0o077:
            raise UsageError(f"{file}: others can read or change this private key (mode {mode:04o}); run chmod 600.")
        key = serialization.load_pem_private_key(pem, password=None)
        return PrivateKey(key, _public_key(key.public_key()))


def read_public_key(file: Path) -> PublicKey:
    """Return the key to check signatures with. Raises UsageError where it is of another kind."""
    with _read(file, "public key in PEM") as (pem, _):
        return _public_key(serialization.load_pem_public_key(pem))


@contextmanager
def _read(file: Path, kind: str) -> Iterator[tuple[bytes, int]]:
    """Give the bytes and the mode of a key file. Raises UsageError where that fails, or the block finds no key in it."""
    try:
        with file.open("rb") as stream:  # the mode is that of the open file, and a key is a few hundred bytes
            yield stream.read(1 << 16), os.fstat(stream.fileno()).st_mode & 0o7777
    except OSError as error:
        raise UsageError(f"{file}: the key cannot be read ({error.strerror}); name another file.") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UsageError(f"{file}: it is not an ed25519 or P-256 {kind}; etl keygen makes a pair.") from None


def _public_key(key: PublicKeyTypes) -> PublicKey:
    """Return a key with its id: the sha256 hex of its SubjectPublicKeyInfo in DER. Raises ValueError for other kinds."""
    keyid = hashlib.sha256(key.public_bytes(serialization.Encoding.DER, SPKI)).hexdigest()
    public = PublicKey.from_crypto(key, keyid)
    if public.scheme not in {"ed25519", "ecdsa-sha2-nistp256"}:
        raise ValueError(public.scheme)
    return public
