"""The description: valid, complete, and of nothing that is not served."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import requests
from openapi_spec_validator import OpenAPIV31SpecValidator

from signaling.openapi import describe
from signaling.rest.message import Response
from signaling.rest.route import Route

from .conftest import Populated

VECTORS = Path(__file__).parents[2] / "vectors"
PUBLISHED = json.loads((VECTORS / "rest/operations.json").read_text())


def test_document_is_valid_and_open_to_all(populated: Populated) -> None:
    answer = requests.get(f"{populated.url}/openapi.json", timeout=20)
    assert answer.headers["Content-Type"].startswith("application/json")
    OpenAPIV31SpecValidator(answer.json()).validate()
    for secret in (populated.server.account.api_key_secret, populated.server.account.auth_token):
        assert secret not in answer.text


async def _nothing(_call: Any) -> Response:
    return Response(status=200)


def test_a_route_that_is_not_described_is_a_fault() -> None:
    with pytest.raises(ValueError, match="Nonsense"):
        describe([Route(("Nonsense",), {"GET": _nothing})], version="0")


def test_a_route_that_is_gone_is_a_fault(populated: Populated) -> None:
    # This description is of routes that a server has; without any, all are missed.
    with pytest.raises(ValueError, match="Compositions"):
        describe([], version="0")


def _operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    ]


def test_strangers_are_told_so_by_every_operation_that_asks_who_they_are(
    populated: Populated,
) -> None:
    for path, method, operation in _operations(populated.document):
        address = path.replace("{", "").replace("}", "")
        answer = requests.request(method, populated.url + address, timeout=20)
        if operation.get("security") == []:
            assert answer.ok, path
        else:
            assert answer.status_code == 401, (method, path)
            assert "WWW-Authenticate" in answer.headers


def test_methods_that_are_not_described_are_refused(populated: Populated) -> None:
    names = {name: known[0] for name, known in populated.names.items()}
    for path, item in populated.document["paths"].items():
        if not path.startswith(("/v1/", "/2010-04-01/")):
            continue
        served = {method.upper() for method in item if method != "parameters"}
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - served:
            answer = populated.http.request(
                method, populated.url + path.format(**names), timeout=20
            )
            assert (answer.status_code, answer.json()["code"]) == (405, 20004), (method, path)
            assert set(answer.headers["Allow"].split(", ")) == served


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda o: f"{o['method']} {o['path']}")
def test_every_published_operation_is_served(
    populated: Populated, published: dict[str, Any]
) -> None:
    served = {
        re.sub(r"\{\w+\}", "{}", path): item for path, item in populated.document["paths"].items()
    }
    operation = served[re.sub(r"\{\w+\}", "{}", published["path"])][published["method"]]
    parameters = {p["name"] for p in operation.get("parameters", []) if p["in"] == "query"}
    for content in operation.get("requestBody", {}).get("content", {}).values():
        parameters |= content["schema"]["properties"].keys()
    assert set(published["parameters"]) <= parameters
    answer = operation["responses"][str(published["status"])]
    if published["members"]:
        schema = resolve(populated.document, answer["content"]["application/json"]["schema"])
        if "meta" in schema["properties"]:
            [key] = schema["properties"].keys() - {"meta"}
            schema = resolve(populated.document, schema["properties"][key]["items"])
        assert set(published["members"]) == set(schema["properties"])


def resolve(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    for name in schema.get("$ref", "#").split("/")[1:]:
        document = document[name]
    return document if "$ref" in schema else schema
