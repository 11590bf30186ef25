"""What we send to Trustist, checked before anything touches the network. No I/O.

No lengths are published, so none are checked but that of an email address.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

from truss_portal.client import field_rules
from truss_portal.client.exceptions import FieldError, InvalidRequestError

OPEN_BANKING: Final = "openbanking"
CARDS: Final = "cards"
PAYMENT_TYPES: Final = (OPEN_BANKING, CARDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateInvitationRequest:
    """An invitation. `openbanking` is always sent: it is mandatory. A merchant without `cards` is never offered them.

    https://trustisttransfer.com/docs/partner-api/, "Create a New Invitation"
    """

    name: str
    email: str
    payment_types: Collection[str]

    def errors(self) -> tuple[FieldError, ...]:
        """Every broken rule."""
        return tuple(self._problems())

    def validate(self) -> None:
        """Raises InvalidRequestError with all the errors."""
        if errors := self.errors():
            raise InvalidRequestError(errors)

    def payload(self) -> dict[str, Any]:
        """The JSON-ready body. Only of a valid request."""
        wanted = {OPEN_BANKING, *self.payment_types}
        types = [payment_type for payment_type in PAYMENT_TYPES if payment_type in wanted]
        return {"email": self.email, "name": self.name, "paymentTypes": types}

    def _problems(self) -> Iterator[FieldError]:
        yield from field_rules.line("name", self.name)
        yield from field_rules.email("email", self.email)
        if not isinstance(self.payment_types, list | tuple | set | frozenset):
            yield FieldError.of("payment_types", "must be a list", self.payment_types)
            return
        for payment_type in self.payment_types:
            if payment_type not in PAYMENT_TYPES:
                yield FieldError.of("payment_types", f"must be of {', '.join(PAYMENT_TYPES)}", payment_type)
