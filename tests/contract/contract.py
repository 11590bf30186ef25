"""truss.openapi.yaml and trustist.openapi.yaml as judges of requests."""

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

from tests.client.loopback import Received, Server

FORMATS = FormatChecker(["date", "uuid"])
METHODS = ("get", "post", "patch", "put", "delete")


@FORMATS.checks("email", raises=(ValueError, IndexError, MessageError))
def is_email(value: object) -> bool:
    """Stricter than jsonschema's own check, which is satisfied with an @."""
    return not isinstance(value, str) or bool(Address(addr_spec=value).domain)


@FORMATS.checks("uri")
def is_uri(value: object) -> bool:
    return not isinstance(value, str) or bool(re.fullmatch(r"https?://[\x21-\x7e]+", value))


class Contract:
    """What is published of an API, as one of the files beside this one."""

    def __init__(self, name: str) -> None:
        self._name = name

    @functools.cache  # noqa: B019 - there are two of us, and we live as long as the tests
    def document(self) -> dict[str, Any]:
        loaded: dict[str, Any] = yaml.safe_load((Path(__file__).parent / self._name).read_text())
        return loaded

    def resolve(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            pointer = node["$ref"].removeprefix("#/").split("/")
            node = functools.reduce(lambda inner, key: inner[key], pointer, self.document())
        return node

    def validator(self, schema: dict[str, Any]) -> Draft202012Validator:
        # The references begin with #/components.
        return Draft202012Validator(schema | {"components": self.document()["components"]}, format_checker=FORMATS)

    def operations(self) -> dict[str, tuple[str, str, dict[str, Any]]]:
        """Each operation's id → method, path and its description, parameters of the path included."""
        return {
            operation["operationId"]: (
                method.upper(),
                path,
                operation | {"parameters": [*item.get("parameters", []), *operation.get("parameters", [])]},
            )
            for path, item in self.document()["paths"].items()
            for method, operation in item.items()
            if method in METHODS
        }

    def examples(self, operation_id: str) -> dict[str, Any]:
        """The examples of an operation's 2xx answers."""
        _method, _path, operation = self.operations()[operation_id]
        return {
            f"{status} {name}": example["value"]
            for status, response in operation["responses"].items()
            if status.startswith("2")
            for media in self.resolve(response).get("content", {}).values()
            for name, example in media.get("examples", {}).items()
        }

    def events(self) -> dict[str, tuple[dict[str, Any], Any]]:
        """Each example of a webhook's body: which event and which example → the schema and the body."""
        return {
            f"{name} {example_name}": (media["schema"], example["value"])
            for name, item in self.document()["webhooks"].items()
            for media in item["post"]["requestBody"]["content"].values()
            for example_name, example in media["examples"].items()
        }

    def check_request(self, method: str, target: str, headers: Mapping[str, str], body: bytes, parsed: Any) -> str:
        """The id of the operation that the request is a valid request of. Raises AssertionError or ValidationError."""
        address = urlsplit(target)
        for operation_id, (its_method, template, operation) in self.operations().items():  # noqa: B007
            found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template), address.path)
            if found and method == its_method:
                break
        else:
            raise AssertionError(f"There is no operation {method} {address.path}.")
        parameters = [self.resolve(parameter) for parameter in operation["parameters"]]
        query = dict(parse_qsl(address.query, keep_blank_values=True, strict_parsing=bool(address.query)))
        for parameter in parameters:
            given = (found.groupdict() if parameter["in"] == "path" else query).pop(parameter["name"], None)
            if given is not None:
                value = int(given) if parameter["schema"]["type"] == "integer" else given
                self.validator(parameter["schema"]).validate(value)
            else:
                assert not parameter.get("required")
        assert query == {}
        assert address.fragment == ""
        bearer = headers.get("Authorization", "").startswith("Bearer ")
        assert bearer == bool(operation["security"])
        if "requestBody" in operation:
            [(media_type, media)] = operation["requestBody"]["content"].items()
            assert headers["Content-Type"] == media_type
            self.validator(media["schema"]).validate(parsed)
        else:
            assert body == b""
            assert "Content-Type" not in headers
        return operation_id

    def judged(self, received: Received) -> str:
        """The operation that was asked for. Raises when the request isn't a valid one."""
        parsed: Any = None
        if received.headers.get("Content-Type") == "application/x-www-form-urlencoded":
            parsed = dict(parse_qsl(received.body.decode(), strict_parsing=True, keep_blank_values=True))
        elif received.body:
            parsed = received.json
        return self.check_request(received.method, received.target, received.headers, received.body, parsed)

    def asked(self, server: Server) -> list[str]:
        """What was asked for since the last time."""
        operations = [self.judged(received) for received in server.received]
        server.received.clear()
        return operations


truss = Contract("truss.openapi.yaml")
trustist = Contract("trustist.openapi.yaml")
