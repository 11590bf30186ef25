"""truss.openapi.yaml as a judge of requests."""

import functools
import re
from collections.abc import Mapping
from email.errors import MessageError
from email.headerregistry import Address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml
from jsonschema import Draft202012Validator, FormatChecker

FORMATS = FormatChecker(["date", "uuid"])
METHODS = ("get", "post", "patch", "put", "delete")


@FORMATS.checks("email", raises=(ValueError, IndexError, MessageError))
def is_email(value: object) -> bool:
    """Stricter than jsonschema's own check, which is satisfied with an @."""
    return not isinstance(value, str) or bool(Address(addr_spec=value).domain)


@FORMATS.checks("uri")
def is_uri(value: object) -> bool:
    return not isinstance(value, str) or bool(re.fullmatch(r"https?://[\x21-\x7e]+", value))


@functools.cache
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "truss.openapi.yaml").read_text())
    return loaded


def resolve(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        pointer = node["$ref"].removeprefix("#/").split("/")
        node = functools.reduce(lambda inner, key: inner[key], pointer, document())
    return node


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    # The references begin with #/components.
    return Draft202012Validator(schema | {"components": document()["components"]}, format_checker=FORMATS)


def operations() -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Each operation's id → method, path and its description, parameters of the path included."""
    return {
        operation["operationId"]: (
            method.upper(),
            path,
            operation | {"parameters": [*item.get("parameters", []), *operation.get("parameters", [])]},
        )
        for path, item in document()["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def examples(operation_id: str) -> dict[str, Any]:
    """The examples of an operation's 2xx answers."""
    _method, _path, operation = operations()[operation_id]
    return {
        f"{status} {name}": example["value"]
        for status, response in operation["responses"].items()
        if status.startswith("2")
        for media in resolve(response).get("content", {}).values()
        for name, example in media.get("examples", {}).items()
    }


def events() -> dict[str, tuple[dict[str, Any], Any]]:
    """Each example of a webhook's body: which event and which example → the schema and the body."""
    return {
        f"{name} {example_name}": (media["schema"], example["value"])
        for name, item in document()["webhooks"].items()
        for media in item["post"]["requestBody"]["content"].values()
        for example_name, example in media["examples"].items()
    }


def check_request(method: str, target: str, headers: Mapping[str, str], body: bytes, parsed: Any) -> str:
    """The id of the operation that the request is a valid request of. Raises AssertionError or ValidationError."""
    address = urlsplit(target)
    for operation_id, (its_method, template, operation) in operations().items():  # noqa: B007
        found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template), address.path)
        if found and method == its_method:
            break
    else:
        raise AssertionError(f"There is no operation {method} {address.path}.")
    parameters = [resolve(parameter) for parameter in operation["parameters"]]
    query = dict(parse_qsl(address.query, keep_blank_values=True, strict_parsing=bool(address.query)))
    for parameter in parameters:
        given = (found.groupdict() if parameter["in"] == "path" else query).pop(parameter["name"], None)
        if given is not None:
            value = int(given) if parameter["schema"]["type"] == "integer" else given
            validator(parameter["schema"]).validate(value)
        else:
            assert not parameter.get("required")
    assert query == {}
    assert address.fragment == ""
    bearer = headers.get("Authorization", "").startswith("Bearer ")
    assert bearer == bool(operation["security"])
    if "requestBody" in operation:
        [(media_type, media)] = operation["requestBody"]["content"].items()
        assert headers["Content-Type"] == media_type
        validator(media["schema"]).validate(parsed)
    else:
        assert body == b""
        assert "Content-Type" not in headers
    return operation_id
