"""Signatures: what is signed is what the receipts say, with this key and no other; and a key stays where it is."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Result, etl, evidence_line, write_evidence
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from typer.testing import CliRunner

from etl.base.errors import KeyFileError
from etl.cli.app import app
from etl.receipts.attestation.signing import (
    PAYLOAD_TYPE,
    SignatureError,
    key_id,
    make_keys,
    opened,
    pae,
    read_private_key,
    read_public_key,
    sign,
)

EVIDENCE = [evidence_line("a", verdict="accept"), evidence_line("b", verdict="reject")]
PEM = serialization.Encoding.PEM


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a root with one run, two pairs of keys, and that run's envelopes by the first one."""
    root = tmp_path_factory.mktemp("signing")
    write_evidence(root / "evidence", {"evidence.jsonl": EVIDENCE})
    assert etl("run-all", "--root", root).exit_code == 0
    for name in ("key", "other"):
        make_keys(root / name)
    signed = etl("receipts", "--format", "in-toto", "--sign", root / "key", "--root", root)
    assert signed.exit_code == 0, signed.stderr
    (root / "run.intoto.jsonl").write_text(signed.stdout, encoding="utf-8")
    return root


def envelopes_of(root: Path) -> list[dict[str, Any]]:
    """Return the envelopes that the root's run was signed with."""
    return [json.loads(line) for line in (root / "run.intoto.jsonl").read_text(encoding="utf-8").splitlines()]


def check(root: Path, envelopes: list[Any], key: str = "key.pub") -> Result:
    """Check envelopes with a key of the root."""
    file = root / "given.jsonl"
    file.write_text("".join(json.dumps(envelope) + "\n" for envelope in envelopes), encoding="utf-8")
    return etl("verify", "--key", root / key, "--envelopes", file, "--root", root, "--json")


def test_pre_authentication_encoding() -> None:
    """The protocol's example -> its bytes; lengths are counted in bytes, and an empty payload keeps its space."""
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert pae("ä", b"") == b"DSSEv1 2 \xc3\xa4 0 "


def test_published_vector() -> None:
    """The protocol's own signature (ECDSA over P-256, r and s) -> it holds over our encoding of its payload."""
    numbers = ec.EllipticCurvePublicNumbers(
        x=46950820868899156662930047687818585632848591499744589407958293238635476079160,
        y=5640078356564379163099075877009565129882514886557779369047442380624545832820,
        curve=ec.SECP256R1(),
    )
    published = base64.b64decode(
        "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="
    )
    r, s = (int.from_bytes(half) for half in (published[:32], published[32:]))
    payload = base64.b64decode("aGVsbG8gd29ybGQ=")
    numbers.public_key().verify(
        encode_dss_signature(r, s), pae("http://example.com/HelloWorld", payload), ec.ECDSA(hashes.SHA256())
    )


def test_signed_receipts_hold(root: Path) -> None:
    """Sign, then check -> one envelope per stage, each a statement as it is printed unsigned; all hold."""
    unsigned = etl("receipts", "--format", "in-toto", "--root", root).stdout.splitlines()
    envelopes = envelopes_of(root)
    assert [base64.b64decode(envelope["payload"]).decode() for envelope in envelopes] == unsigned
    assert {envelope["payloadType"] for envelope in envelopes} == {"application/vnd.in-toto+json"}
    keyid = key_id(read_public_key(root / "key.pub"))
    assert [[signature["keyid"] for signature in envelope["signatures"]] for envelope in envelopes] == [[keyid]] * 5
    result = check(root, envelopes)
    assert result.exit_code == 0
    assert [item["status"] for item in result.json] == ["ok"] * 5
    assert result.json[0]["what"].startswith("line 1: ")
    assert result.json[0]["what"].endswith("/collect")


def test_envelopes_from_stdin(root: Path) -> None:
    """--envelopes - -> they are read from stdin; blank lines are none."""
    text = b"\n" + (root / "run.intoto.jsonl").read_bytes()
    arguments = ["verify", "--key", str(root / "key.pub"), "--envelopes", "-", "--root", str(root), "--json"]
    result = CliRunner().invoke(app, arguments, input=text)
    assert result.exit_code == 0
    assert [item["what"].split(":")[0] for item in json.loads(result.stdout)] == [f"line {n}" for n in range(2, 7)]


def test_table_of_checks(root: Path) -> None:
    """Without --json -> the same checks as a table."""
    result = etl("verify", "--key", root / "key.pub", "--envelopes", root / "run.intoto.jsonl", "--root", root)
    assert result.exit_code == 0
    assert result.stdout.count("signed, and the run's documents state the same") == 5


def test_both_alphabets_and_unknown_fields_are_read(root: Path) -> None:
    """URL-safe base64, fields that DSSE does not know, a second signature by someone else -> the envelope holds."""
    envelope = envelopes_of(root)[0]
    for name in ("payload", "sig"):
        part = envelope if name == "payload" else envelope["signatures"][0]
        part[name] = part[name].replace("+", "-").replace("/", "_")
    stranger = json.loads(sign(b"{}", read_private_key(root / "other")).to_line())["signatures"][0]
    envelope["signatures"] = [stranger, envelope["signatures"][0] | {"cert": "x"}]
    assert check(root, [envelope | {"extra": 1}]).exit_code == 0


def _changed(envelope: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    text = base64.b64decode(envelope["payload"]).decode()
    assert old in text
    return envelope | {"payload": base64.b64encode(text.replace(old, new, 1).encode()).decode()}


def test_tampering_is_found(root: Path) -> None:
    """A changed payload, type, signature or line -> it fails, each with its reason, and the exit code is 1."""
    good = envelopes_of(root)[0]
    keyid = good["signatures"][0]["keyid"]
    unsigned = f"no signature in it is that of the key {keyid}"
    cases = [
        (_changed(good, '"etl_blank":0', '"etl_blank":1'), unsigned),
        (good | {"payloadType": "application/json"}, unsigned),
        (good | {"signatures": [{"sig": base64.b64encode(b"0" * 64).decode(), "keyid": keyid}]}, unsigned),
        (good | {"signatures": [{"sig": "no base64", "keyid": keyid}]}, unsigned),
        (good | {"signatures": []}, "it is no DSSE envelope"),
        (good | {"payload": "#"}, "it is not base64"),
        ("text", "it is no DSSE envelope"),
        ({"payload": "e30="}, "it is no DSSE envelope"),
    ]
    result = check(root, [good, *(case for case, _ in cases)])
    assert result.exit_code == 1
    assert [item["status"] for item in result.json] == ["ok", *["failed"] * len(cases)]
    assert [item["detail"] for item in result.json[1:]] == [reason for _, reason in cases]
    assert result.json[1]["what"] == "line 2", "what is not signed is not believed, not even as a name"


def test_only_statements_about_known_runs_hold(root: Path) -> None:
    """Signed with the key, yet another type, no statement, of no known run, or of other facts -> each fails."""
    key = read_private_key(root / "key")
    text = base64.b64decode(envelopes_of(root)[0]["payload"]).decode()
    run_id = json.loads(text)["predicate"]["etl_run_id"]
    signature = base64.b64encode(key.sign(pae("text/plain", b"{}"))).decode()
    other_type = {"payload": "e30=", "payloadType": "text/plain", "signatures": [{"sig": signature}]}
    cases = [
        (other_type, f"what is signed is no {PAYLOAD_TYPE}"),
        (b"{}", "no statement that this version of etl makes"),
        (text.replace(f'id":"{run_id}"', 'id":"../../evidence"').encode(), "There is no run '../../evidence'"),
        (text.replace(f"{run_id}/collect", f"{run_id}/score").encode(), "the run's documents state something else now"),
        (text.replace('"etl_stage":"collect"', '"etl_stage":"nothing"').encode(), "state something else now"),
        (text.replace('"etl_blank":0', '"etl_blank":1').encode(), "state something else now"),
        ((text + " ").encode(), "state something else now"),
    ]  # fmt: skip
    envelopes = [json.loads(sign(case, key).to_line()) if isinstance(case, bytes) else case for case, _ in cases]
    result = check(root, envelopes)
    assert result.exit_code == 1
    for item, (_, reason) in zip(result.json, cases, strict=True):
        assert item["status"] == "failed"
        assert reason in item["detail"]


def test_another_key_finds_nothing_signed(root: Path) -> None:
    """The public key of another pair -> every envelope fails."""
    result = check(root, envelopes_of(root), "other.pub")
    assert result.exit_code == 1
    assert {item["status"] for item in result.json} == {"failed"}
    assert key_id(read_public_key(root / "other.pub")) in result.json[0]["detail"]


@pytest.mark.parametrize("name", ["collect.json", "summary.json"])
def test_a_receipt_changed_after_signing_is_found(tmp_path: Path, root: Path, name: str) -> None:
    """A receipt or summary that is changed after it was signed -> what was signed does not hold any more."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": EVIDENCE})
    assert etl("run-all", "--root", tmp_path).exit_code == 0
    signed = etl("receipts", "--format", "in-toto", "--sign", root / "key", "--root", tmp_path).stdout
    (tmp_path / "envelopes").write_text(signed, encoding="utf-8")
    arguments = ("verify", "--key", root / "key.pub", "--envelopes", tmp_path / "envelopes", "--root", tmp_path)
    assert etl(*arguments).exit_code == 0
    file = next(path for path in (tmp_path / "reports/distillation").iterdir() if path.is_dir()) / name
    file.write_bytes(file.read_bytes().replace(b'"skipped": 0', b'"skipped": 1', 1))
    result = etl(*arguments, "--json")
    assert result.exit_code == 1
    assert {item["status"] for item in result.json} == {"failed"}


def test_a_newer_run_leaves_signatures_as_they_are(tmp_path: Path, root: Path) -> None:
    """Another run comes after the signed one -> what was signed of it holds still, and without a warehouse too."""
    write_evidence(tmp_path / "evidence", {"evidence.jsonl": EVIDENCE})
    assert etl("run-all", "--root", tmp_path).exit_code == 0
    signed = etl("receipts", "--format", "in-toto", "--sign", root / "key", "--root", tmp_path).stdout
    (tmp_path / "envelopes").write_text(signed, encoding="utf-8")
    assert etl("run-all", "--root", tmp_path).exit_code == 0
    (tmp_path / "warehouse/etl.duckdb").unlink()
    result = etl("verify", "--key", root / "key.pub", "--envelopes", tmp_path / "envelopes", "--root", tmp_path)
    assert result.exit_code == 0


def test_keygen_makes_a_closed_pair(tmp_path: Path) -> None:
    """Etl keygen, under a lax umask -> a private key for its owner alone, its public key, and an id."""
    before = os.umask(0)
    try:
        result = etl("keygen", tmp_path / "key", "--json")
    finally:
        os.umask(before)
    assert result.exit_code == 0
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "key.pub").stat().st_mode & 0o777 == 0o644
    public = read_private_key(tmp_path / "key").public_key()
    assert result.json == {
        "private": str(tmp_path / "key"), "public": str(tmp_path / "key.pub"), "keyid": key_id(public),
    }  # fmt: skip
    assert read_public_key(tmp_path / "key.pub") == public
    assert {file.name for file in tmp_path.iterdir()} == {"key", "key.pub"}


def test_private_key_is_made_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The private key's file -> opened with mode 0600 and O_EXCL: at no moment could others read it."""
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
    """One of the two files, or a link to nowhere in its place -> exit code 2, and nothing is changed or left behind."""
    if is_link:
        (tmp_path / there).symlink_to(tmp_path / "elsewhere")
    else:
        (tmp_path / there).write_text("mine", encoding="utf-8")
    result = etl("keygen", tmp_path / "key")
    assert result.exit_code == 2
    assert f"{there}: it is there already, and a key is never overwritten" in result.stderr
    assert [file.name for file in tmp_path.iterdir()] == [there]
    assert is_link or (tmp_path / there).read_text(encoding="utf-8") == "mine"


def test_keygen_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fails while a pair is written, or no such folder -> one sentence, and no half of a pair."""
    assert "cannot be made (No such file or directory)" in etl("keygen", tmp_path / "no/key").stderr

    def failing(descriptor: int, path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("etl.receipts.attestation.signing.sync", failing)
    result = etl("keygen", tmp_path / "key")
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o602])
def test_open_private_key_is_refused(tmp_path: Path, root: Path, mode: int) -> None:
    """A private key that group or others can get at -> nothing is signed, exit code 2, and how to close it."""
    make_keys(tmp_path / "key")
    (tmp_path / "key").chmod(mode)
    result = etl("receipts", "--format", "in-toto", "--sign", tmp_path / "key", "--root", root)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert f"(mode {mode:04o}); close it with chmod 600." in result.stderr
    assert len(result.stderr.splitlines()) == 1


def _write(file: Path, content: bytes) -> Path:
    file.write_bytes(content)
    file.chmod(0o600)
    return file


def _private(key: Any, protection: serialization.KeySerializationEncryption | None = None) -> bytes:
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, protection or serialization.NoEncryption())


def test_other_files_are_no_keys(tmp_path: Path, root: Path) -> None:
    """Text, an RSA key, a key with a password, a public key for a private one and the other way round -> refused."""
    make_keys(tmp_path / "key")
    rsa_key = rsa.generate_private_key(65537, 2048)
    password = serialization.BestAvailableEncryption(b"secret")
    no_private = [
        _write(tmp_path / "text", b"no key"),
        _write(tmp_path / "empty", b""),
        _write(tmp_path / "broken", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        _write(tmp_path / "rsa", _private(rsa_key)),
        _write(tmp_path / "password", _private(Ed25519PrivateKey.generate(), password)),
        _write(tmp_path / "public", (tmp_path / "key.pub").read_bytes()),
    ]
    for file in no_private:
        result = etl("receipts", "--format", "in-toto", "--sign", file, "--root", root)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"{file}: it is no ed25519 private key in PEM" in result.stderr
    public = rsa_key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for file in (tmp_path / "key", tmp_path / "text", _write(tmp_path / "rsa.pub", public)):
        with pytest.raises(KeyFileError, match="it is no ed25519 public key in PEM"):
            read_public_key(file)
    for read in (read_private_key, read_public_key):
        with pytest.raises(KeyFileError, match="the key cannot be read"):
            read(tmp_path / "gone")
        with pytest.raises(KeyFileError, match="the key cannot be read"):
            read(tmp_path)


def test_key_never_shows(tmp_path: Path, root: Path) -> None:
    """Commands that make, use or refuse a private key, with --debug -> no output holds its bytes in any spelling."""
    key = tmp_path / "key"
    outputs = [etl("keygen", key, "--debug"), etl("keygen", key, "--debug")]
    signing = ("receipts", "--format", "in-toto", "--root", root, "--debug", "--sign")
    outputs.append(etl(*signing, key))
    assert outputs[-1].exit_code == 0
    outputs.append(etl("verify", "--key", key, "--envelopes", root / "run.intoto.jsonl", "--root", root, "--debug"))
    outputs.append(etl("verify", "--key", root / "key.pub", "--envelopes", key, "--root", root, "--debug"))
    key.chmod(0o644)
    outputs.append(etl(*signing, key))
    secret = key.read_bytes()
    seed = base64.b64decode(secret.splitlines()[1])[-32:]
    outputs.append(etl(*signing, _write(tmp_path / "cut", secret[:-30])))
    spellings = [
        seed.hex(),
        base64.b64encode(seed).decode().rstrip("="),
        repr(seed)[2:-1],
        secret.splitlines()[1].decode(),
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
        (["--key", "key.pub"], "--key PUBFILE and --envelopes FILE go together"),
        (["--envelopes", "run.intoto.jsonl"], "--key PUBFILE and --envelopes FILE go together"),
        (["nobody", "--key", "key.pub", "--envelopes", "run.intoto.jsonl"], "name no run"),
        (["--key", "key.pub", "--envelopes", "gone"], "gone: it cannot be read"),
        (["--key", "key.pub", "--envelopes", "empty"], "there is no envelope in it"),
        (["--key", "gone", "--envelopes", "run.intoto.jsonl"], "gone: the key cannot be read"),
    ],
)
def test_bad_usage_is_one_sentence(
    root: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    """Flags that do not go together, or files that are none -> exit code 2 and one sentence."""
    monkeypatch.chdir(root)
    (root / "empty").write_bytes(b"\n \n")
    result = etl("verify", *arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_only_who_signs_loads_the_library() -> None:
    """Etl --help -> answered without cryptography."""
    program = "import sys, etl.cli.app, typer.testing; typer.testing.CliRunner().invoke(etl.cli.app.app, ['--help']); "
    program += "print('cryptography' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", program]) == b"False\n"


def test_opened_needs_a_signature(root: Path) -> None:
    """An envelope made by hand with another key's signature -> SignatureError, whatever its keyid claims."""
    envelope = sign(b"{}", read_private_key(root / "other"))
    mine = read_public_key(root / "key.pub")
    claimed = envelope.model_copy(
        update={"signatures": [envelope.signatures[0].model_copy(update={"keyid": key_id(mine)})]}
    )
    with pytest.raises(SignatureError):
        opened(claimed, mine)
    assert opened(claimed, read_public_key(root / "other.pub")) == b"{}", "a keyid decides nothing"
