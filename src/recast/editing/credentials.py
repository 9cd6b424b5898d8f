"""Content credentials (C2PA): a signed statement in a file of what made it, by a certificate that the user names.

The format, the signing and the checking are c2pa-python's, the standard's own library; nothing is asked of the network.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast.editing.record import MADE, SOURCE_TYPES, Record, digest
from recast.errors import MediaError, RecastError, RequestError, extra
from recast.files import disk_told, whole_file
from recast.video.record import embedded

KINDS = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".avi": "video/avi",
    ".gif": "image/gif",
}
"""Files that recast writes and credentials fit into, and what the library calls them."""
ALGORITHMS = ("es256", "es384", "es512", "ps256", "ed25519")
"""Of signatures; a key is of one of them. RSA is told as ps256."""
OFFLINE = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}
PARENT = "source"
"""What actions call the clip that was edited."""


@dataclass(frozen=True)
class SigningIdentity:
    """Files of PEM text. certificate: the signer's own, then those that vouch for it. key: its private key."""

    certificate: Path
    key: Path

    def signer(self) -> Any:  # noqa: ANN401 -- of an optional package
        """What the library signs with. Raises MediaError for files that cannot be read, RequestError for others."""
        c2pa = _library()
        certificate, key = _read(self.certificate), _read(self.key)
        reasons = []
        for algorithm in ALGORITHMS:
            try:
                return c2pa.Signer.from_info(c2pa.C2paSignerInfo(algorithm, certificate, key, None))
            except c2pa.C2paError as error:
                reasons.append(f"{algorithm}: {error}")
        raise RequestError(
            f"{self.certificate} and {self.key} cannot sign: give a chain of X.509 certificates in PEM, the signer's "
            f"first, and its private key in PEM without a password ({reasons[0]})"
        )


def sign(made: Path, target: Path, identity: SigningIdentity, source: Path | None = None) -> None:
    """Writes a copy of a file that recast made, with credentials; `target` may be the file itself.

    source: the clip that it was edited from, which is then named as its parent; credentials that the clip has are kept
    inside. Raises RequestError for what cannot be signed, MediaError for a file that recast has not made.
    """
    c2pa = _library()
    kind = _kind(made)
    if _kind(target) != kind:
        raise RequestError(f"a signed copy is of the same kind as {made.name}; name it so, not {target.name}")
    text = embedded(made)
    if text is None:
        raise MediaError(f"{made} carries no record, so what made it cannot be stated; only what recast made is signed")
    record, signer = Record.from_json(text), identity.signer()
    if source is not None and digest(source) not in record.inputs.values():
        raise RequestError(
            f"{made} was not made from {source}: the SHA-256 of its sources is another; name the right one"
        )
    try:
        with (
            c2pa.Context.from_dict(OFFLINE) as context,
            c2pa.Builder(_manifest(record, target, source), context) as builder,
        ):
            if source is not None:
                parent = {"title": source.name, "relationship": "parentOf", "label": PARENT}
                with source.open("rb") as read:
                    builder.add_ingredient(parent, source.suffix[1:].lower(), read)
            with disk_told(target), whole_file(target) as part, made.open("rb") as read, part.open("w+b") as written:
                builder.sign(signer, kind, read, written)
    except c2pa.C2paError as error:
        raise RequestError(f"{made} was not signed: {error}") from None


def credentials(path: Path, trusted: Path | None = None) -> dict[str, Any] | None:
    """What a file's credentials say and whether they hold; None for a file without.

    state: "invalid" where the file or they were changed since, with the `problems`; "trusted" where the signer's
    certificate goes back to one in the file `trusted`, else "valid", by which anyone may have signed it.
    """
    c2pa = _library()
    kind = _kind(path)
    anchors = {} if trusted is None else {"trust": {"trust_anchors": _read(trusted).decode()}}
    try:
        with c2pa.Context.from_dict(OFFLINE | anchors) as context, path.open("rb") as read:
            reader = c2pa.Reader.try_create(kind, read, context=context)
            if reader is None:
                return None
            with reader:
                return _summary(json.loads(reader.json()), str(reader.get_validation_state()))
    except OSError as error:
        raise MediaError(f"{path} cannot be read ({error.strerror})") from None
    except c2pa.C2paError as error:
        raise RecastError(f"the credentials in {path} cannot be read: {error}") from None


def _manifest(record: Record, target: Path, source: Path | None) -> str:
    made_as = {"digitalSourceType": record.digital_source_type or SOURCE_TYPES + MADE}
    agent = {"softwareAgent": {"name": "recast", "version": record.recast}}
    if source is None:
        actions = [{"action": "c2pa.created"} | made_as | agent]
    else:
        opened = {"action": "c2pa.opened", "parameters": {"ingredientIds": [PARENT]}}
        actions = [opened | agent, {"action": "c2pa.edited"} | made_as | agent]
    return json.dumps(
        {
            "title": target.name,
            "claim_generator_info": [agent["softwareAgent"]],
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}}],
        }
    )


def _summary(store: dict[str, Any], state: str) -> dict[str, Any]:
    active = store["manifests"][store["active_manifest"]]
    signature, generators = active.get("signature_info", {}), active.get("claim_generator_info", [])
    listed = [each for each in active.get("assertions", []) if each["label"].startswith("c2pa.actions")]
    actions = [action for each in listed for action in each["data"]["actions"]]
    return {
        "state": state.lower(),
        "problems": [each["code"] for each in store.get("validation_status", []) if each["code"] != _UNTRUSTED],
        "signer": signature.get("common_name", ""),
        "organization": signature.get("issuer", ""),
        "made_by": " ".join(f"{each.get('name', '')} {each.get('version', '')}".strip() for each in generators),
        "actions": [each["action"].removeprefix("c2pa.") for each in actions],
        "digital_source_types": [kind for each in actions if (kind := each.get("digitalSourceType"))],
        "sources": [each.get("title", "") for each in active.get("ingredients", [])],
    }


_UNTRUSTED = "signingCredential.untrusted"
"""Told by the state."""


def _kind(path: Path) -> str:
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise RequestError(
            f"content credentials fit into {', '.join(kind[1:] for kind in KINDS)}, not into {path.name}"
        )
    return kind


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MediaError(f"{path} cannot be read ({error.strerror})") from None


def _library() -> Any:  # noqa: ANN401 -- a module of an optional package
    with extra("provenance"):
        import c2pa
    return c2pa
