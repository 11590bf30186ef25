"""Whom we speak to: its name in messages, and what it says otherwise than Truss where something goes wrong. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from truss_portal.client.exceptions import ProviderError

Problem = TypeVar("Problem", bound=ProviderError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """`messages` are the default messages, by the class of the error; without one it is the class's own."""

    name: str
    messages: Mapping[type[ProviderError], str] = field(default_factory=dict)

    def error(self, kind: type[Problem], message: str = "", **facts: Any) -> Problem:
        """To be raised. `facts` are as for `ProviderError`."""
        return kind(message or self.messages.get(kind, ""), provider=self.name, **facts)


TRUSS: Final = Provider(name="Truss")
