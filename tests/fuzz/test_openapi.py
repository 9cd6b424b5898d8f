"""Whatever is asked of `recast serve`, in the shapes of its OpenAPI document and in others, is never answered 500."""

import json
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import quote, urlencode, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("fastapi")

from recast.app.client import Client
from recast.app.config import ServeConfig
from recast.app.server import application
from recast.cli.app import run
from served import free_port, serving

EXAMPLES = 2000
LEFT_OUT = {("post", "/api/v1/samples"), ("post", "/api/v1/doctor"), ("get", "/api/v1/events")}
"""Two begin processes of a minute, and the last never ends."""
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=40)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT
JSON = st.recursive(SCALARS, lambda held: st.lists(held, max_size=4) | st.dictionaries(ANY_TEXT, held, max_size=4))
NUMBERS = st.integers() | st.integers(-300, 300) | st.floats() | st.sampled_from(["", "nan", "1e999", "0x1"])


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    config = ServeConfig(folder / "data", port=free_port(), most_upload_bytes=10**6)
    assert run(["world", "--frames", "2", "--size", "64x40", "-o", str(folder / "a.mp4"), "-q"]) == 0
    with serving(config) as url:
        client = Client(url)
        sent = client.send(folder / "a.mp4")
        job = client.submit_sent(sent, prompt=["snow"])
        yield url, application(config).openapi(), (sent, job.id)


def resolved(schema, document):
    name = schema.get("$ref", "").rpartition("/")[2]
    return document["components"]["schemas"][name] if name else schema


def values(schema, ids):
    """What may stand there, and what may not."""
    kind = schema.get("type")
    if kind in ("integer", "number"):
        return NUMBERS
    if kind == "string":
        return st.sampled_from(ids) | st.text(max_size=80) | st.text("0123456789abcdef", min_size=32, max_size=32)
    if kind == "array":
        return st.lists(values(schema.get("items", {}), ids), max_size=3) | JSON
    return JSON


def bodies(operation, document, ids):
    """A document of the operation's own shape, or any; for an upload, bytes."""
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        return st.binary(max_size=300) | st.none()
    shape = resolved(content["application/json"]["schema"], document)
    fields = {name: values(resolved(each, document), ids) for name, each in shape["properties"].items()}
    known = st.dictionaries(
        st.sampled_from(["method", "steps", "seed", "size", "start", "end", "cfg", "edit"]), SCALARS
    )
    fields["settings"] = known | st.fixed_dictionaries({"method": ANY_TEXT}) | JSON
    fields["source"] = st.just(ids[0]) | fields["source"]
    shaped = st.fixed_dictionaries({}, optional=fields)
    return (shaped | JSON).map(json.dumps).map(str.encode) | st.binary(max_size=100)


@st.composite
def requests(draw, document, ids):
    """A method, a path with its query, and a body."""
    operations = [(method, path) for path, held in document["paths"].items() for method in held]
    method, path = draw(st.sampled_from(sorted(set(operations) - LEFT_OUT)))
    operation, query = document["paths"][path][method], {}
    for parameter in operation.get("parameters", []):
        value = draw(values(resolved(parameter["schema"], document), ids))
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", quote(str(value).encode("utf-8", "replace"), safe=""))
        elif draw(st.integers(0, 4)):
            query[parameter["name"]] = str(value).encode("utf-8", "replace")
    body = draw(bodies(operation, document, ids)) if method == "post" else None
    return method.upper(), f"{path}?{urlencode(query)}", body


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_no_request_is_answered_500(server):
    url, document, ids = server

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(asked=requests(document, ids))
    def never(asked):
        method, path, body = asked
        with closing(HTTPConnection(urlsplit(url).netloc, timeout=60)) as connection:
            connection.request(method, path, body, {"X-Recast": "1", "Content-Type": "application/json"})
            answer = connection.getresponse()
            if "event-stream" not in answer.headers.get("Content-Type", ""):
                answer.read()
            assert answer.status < 500 or answer.status == 507, (asked, answer.status)

    never()
