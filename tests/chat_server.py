"""A chat-completion endpoint on this machine, which keeps what it was sent."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class ChatServer:
    """answer: from the request's JSON to the text of the answer, or to a status for which there is none."""

    answer: Callable[[dict[str, Any]], str | int]
    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)


@contextmanager
def chat_server(answer: Callable[[dict[str, Any]], str | int]) -> Iterator[ChatServer]:
    """The endpoint while the block runs."""
    kept = ChatServer(answer)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            kept.bodies.append(body)
            kept.headers.append(dict(self.headers))
            kept.paths.append(self.path)
            content = kept.answer(body)
            self.send_response(content if isinstance(content, int) else 200)
            if isinstance(content, int):
                self.send_header("Location", f"{kept.url}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            sent = json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]}).encode()
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
