"""Signatures: the signed facts are those of the receipts, by this key and no other; and no private key gets out."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Result, etl, evidence_line, write_evidence
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from typer.testing import CliRunner

from etl.base.errors import UsageError
from etl.cli.app import app
from etl.receipts.attestation.signing import (
    PAYLOAD_TYPE,
    SignatureError,
    make_keys,
    open_envelope,
    read_private_key,
    read_public_key,
    sign,
)

EVIDENCE = [evidence_line("a", verdict="accept"), evidence_line("b", verdict="reject")]
PEM = serialization.Encoding.PEM
KINDS = ["ed25519", "p256"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a root with one run, two pairs of keys of each kind, and that run's envelopes by the first of each kind."""
    root = tmp_path_factory.mktemp("signing")
    write_evidence(root / "evidence", {"evidence.jsonl": EVIDENCE})
    assert etl("run-all", "--root", root).exit_code == 0
    for kind in KINDS:
        for name in (kind, f"other-{kind}"):
            make_keys(root / name, is_p256=kind == "p256")
        signed = etl("receipts", "--format", "in-toto", "--sign", root / kind, "--root", root)
        assert signed.exit_code == 0, signed.stderr
        (root / f"{kind}.intoto.jsonl").write_text(signed.stdout, encoding="utf-8")
    return root


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Give each kind of key; the root's files of that kind have its name."""
    return str(request.param)


def envelopes_of(root: Path, kind: str) -> list[dict[str, Any]]:
    """Return the envelopes that the root's run was signed with."""
    return [json.loads(line) for line in (root / f"{kind}.intoto.jsonl").read_text(encoding="utf-8").splitlines()]


def check(root: Path, envelopes: list[Any], key: str) -> Result:
    """Check envelopes with a public key of the root."""
    file = root / "given.jsonl"
    file.write_text("".join(json.dumps(envelope) + "\n" for envelope in envelopes), encoding="utf-8")
    return etl("verify", "--key", root / f"{key}.pub", "--envelopes", file, "--root", root, "--json")


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that DSSE signs, written from its specification."""
    return b" ".join(
        [b"DSSEv1", str(len(payload_type.encode())).encode(), payload_type.encode(), str(len(payload)).encode(), payload]
    )


def envelope_by_hand(key_file: Path, payload_type: str, payload: bytes) -> dict[str, Any]:
    """Return an envelope in URL-safe base64, without a keyid, signed by the cryptography library alone."""
    key: Any = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    how = [ec.ECDSA(hashes.SHA256())] if isinstance(key, ec.EllipticCurvePrivateKey) else []
    signature = key.sign(pae(payload_type, payload), *how)
    return {
        "payload": base64.urlsafe_b64encode(payload).decode(),
        "payloadType": payload_type,
        "signatures": [{"sig": base64.urlsafe_b64encode(signature).decode()}],
    }


def keyid_by_hand(public_file: Path) -> str:
    """Return the sha256 of the DER between the lines of a PEM file."""
    return hashlib.sha256(base64.b64decode(b"".join(public_file.read_bytes().splitlines()[1:-1]))).hexdigest()


def test_published_vector(tmp_path: Path) -> None:
    """The protocol's own example (ECDSA over P-256; r and s put into DER) -> it holds, and only its type is refused."""
    numbers = ec.EllipticCurvePublicNumbers(
        x=46950820868899156662930047687818585632848591499744589407958293238635476079160,
        y=5640078356564379163099075877009565129882514886557779369047442380624545832820,
        curve=ec.SECP256R1(),
    )
    published = base64.b64decode("A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA==")
    r, s = (int.from_bytes(half) for half in (published[:32], published[32:]))
    envelope = {
        "payload": "aGVsbG8gd29ybGQ=",
        "payloadType": "http://example.com/HelloWorld",
        "signatures": [{"sig": base64.b64encode(encode_dss_signature(r, s)).decode()}],
    }
    file = _write(tmp_path / "key.pub", _public(numbers.public_key()))
    with pytest.raises(SignatureError, match=re.escape(f"its payload is not of the type {PAYLOAD_TYPE}")):
        open_envelope(json.dumps(envelope).encode(), read_public_key(file))


@pytest.mark.parametrize("payload", [b"", b"{}", b"\xfb\xff\xbe"])
def test_other_tools_sign_and_check_the_same(root: Path, kind: str, payload: bytes) -> None:
    """A payload signed by the cryptography library alone -> it holds; what is signed here holds there, under its keyid."""
    theirs = envelope_by_hand(root / kind, PAYLOAD_TYPE, payload)
    assert open_envelope(json.dumps(theirs).encode(), read_public_key(root / f"{kind}.pub")) == payload
    ours = json.loads(sign(payload, read_private_key(root / kind)).to_line())
    (signature,) = ours["signatures"]
    assert (base64.b64decode(ours["payload"]), ours["payloadType"]) == (payload, PAYLOAD_TYPE)
    assert signature["keyid"] == keyid_by_hand(root / f"{kind}.pub")
    key: Any = serialization.load_pem_public_key((root / f"{kind}.pub").read_bytes())
    how = [ec.ECDSA(hashes.SHA256())] if kind == "p256" else []
    key.verify(base64.b64decode(signature["sig"]), pae(PAYLOAD_TYPE, payload), *how)  # raises InvalidSignature


def test_signed_receipts_hold(root: Path, kind: str) -> None:
    """Sign, then check -> one envelope per stage, each a statement as it is printed unsigned; all hold."""
    unsigned = etl("receipts", "--format", "in-toto", "--root", root).stdout.splitlines()
    envelopes = envelopes_of(root, kind)
    assert [base64.b64decode(envelope["payload"]).decode() for envelope in envelopes] == unsigned
    assert {envelope["payloadType"] for envelope in envelopes} == {"application/vnd.in-toto+json"}
    keyid = keyid_by_hand(root / f"{kind}.pub")
    assert [[signature["keyid"] for signature in envelope["signatures"]] for envelope in envelopes] == [[keyid]] * 5
    result = check(root, envelopes, kind)
    assert result.exit_code == 0
    assert [item["status"] for item in result.json] == ["ok"] * 5
    assert result.json[0]["what"].startswith("line 1: ")
    assert result.json[0]["what"].endswith("/collect")


def test_envelopes_from_stdin(root: Path) -> None:
    """--envelopes - -> they are read from stdin, without blank lines."""
    text = b"\n" + (root / "p256.intoto.jsonl").read_bytes()
    arguments = ["verify", "--key", str(root / "p256.pub"), "--envelopes", "-", "--root", str(root), "--json"]
    result = CliRunner().invoke(app, arguments, input=text)
    assert result.exit_code == 0
    assert [item["what"].split(":")[0] for item in json.loads(result.stdout)] == [f"line {n}" for n in range(2, 7)]


def test_table_of_checks(root: Path) -> None:
    """Without --json -> the same checks as a table."""
    result = etl("verify", "--key", root / "p256.pub", "--envelopes", root / "p256.intoto.jsonl", "--root", root)
    assert result.exit_code == 0
    assert result.stdout.count("it is signed, and the run's documents state the same") == 5


def test_all_that_dsse_allows_is_read(root: Path, kind: str) -> None:
    """URL-safe base64, fields that DSSE does not know, signatures by others under any keyid or none -> it holds."""
    envelope = envelopes_of(root, kind)[0]
    for name in ("payload", "sig"):
        part = envelope if name == "payload" else envelope["signatures"][0]
        part[name] = part[name].replace("+", "-").replace("/", "_")
    mine = envelope["signatures"][0] | {"cert": "x"}
    nameless = {"sig": mine["sig"]}
    strangers = [
        envelope_by_hand(root / f"other-{other}", PAYLOAD_TYPE, b"{}")["signatures"][0] | {"keyid": keyid}
        for other in KINDS
        for keyid in (mine["keyid"], None, "")
    ]
    broken = [{"sig": "no base64", "keyid": mine["keyid"]}, {"sig": ""}]
    for signatures in ([mine], [nameless], [mine, mine], [*strangers, *broken, mine], [*broken, *strangers, nameless]):
        result = check(root, [envelope | {"signatures": signatures, "extra": 1}], kind)
        assert result.exit_code == 0, result.stdout


def _changed(envelope: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    text = base64.b64decode(envelope["payload"]).decode()
    assert old in text
    return envelope | {"payload": base64.b64encode(text.replace(old, new, 1).encode()).decode()}


def test_tampering_is_found(root: Path, kind: str) -> None:
    """A changed payload, type, signature or line -> it fails, each with its reason, and the exit code is 1."""
    good = envelopes_of(root, kind)[0]
    other = envelopes_of(root, KINDS[1 - KINDS.index(kind)])[0]
    cut = base64.b64encode(base64.b64decode(good["signatures"][0]["sig"])[:-1]).decode()
    keyid = good["signatures"][0]["keyid"]
    unsigned = f"it is not signed with the key {keyid}"
    cases = [
        (_changed(good, '"etl_blank":0', '"etl_blank":1'), unsigned),
        (good | {"payloadType": "application/json"}, unsigned),
        (good | {"signatures": [{"sig": base64.b64encode(b"0" * 64).decode(), "keyid": keyid}]}, unsigned),
        (good | {"signatures": [{"sig": cut, "keyid": keyid}]}, unsigned),
        (good | {"signatures": [{"sig": "no base64", "keyid": keyid}]}, unsigned),
        (good | {"signatures": envelopes_of(root, kind)[1]["signatures"]}, unsigned),
        (good | {"signatures": [other["signatures"][0] | {"keyid": keyid}]}, unsigned),
        (good | {"signatures": []}, "it is not a DSSE envelope"),
        (good | {"payload": "#"}, "its payload is not base64"),
        ("text", "it is not a DSSE envelope"),
        ({"payload": "e30="}, "it is not a DSSE envelope"),
    ]
    result = check(root, [good, *(case for case, _ in cases)], kind)
    assert result.exit_code == 1
    assert [item["status"] for item in result.json] == ["ok", *["failed"] * len(cases)]
    assert [item["detail"] for item in result.json[1:]] == [reason for _, reason in cases]
    assert result.json[1]["what"] == "line 2", "what is not signed is not believed, not even as a name"


def test_only_statements_about_known_runs_hold(root: Path, kind: str) -> None:
    """Signed with the key, yet of another type, about no stage, about an unknown run, or with other facts -> each fails."""
    key = read_private_key(root / kind)
    text = base64.b64decode(envelopes_of(root, kind)[0]["payload"]).decode()
    run_id = json.loads(text)["predicate"]["etl_run_id"]
    other_type = envelope_by_hand(root / kind, "text/plain", b"{}")
    cases = [
        (other_type, f"its payload is not of the type {PAYLOAD_TYPE}"),
        (b"{}", "it does not name a stage of a run"),
        (b"[" * 100_000, "it does not name a stage of a run"),
        (b'{"predicate": {"etl_run_id": null, "etl_stage": "collect"}}', "it does not name a stage of a run"),
        (text.replace(f'id":"{run_id}"', 'id":"../../evidence"').encode(), "There is no run '../../evidence'"),
        (text.replace(f"{run_id}/collect", f"{run_id}/score").encode(), "the run's documents state something else now"),
        (text.replace('"etl_stage":"collect"', '"etl_stage":"nothing"').encode(), "state something else now"),
        (text.replace('"etl_blank":0', '"etl_blank":1').encode(), "state something else now"),
        ((text + " ").encode(), "state something else now"),
    ]  # fmt: skip
    envelopes = [json.loads(sign(case, key).to_line()) if isinstance(case, bytes) else case for case, _ in cases]
    result = check(root, envelopes, kind)
    assert result.exit_code == 1
    for item, (_, reason) in zip(result.json, cases, strict=True):
        assert item["status"] == "failed"
        assert reason in item["detail"]


@pytest.mark.parametrize("other", KINDS)
def test_another_key_finds_nothing_signed(root: Path, kind: str, other: str) -> None:
    """The public key of another pair, of the same kind or the other -> every envelope fails."""
    result = check(root, envelopes_of(root, kind), f"other-{other}")
    assert result.exit_code == 1
    assert {item["status"] for item in result.json} == {"failed"}
    assert keyid_by_hand(root / f"other-{other}.pub") in result.json[0]["detail"]


@pytest.mark.parametrize("name", ["collect.json", "summary.json"])
def test_a_receipt_changed_after_signing_is_found(tmp_path: Path, root: Path, kind: str, name: str) -> None:
    """A receipt or summary that was changed after it was signed -> the signed statement no longer holds."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": EVIDENCE})
    assert etl("run-all", "--root", tmp_path).exit_code == 0
    signed = etl("receipts", "--format", "in-toto", "--sign", root / kind, "--root", tmp_path).stdout
    (tmp_path / "envelopes").write_text(signed, encoding="utf-8")
    arguments = ("verify", "--key", root / f"{kind}.pub", "--envelopes", tmp_path / "envelopes", "--root", tmp_path)
    assert etl(*arguments).exit_code == 0
    file = next(path for path in (tmp_path / "reports/distillation").iterdir() if path.is_dir()) / name
    file.write_bytes(file.read_bytes().replace(b'"skipped": 0', b'"skipped": 1', 1))
    result = etl(*arguments, "--json")
    assert result.exit_code == 1
    assert {item["status"] for item in result.json} == {"failed"}


def test_a_newer_run_leaves_signatures_as_they_are(tmp_path: Path, root: Path) -> None:
    """Another run after the signed one -> the signed statements still hold, and without a warehouse too."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": EVIDENCE})
    assert etl("run-all", "--root", tmp_path).exit_code == 0
    signed = etl("receipts", "--format", "in-toto", "--sign", root / "p256", "--root", tmp_path).stdout
    (tmp_path / "envelopes").write_text(signed, encoding="utf-8")
    assert etl("run-all", "--root", tmp_path).exit_code == 0
    (tmp_path / "warehouse/etl.duckdb").unlink()
    result = etl("verify", "--key", root / "p256.pub", "--envelopes", tmp_path / "envelopes", "--root", tmp_path)
    assert result.exit_code == 0


@pytest.mark.parametrize(("flags", "made"), [([], ed25519.Ed25519PrivateKey), (["--p256"], ec.EllipticCurvePrivateKey)])
def test_keygen_makes_a_closed_pair(tmp_path: Path, flags: list[str], made: type) -> None:
    """Etl keygen, under a lax umask -> a private key of the kind asked for, for its owner alone, its public key, and an id."""
    before = os.umask(0)
    try:
        result = etl("keygen", tmp_path / "key", *flags, "--json")
    finally:
        os.umask(before)
    assert result.exit_code == 0
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "key.pub").stat().st_mode & 0o777 == 0o644
    assert result.json == {
        "private": str(tmp_path / "key"),
        "public": str(tmp_path / "key.pub"),
        "keyid": keyid_by_hand(tmp_path / "key.pub"),
    }
    private = serialization.load_pem_private_key((tmp_path / "key").read_bytes(), password=None)
    assert isinstance(private, made)
    assert isinstance(getattr(private, "curve", None), ec.SECP256R1 if flags else type(None))
    assert (tmp_path / "key").read_bytes() == _private(private), "PKCS #8"
    assert (tmp_path / "key.pub").read_bytes() == _public(private.public_key())
    assert {file.name for file in tmp_path.iterdir()} == {"key", "key.pub"}


def test_private_key_is_made_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The private key's file -> opened with mode 0600 and O_EXCL: others could never read it."""
    opens = {}
    real = os.open

    def recording(path: Any, flags: int, mode: int = 0o777) -> int:
        opens[Path(path).name] = (flags, mode)
        return real(path, flags, mode)

    monkeypatch.setattr("etl.receipts.attestation.signing.os.open", recording)
    make_keys(tmp_path / "key")
    flags, mode = opens["key"]
    assert mode == 0o600
    assert flags & os.O_CREAT
    assert flags & os.O_EXCL


@pytest.mark.parametrize("there", ["key", "key.pub"])
@pytest.mark.parametrize("is_link", [False, True])
def test_keygen_never_overwrites(tmp_path: Path, there: str, is_link: bool) -> None:
    """One of the two files exists, or a link to nowhere in its place -> exit code 2; nothing is changed or left behind."""
    if is_link:
        (tmp_path / there).symlink_to(tmp_path / "elsewhere")
    else:
        (tmp_path / there).write_text("mine", encoding="utf-8")
    result = etl("keygen", tmp_path / "key")
    assert result.exit_code == 2
    assert f"{there}: it cannot be created (File exists); no file is overwritten" in result.stderr
    assert [file.name for file in tmp_path.iterdir()] == [there]
    assert is_link or (tmp_path / there).read_text(encoding="utf-8") == "mine"


def test_keygen_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fails while a pair is written, or no such folder -> one sentence, and no half of a pair."""
    assert "cannot be created (No such file or directory)" in etl("keygen", tmp_path / "no/key").stderr

    def failing(descriptor: int, path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("etl.receipts.attestation.signing.sync", failing)
    result = etl("keygen", tmp_path / "key")
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o602])
def test_open_private_key_is_refused(tmp_path: Path, root: Path, mode: int) -> None:
    """A private key that group or others can access -> nothing is signed, exit code 2, and a sentence on how to fix it."""
    make_keys(tmp_path / "key")
    (tmp_path / "key").chmod(mode)
    result = etl("receipts", "--format", "in-toto", "--sign", tmp_path / "key", "--root", root)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert f"(mode {mode:04o}); run chmod 600." in result.stderr
    assert len(result.stderr.splitlines()) == 1


def _write(file: Path, content: bytes) -> Path:
    file.write_bytes(content)
    file.chmod(0o600)
    return file


def _private(key: Any, protection: serialization.KeySerializationEncryption | None = None) -> bytes:
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, protection or serialization.NoEncryption())


def _public(key: Any) -> bytes:
    return bytes(key.public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo))


@pytest.mark.parametrize(
    "other",
    [
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP256K1()),
        ed448.Ed448PrivateKey.generate(),
    ],
    ids=["rsa", "p384", "secp256k1", "ed448"],
)
def test_keys_of_other_kinds_are_refused(tmp_path: Path, root: Path, other: Any) -> None:
    """A pair of another kind of key -> exit code 2, and a sentence that names the two kinds."""
    private = _write(tmp_path / "key", _private(other))
    result = etl("receipts", "--format", "in-toto", "--sign", private, "--root", root)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{private}: it is not an ed25519 or P-256 private key in PEM" in result.stderr
    public = _write(tmp_path / "key.pub", _public(other.public_key()))
    result = etl("verify", "--key", public, "--envelopes", root / "p256.intoto.jsonl", "--root", root)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{public}: it is not an ed25519 or P-256 public key in PEM" in result.stderr


def test_other_files_are_no_keys(tmp_path: Path, root: Path, kind: str) -> None:
    """Text, a key with a password, a public key instead of a private one or the reverse -> refused."""
    secret = serialization.load_pem_private_key((root / kind).read_bytes(), password=None)
    no_private = [
        _write(tmp_path / "text", b"no key"),
        _write(tmp_path / "empty", b""),
        _write(tmp_path / "broken", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        _write(tmp_path / "password", _private(secret, serialization.BestAvailableEncryption(b"secret"))),
        _write(tmp_path / "public", (root / f"{kind}.pub").read_bytes()),
    ]
    for file in no_private:
        result = etl("receipts", "--format", "in-toto", "--sign", file, "--root", root)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"{file}: it is not an ed25519 or P-256 private key in PEM" in result.stderr
    for file in (root / kind, tmp_path / "text", tmp_path / "broken"):
        with pytest.raises(UsageError, match="it is not an ed25519 or P-256 public key in PEM"):
            read_public_key(file)
    for read in (read_private_key, read_public_key):
        with pytest.raises(UsageError, match="the key cannot be read"):
            read(tmp_path / "gone")
        with pytest.raises(UsageError, match="the key cannot be read"):
            read(tmp_path)


def test_key_never_shows(tmp_path: Path, root: Path, kind: str) -> None:
    """Commands that make, use or refuse a private key, with --debug -> no output holds its bytes in any encoding."""
    key = tmp_path / "key"
    keygen = ("keygen", key, *(["--p256"] if kind == "p256" else []), "--debug")
    outputs = [etl(*keygen), etl(*keygen)]
    signing = ("receipts", "--format", "in-toto", "--root", root, "--debug", "--sign")
    outputs.append(etl(*signing, key))
    assert outputs[-1].exit_code == 0
    envelopes = root / f"{kind}.intoto.jsonl"
    outputs.append(etl("verify", "--key", key, "--envelopes", envelopes, "--root", root, "--debug"))
    outputs.append(etl("verify", "--key", root / f"{kind}.pub", "--envelopes", key, "--root", root, "--debug"))
    key.chmod(0o644)
    outputs.append(etl(*signing, key))
    pem = key.read_bytes()
    outputs.append(etl(*signing, _write(tmp_path / "cut", pem[:-30])))
    private: Any = serialization.load_pem_private_key(pem, password=None)
    if kind == "p256":
        secret = private.private_numbers().private_value.to_bytes(32)
        numbers = [str(private.private_numbers().private_value)]
    else:
        secret, numbers = private.private_bytes_raw(), []
    spellings = [
        *numbers,
        secret.hex(),
        base64.b64encode(secret).decode().rstrip("="),
        repr(secret)[2:-1],
        *(line.decode() for line in pem.splitlines()[1:-1]),
    ]
    assert "Traceback" in "".join(output.stderr for output in outputs)
    for output in outputs:
        shown = output.stdout + output.stderr
        for envelope in output.stdout.splitlines():
            if envelope.startswith('{"payload"'):
                shown += base64.b64decode(json.loads(envelope)["payload"]).decode()
        assert not [spelling for spelling in spellings if spelling in shown]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--key", "p256.pub"], "--key PUBFILE and --envelopes FILE go together"),
        (["--envelopes", "p256.intoto.jsonl"], "--key PUBFILE and --envelopes FILE go together"),
        (["nobody", "--key", "p256.pub", "--envelopes", "p256.intoto.jsonl"], "leave out the run"),
        (["--key", "p256.pub", "--envelopes", "gone"], "gone: the file cannot be read"),
        (["--key", "p256.pub", "--envelopes", "empty"], "empty: it holds no envelope"),
        (["--key", "gone", "--envelopes", "p256.intoto.jsonl"], "gone: the key cannot be read"),
    ],
)
def test_bad_usage_is_one_sentence(root: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str) -> None:
    """Flags that do not go together, or files that do not fit -> exit code 2 and one sentence."""
    monkeypatch.chdir(root)
    (root / "empty").write_bytes(b"\n \n")
    result = etl("verify", *arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_only_who_signs_loads_the_libraries(root: Path) -> None:
    """The help, a run's table and its unsigned lines -> work without cryptography and securesystemslib; signing loads them."""
    program = (
        "import sys, etl.cli.app, typer.testing\n"
        "result = typer.testing.CliRunner().invoke(etl.cli.app.app, sys.argv[1:])\n"
        "assert result.exit_code == 0, result.output\n"
        "print(*{'cryptography', 'securesystemslib'} & sys.modules.keys())"
    )
    stating = ("receipts", "--root", str(root), "--format", "in-toto")
    for arguments in (("--help",), ("receipts", "--root", str(root)), ("verify", "--root", str(root)), stating):
        assert subprocess.check_output([sys.executable, "-c", program, *arguments]) == b"\n", arguments
    signing = subprocess.check_output([sys.executable, "-c", program, *stating, "--sign", str(root / "p256")])
    assert {*signing.split()} == {b"cryptography", b"securesystemslib"}


def test_a_keyid_decides_nothing(root: Path, kind: str) -> None:
    """An envelope by another key that claims this key's id -> SignatureError; the other key opens it."""
    envelope = sign(b"{}", read_private_key(root / f"other-{kind}"))
    mine = read_public_key(root / f"{kind}.pub")
    signature = envelope.signatures[0].model_copy(update={"keyid": keyid_by_hand(root / f"{kind}.pub")})
    claimed = envelope.model_copy(update={"signatures": [signature]}).to_line().encode()
    with pytest.raises(SignatureError):
        open_envelope(claimed, mine)
    assert open_envelope(claimed, read_public_key(root / f"other-{kind}.pub")) == b"{}"
