"""A stand-in for the Hugging Face hub, on this machine alone: repositories are folders, asked for by its own routes."""

import hashlib
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789" * 4


class Hub(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_words):
        pass

    def do_HEAD(self):
        self.send(self.found(), body=False)

    def do_GET(self):
        found = self.found()
        if found is not None and "/resolve/" in self.path:
            self.server.fetched.append(self.path)
        self.send(found, body=True)

    def found(self):
        """What is asked for; a branch of a repository is one of its own, by ID@BRANCH."""
        path = unquote(urlsplit(self.path).path).strip("/")
        repo, _, rest = path.removeprefix("api/models/").replace("/revision/", "@").partition("/resolve/")
        if repo not in self.server.repositories:
            return None
        if not rest:
            return json.dumps(facts(repo, self.server.repositories[repo])).encode()
        file = Path(self.server.repositories[repo]) / rest.partition("/")[2]
        return file.read_bytes() if file.is_file() else None

    def send(self, found, *, body):
        content = found or b""
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Length", str(len(content)))
        if found is None:
            self.send_header("X-Error-Code", "EntryNotFound" if "/resolve/" in self.path else "RepoNotFound")
        else:
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if body:
            self.wfile.write(content)


@contextmanager
def served(repositories):
    """Repositories by id; gives the address, and the list of files that were fetched, which grows."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.repositories, server.fetched = repositories, []
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server.fetched
    finally:
        server.shutdown()
        server.server_close()


def facts(repo, folder):
    """What the hub says of a repository."""
    return {
        "id": repo,
        "sha": COMMIT,
        "siblings": [sibling(path, Path(folder)) for path in sorted(Path(folder).rglob("*")) if path.is_file()],
    }


def sibling(path, folder):
    """Of one file; large files have a SHA-256."""
    content = path.read_bytes()
    large = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    held = {"rfilename": path.relative_to(folder).as_posix(), "size": len(content), "blobId": "b"}
    return held | ({"lfs": large} if path.suffix == ".safetensors" else {})


def recast_models(home, *args, endpoint="", offline=False):
    """The program in a process of its own, as huggingface_hub reads its settings when it is imported."""
    own = {"HF_HOME": str(home / "hf"), "RECAST_HOME": str(home / "recast"), "HF_ENDPOINT": endpoint}
    own |= {"HF_HUB_OFFLINE": str(int(offline)), "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"}
    command = [sys.executable, "-m", "recast", "models", *args]
    return subprocess.run(command, env=os.environ | own, capture_output=True, text=True, check=False)
