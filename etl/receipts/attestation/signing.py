"""Keys and signatures: ed25519 key files, and DSSE envelopes around what is signed. The only module that sees a key.

No message names anything that was read from a key file.
"""

import base64
import binascii
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from pydantic import ConfigDict, Field

from etl.base.errors import KeyFileError
from etl.base.files import sync, sync_folder
from etl.receipts.models import Document, Sha256

PrivateKey = Ed25519PrivateKey
PublicKey = Ed25519PublicKey

#: What the bytes in an envelope are: an in-toto Statement as JSON.
PAYLOAD_TYPE = "application/vnd.in-toto+json"

#: A key file is a few hundred bytes; no more than this is read of one.
_MOST_KEY_BYTES = 1 << 16


class Signature(Document):
    """One signature. ``keyid`` only says which key to try: it is not signed itself."""

    # DSSE: whoever reads ignores fields that it does not know
    model_config = ConfigDict(extra="ignore", json_schema_serialization_defaults_required=False)

    keyid: Annotated[str | None, Field(exclude_if=lambda keyid: keyid is None)] = None
    sig: str


class Envelope(Document):
    """Envelope (DSSE v1): bytes in base64, what they are, and who signed both."""

    model_config = ConfigDict(extra="ignore")

    payload: str
    payload_type: str = Field(alias="payloadType")
    signatures: Annotated[list[Signature], Field(min_length=1)]


class KeyPair(Document):
    """Where a new pair of keys is, and what signatures call it."""

    private: str
    public: str
    keyid: Sha256


class SignatureError(ValueError):
    """An envelope does not hold what the key's owner signed; its text is the reason."""


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return DSSE's pre-authentication encoding: the bytes that are signed. The lengths keep type and payload apart."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def key_id(key: PublicKey) -> str:
    """Return a public key's id: the sha256 hex of its SubjectPublicKeyInfo in DER."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def sign(payload: bytes, key: PrivateKey) -> Envelope:
    """Return the envelope with a statement's bytes, signed."""
    signature = Signature(
        keyid=key_id(key.public_key()), sig=base64.b64encode(key.sign(pae(PAYLOAD_TYPE, payload))).decode()
    )
    return Envelope(payload=base64.b64encode(payload).decode(), payload_type=PAYLOAD_TYPE, signatures=[signature])


def opened(envelope: Envelope, key: PublicKey) -> bytes:
    """Return an envelope's payload once one of its signatures is this key's. Raises SignatureError."""
    payload = _decoded(envelope.payload)
    signed = pae(envelope.payload_type, payload)
    if not any(_holds(signature, signed, key) for signature in envelope.signatures):
        raise SignatureError(f"no signature in it is that of the key {key_id(key)}")
    if envelope.payload_type != PAYLOAD_TYPE:
        raise SignatureError(f"what is signed is no {PAYLOAD_TYPE}")
    return payload


def _holds(signature: Signature, signed: bytes, key: PublicKey) -> bool:
    try:
        key.verify(_decoded(signature.sig), signed)
    except (InvalidSignature, SignatureError):
        return False
    return True


def _decoded(text: str) -> bytes:
    """Return the bytes of base64 in either alphabet, as DSSE asks of whoever reads. Raises SignatureError."""
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        raise SignatureError("it is not base64") from None


def make_keys(file: Path) -> tuple[Path, str]:
    """Write a new private key to ``file`` and its public key beside it; return the latter's path, and its id.

    Nothing is overwritten, and nobody else could read the private key at any moment. Raises KeyFileError.
    """
    public = file.with_name(f"{file.name}.pub")
    key = PrivateKey.generate()
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    shared = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    # the private key is written last: a pair that cannot be made whole leaves none behind
    with _created(public, 0o644, shared), _created(file, 0o600, secret):
        sync_folder(file.parent)
    return public, key_id(key.public_key())


@contextmanager
def _created(file: Path, mode: int, content: bytes) -> Iterator[None]:
    """Create a file that was not there, with its mode from the first byte on; take it away if what follows fails."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise KeyFileError(
            f"{file}: it is there already, and a key is never overwritten; choose another name."
        ) from None
    except OSError as error:
        raise KeyFileError(f"{file}: it cannot be made ({error.strerror}); choose another place.") from None
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            sync(stream.fileno(), file)
        yield
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def read_private_key(file: Path) -> PrivateKey:
    """Return the key to sign with. Raises KeyFileError where it is none, or where others than its owner can get at it."""
    text = _key_text(file, is_private=True)
    try:
        key = load_pem_private_key(text, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, PrivateKey):
        raise KeyFileError(
            f"{file}: it is no ed25519 private key in PEM (PKCS #8, without a password); make one with etl keygen."
        )
    return key


def read_public_key(file: Path) -> PublicKey:
    """Return the key to check signatures with. Raises KeyFileError where it is none."""
    text = _key_text(file)
    try:
        key = load_pem_public_key(text)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, PublicKey):
        raise KeyFileError(f"{file}: it is no ed25519 public key in PEM; name the .pub file that etl keygen made.")
    return key


def _key_text(file: Path, is_private: bool = False) -> bytes:
    try:
        with file.open("rb") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)  # of the file that is read, not of the name
            if is_private and mode & 0o077:
                raise KeyFileError(
                    f"{file}: others than its owner can get at this private key (mode {mode:04o}); "
                    "close it with chmod 600."
                )
            return stream.read(_MOST_KEY_BYTES)
    except OSError as error:
        raise KeyFileError(f"{file}: the key cannot be read ({error.strerror}); name another file.") from None
