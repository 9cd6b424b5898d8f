"""`recast credentials`: signed statements in files of what made them (C2PA)."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from recast.cli.flags import Json, Overwrite
from recast.cli.table import tell, visible
from recast.errors import RecastError, RequestError

credentials = typer.Typer(
    name="credentials", no_args_is_help=True, help="Sign what recast made (C2PA), and see what files say of themselves."
)


@credentials.command("sign")
def sign(
    made: Annotated[Path, typer.Argument(metavar="FILE", help="A file that recast made: mp4, mov, avi or gif.")],
    certificate: Annotated[
        Path,
        typer.Option(
            "--certificate",
            metavar="PEM",
            envvar="RECAST_CERTIFICATE",
            help="Your certificate, and behind it those that vouch for it.",
        ),
    ],
    key: Annotated[
        Path,
        typer.Option("--key", metavar="PEM", envvar="RECAST_SIGNING_KEY", help="Its private key, without a password."),
    ],
    *,
    source: Annotated[
        Path | None, typer.Option("--source", metavar="CLIP", help="What it was edited from, to be named in it too.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="OUT", help="The copy (default FILE-signed beside it).")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a copy with content credentials: that recast made it, of what, and that it was not changed since."""
    from recast.editing.credentials import SigningIdentity
    from recast.editing.credentials import sign as signed

    target = output or made.with_name(f"{made.stem}-signed{made.suffix}")
    if target.exists() and not overwrite:
        raise RequestError(f"{target} is already there; replace it with -y, or choose another name with -o")
    signed(made, target, SigningIdentity(certificate, key), source)
    print(visible(f"wrote {target}"), file=sys.stderr)


@credentials.command("show")
def show(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Any mp4, mov, avi or gif.")],
    *,
    trust: Annotated[
        Path | None, typer.Option("--trust", metavar="PEM", help="Certificates of those whom you trust to vouch.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a file's content credentials; ends with 1 where it has none, or was changed since it was signed."""
    from recast.editing.credentials import credentials as held

    found = held(path, trust)
    if found is None:
        raise RecastError(f"{path} has no content credentials")
    print(json.dumps(found)) if as_json else tell(found)
    if found["state"] == "invalid":
        raise RecastError(f"{path} or its credentials were changed since it was signed: {', '.join(found['problems'])}")
    if found["state"] == "valid" and trust is not None:
        raise RecastError(f"{path} was not changed, but no certificate in {trust} vouches for who signed it")
