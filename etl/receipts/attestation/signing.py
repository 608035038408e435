"""Keys and signatures: ed25519 and P-256 key files, DSSE envelopes around what is signed. Only this module sees a key.

No message names anything that was read from a key file.
"""

import base64
import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from pydantic import ConfigDict, Field
from securesystemslib import dsse, signer
from securesystemslib.exceptions import UnverifiedSignatureError

from etl.base.errors import KeyFileError
from etl.base.files import sync, sync_folder
from etl.receipts.models import Document, Sha256

PrivateKey = signer.CryptoSigner
PublicKey = signer.SSlibKey

#: What the bytes in an envelope are: an in-toto Statement as JSON.
PAYLOAD_TYPE = "application/vnd.in-toto+json"


class Signature(Document):
    """One signature. ``keyid`` only says which key to try: it is not signed itself."""

    # DSSE: whoever reads ignores fields that it does not know
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


class SignatureError(ValueError):
    """An envelope does not hold what the key's owner signed; its text is the reason."""


def sign(payload: bytes, key: PrivateKey) -> Envelope:
    """Return the envelope with a statement's bytes, signed."""
    envelope = dsse.Envelope(payload, PAYLOAD_TYPE, {})
    envelope.sign(key)
    return Envelope.model_validate(envelope.to_dict())


def open_envelope(envelope: Envelope, key: PublicKey) -> bytes:
    """Return an envelope's payload if one of its signatures is this key's. Raises SignatureError."""
    payload = _decode(envelope.payload)
    signed = dsse.Envelope(payload, envelope.payload_type, {}).pae()
    # a keyid decides nothing, so each signature is tried as this key's. The library's own reading of an envelope refuses
    # a signature without a keyid, and two with the same; its verify skips those whose keyid is not the key's
    for signature in envelope.signatures:
        with suppress(UnverifiedSignatureError, SignatureError):
            key.verify_signature(signer.Signature(key.keyid, _decode(signature.sig).hex()), signed)
            break
    else:
        raise SignatureError(f"no signature in it is that of the key {key.keyid}")
    if envelope.payload_type != PAYLOAD_TYPE:
        raise SignatureError(f"what is signed is not {PAYLOAD_TYPE}")
    return payload


def _decode(text: str) -> bytes:
    """Return the bytes of base64 in either alphabet, as DSSE asks of whoever reads. Raises SignatureError."""
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except ValueError:
        raise SignatureError("it is not base64") from None


def make_keys(file: Path, is_p256: bool = False) -> KeyPair:
    """Write a new private key, ed25519 or P-256, to ``file``, and its public key beside it. Raises KeyFileError.

    Nothing is overwritten, nobody else can read the private key at any moment, and half a pair is not left behind.
    """
    secret = (PrivateKey.generate_ecdsa() if is_p256 else PrivateKey.generate_ed25519()).private_bytes
    key = load_pem_private_key(secret, password=None).public_key()
    public = file.with_name(f"{file.name}.pub")
    with ExitStack() as undo:
        _create(public, 0o644, key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), undo)
        _create(file, 0o600, secret, undo)  # last: a process that is killed leaves no secret without its public key
        sync_folder(file.parent)
        undo.pop_all()
    return KeyPair(private=str(file), public=str(public), keyid=_public_key(key).keyid)


def _create(file: Path, mode: int, content: bytes, undo: ExitStack) -> None:
    """Write a file that was not there, with its mode from the first byte on; ``undo`` removes it. Raises KeyFileError."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except OSError as error:
        raise KeyFileError(
            f"{file}: it cannot be made ({error.strerror}); no key is overwritten, so choose another name or folder."
        ) from None
    undo.callback(file.unlink, missing_ok=True)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        sync(stream.fileno(), file)


def read_private_key(file: Path) -> PrivateKey:
    """Return the key to sign with. Raises KeyFileError where it is of another kind, or open to others than its owner."""
    with _read(file, "private key in PEM (PKCS #8, without a password)", closed_to=0o077) as text:
        key = load_pem_private_key(text, password=None)
        return PrivateKey(key, _public_key(key.public_key()))


def read_public_key(file: Path) -> PublicKey:
    """Return the key to check signatures with. Raises KeyFileError where it is of another kind."""
    with _read(file, "public key in PEM") as text:
        return _public_key(load_pem_public_key(text))


@contextmanager
def _read(file: Path, kind: str, closed_to: int = 0) -> Iterator[bytes]:
    """Give what a key file holds; raise KeyFileError where it cannot be read, or where the block cannot read a key in it."""
    try:
        with file.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode & 0o7777  # of the file that is read, not of the name
            if mode & closed_to:
                raise KeyFileError(
                    f"{file}: others than its owner can get at this private key (mode {mode:04o}); "
                    "close it with chmod 600."
                )
            yield stream.read(1 << 16)  # a key is a few hundred bytes
    except OSError as error:
        raise KeyFileError(f"{file}: the key cannot be read ({error.strerror}); name another file.") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyFileError(f"{file}: it is not an ed25519 or P-256 {kind}; etl keygen makes a pair.") from None


def _public_key(key: PublicKeyTypes) -> PublicKey:
    """Return a key with its id: the sha256 hex of its SubjectPublicKeyInfo in DER. Raises ValueError for other kinds."""
    keyid = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
    public = PublicKey.from_crypto(key, keyid)
    if public.scheme not in {"ed25519", "ecdsa-sha2-nistp256"}:
        raise ValueError(public.scheme)
    return public
