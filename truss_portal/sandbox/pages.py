"""One page of a list, in the style of REST framework's LimitOffsetPagination, whose addresses Truss's examples show.

It differs in one point: what isn't an integer is refused, where REST framework would quietly take the default.
"""

import re
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from truss_portal.sandbox.models import PaymentIntent

PAGE_SIZE = 50
_INTEGER = re.compile(r"[+-]?[0-9]+")
# Far beyond any row, and still a number that every database takes.
_MOST = 10**9


def cut(request: Request, intents: QuerySet[PaymentIntent], *, page_size_max: int) -> dict[str, Any]:
    """`count`, `next`, `previous` and, as rows, `results`."""
    limit = _integer(request, "limit")
    limit = min(PAGE_SIZE if limit is None or limit <= 0 else limit, page_size_max)
    offset = max(_integer(request, "offset") or 0, 0)
    count = intents.count()
    rows = intents.select_related("contact")[offset : offset + limit]
    here = request.build_absolute_uri(request.path)
    following, preceding = offset + limit, offset - limit
    return {
        "count": count,
        "next": f"{here}?{urlencode({'limit': limit, 'offset': following})}" if following < count else None,
        "previous": _previous(here, limit, preceding) if offset > 0 else None,
        "results": rows,
    }


def _previous(here: str, limit: int, offset: int) -> str:
    return f"{here}?{urlencode({'limit': limit, 'offset': offset} if offset > 0 else {'limit': limit})}"


def _integer(request: Request, name: str) -> int | None:
    values = request.query_params.getlist(name)
    if not values:
        return None
    if len(values) > 1 or not _INTEGER.fullmatch(values[0]):
        raise ValidationError({name: ["A valid integer is required."]})
    # More digits than this are as good as the most, and int() refuses to read thousands of them.
    return max(-_MOST, min(int(values[0][:19]), _MOST))
