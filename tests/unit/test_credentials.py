"""What a signed file says of itself: by whom, of what, and whether it was changed; and IPTC's source type in XMP."""

import datetime
import json
import sys
from dataclasses import replace
from fractions import Fraction

import av
import pytest
import torch

from recast.cli.app import run
from recast.editing.record import JOINED, SOURCE_TYPES, Record, digest
from recast.types import Clip
from recast.video.read import opened, read
from recast.video.record import embedded
from recast.video.source import Window
from recast.video.write import save_clip


@pytest.fixture
def clip():
    frames = torch.arange(3 * 3 * 32 * 48).reshape(3, 3, 32, 48) // 60
    return Clip(frames.to(torch.uint8), Fraction(8))


@pytest.fixture
def made(tmp_path, clip):
    """A file that recast made of source.mp4, with the record of that."""
    save_clip(clip, tmp_path / "source.mp4")
    inputs = {"source.mp4": digest(tmp_path / "source.mp4")}
    record = Record("1.2", {"schema_version": 1}, {}, inputs, {}, digital_source_type=SOURCE_TYPES + JOINED)
    for name in ("made.mp4", "made.mov", "made.mkv"):
        save_clip(clip, tmp_path / name, record=record.to_json())
    return tmp_path / "made.mp4"


@pytest.fixture(scope="module")
def pems(tmp_path_factory):
    """A certificate with its key, and the root that vouches for it; and a root that does not."""
    pytest.importorskip("c2pa")
    folder = tmp_path_factory.mktemp("pems")
    for name in ("own", "other"):
        write_chain(folder, name)
    return folder


def write_chain(folder, name):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    now, pem = datetime.datetime.now(datetime.UTC), serialization.Encoding.PEM
    keys = {each: ec.generate_private_key(ec.SECP256R1()) for each in ("root", "signer")}
    names = {
        each: x509.Name(
            [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "A studio"), x509.NameAttribute(NameOID.COMMON_NAME, each)]
        )
        for each in keys
    }
    root_key = x509.SubjectKeyIdentifier.from_public_key(keys["root"].public_key())
    for each, key in keys.items():
        is_root, usages = each == "root", ("digital_signature", "key_cert_sign", "crl_sign")
        uses = {use: (use != usages[0]) == is_root for use in usages}
        rest = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
        uses |= dict.fromkeys([*rest, "encipher_only", "decipher_only"], False)
        built = x509.CertificateBuilder().subject_name(names[each]).issuer_name(names["root"])
        built = built.public_key(key.public_key()).serial_number(x509.random_serial_number())
        built = built.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(9))
        built = built.add_extension(x509.BasicConstraints(is_root, None), critical=True)
        built = built.add_extension(x509.KeyUsage(**uses), critical=True)
        built = built.add_extension(x509.AuthorityKeyIdentifier(root_key.digest, None, None), critical=False)
        if is_root:
            built = built.add_extension(root_key, critical=False)
        else:
            built = built.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        (folder / f"{name}-{each}.pem").write_bytes(built.sign(keys["root"], hashes.SHA256()).public_bytes(pem))
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / f"{name}-key.pem").write_bytes(keys["signer"].private_bytes(pem, *plain))
    chain = (folder / f"{name}-signer.pem").read_text() + (folder / f"{name}-root.pem").read_text()
    (folder / f"{name}.pem").write_text(chain)


def signed(pems, made, *more, certificate="own.pem", key="own-key.pem"):
    chain = ("--certificate", str(pems / certificate), "--key", str(pems / key))
    return run(["credentials", "sign", str(made), *chain, *map(str, more)])


def frames(path):
    return read(opened(path), Window()).frames


def shown_of(capsys, path, *more):
    """The exit code, and what is shown."""
    capsys.readouterr()
    code = run(["credentials", "show", str(path), "--json", *map(str, more)])
    return code, json.loads(capsys.readouterr().out or "{}")


@pytest.mark.parametrize("name", ["made.mp4", "made.mov"])
def test_a_signed_copy_says_what_made_it_and_is_the_file_otherwise(pems, made, capsys, name):
    made = made.with_name(name)
    assert signed(pems, made) == 0
    copy = made.with_name(f"made-signed{made.suffix}")
    code, facts = shown_of(capsys, copy)
    assert (code, facts["state"], facts["signer"], facts["organization"]) == (0, "valid", "signer", "A studio")
    assert (facts["actions"], facts["digital_source_types"]) == (["created"], [SOURCE_TYPES + JOINED])
    assert facts["made_by"].startswith("recast 1.2")
    assert embedded(copy) == embedded(made)
    assert frames(copy).equal(frames(made))
    assert shown_of(capsys, copy, "--trust", pems / "own-root.pem")[1]["state"] == "trusted"
    code, facts = shown_of(capsys, copy, "--trust", pems / "other-root.pem")
    assert (code, facts["state"]) == (1, "valid")


def test_a_clip_that_was_edited_is_the_parent_with_what_it_says_of_itself(pems, made, capsys):
    source = made.with_name("source.mp4")
    assert signed(pems, made, "--source", source) == 0
    code, facts = shown_of(capsys, made.with_name("made-signed.mp4"))
    assert (code, facts["state"], facts["actions"]) == (0, "valid", ["opened", "edited"])
    assert (facts["sources"], facts["digital_source_types"]) == (["source.mp4"], [SOURCE_TYPES + JOINED])


def test_a_changed_byte_is_found(pems, made, capsys):
    assert signed(pems, made, "-o", made, "-y") == 0
    held = bytearray(made.read_bytes())
    held[held.index(b"mdat") + 20] ^= 1
    made.write_bytes(held)
    code, facts = shown_of(capsys, made)
    assert (code, facts["state"]) == (1, "invalid")
    assert "assertion.bmffHash.mismatch" in facts["problems"]


def test_what_cannot_be_stated_or_signed_is_refused_and_leaves_nothing(pems, made, capsys):
    before = sorted(made.parent.iterdir())
    for why, code, arguments, named in [
        ("no record", 2, (made.with_name("source.mp4"),), {}),
        ("not made from", 2, (made, "--source", made), {}),
        ("already there", 2, (made, "-o", made.with_name("made.mov")), {}),
        ("same kind", 2, (made, "-o", made.with_name("new.mov")), {}),
        ("not into made.mkv", 2, (made.with_name("made.mkv"),), {}),
        ("cannot sign", 2, (made,), {"key": "own-root.pem"}),
        ("cannot be read", 2, (made,), {"key": "none.pem"}),
        ("was not signed", 2, (made,), {"key": "other-key.pem"}),
    ]:
        assert (signed(pems, *arguments, **named), why) == (code, why)
        assert why in capsys.readouterr().err
    assert shown_of(capsys, made) == (1, {})
    assert sorted(made.parent.iterdir()) == before


def test_without_the_library_it_says_what_to_install(made, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "c2pa", None)
    assert run(["credentials", "show", str(made)]) != 0
    assert "pip install 'recast-video[provenance]'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["made.mp4", "made.mov"])
def test_catalogues_find_the_source_type_in_xmp_and_frames_are_as_without(made, clip, name):
    with av.open(str(made.with_name(name)), options={"export_xmp": "1"}) as container:
        assert f'DigitalSourceType="{SOURCE_TYPES}{JOINED}"' in container.metadata["xmp"]
    plain = made.with_name(f"plain-{name}")
    record = Record.from_json(embedded(made.with_name(name)))
    save_clip(clip, plain, record=replace(record, digital_source_type="").to_json())
    assert b"Iptc4xmpExt" not in plain.read_bytes()
    assert frames(plain).equal(frames(made.with_name(name)))
