"""What can be made to go wrong, around the API's views only.

| kind | what the client sees | is the work done? |
| --- | --- | --- |
| `latency` | the answer, `seconds` late | yes |
| `rate_limit` | 429, with `Retry-After: <retry_after>` unless that is null | no |
| `unauthorized` | 401 | no |
| `error_before` | `status` | no |
| `error_after` | `status` | yes |
| `drop_before` | the connection closes without an answer | no |
| `drop_after` | the connection closes without an answer | yes |
| `garbage` | 200 with a body that can't be read | yes |

All faults of kind `latency` that match take effect, and of the others the oldest that matches.
"""

import contextlib
import functools
import re
import socket
import time
from collections.abc import Iterator
from random import random
from typing import Any

from django.db.models import F
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt

from truss_portal.sandbox import request_log
from truss_portal.sandbox.models import Fault
from truss_portal.sandbox.site_rules import View, exempt_from_site_rules
from truss_portal.sandbox.urls_of import path_of

KINDS = (
    "latency",
    "rate_limit",
    "unauthorized",
    "error_before",
    "error_after",
    "drop_before",
    "drop_after",
    "garbage",
)
_WORK_IS_DONE = ("error_after", "drop_after", "garbage")

# Where our own server puts the connection's socket, so that it can be closed in the middle of a request.
CONNECTION = "truss_sandbox.connection"


def fallible(view: View) -> View:
    """Lets the faults in force happen to an API view, and logs the request."""

    @csrf_exempt
    @exempt_from_site_rules
    @functools.wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        path = "/" + request.path.removeprefix(path_of(request, "home"))
        response = _answer(view, request, path, *args, **kwargs)
        status = None if getattr(response, "dropped", False) else response.status_code
        request_log.record(request.method or "", path, request.META.get("QUERY_STRING", ""), status)
        return response

    return wrapper


def _answer(view: View, request: HttpRequest, path: str, *args: Any, **kwargs: Any) -> HttpResponseBase:
    fault = _take(request.method or "", path)
    if fault is None:
        return view(request, *args, **kwargs)
    if fault.kind in _WORK_IS_DONE:
        view(request, *args, **kwargs)
    if fault.kind.startswith("drop"):
        return drop(request)
    return _spoilt_answer(fault)


def _take(method: str, path: str) -> Fault | None:
    """Waits out the latencies and uses up one of the other faults."""
    for fault in _matching(method, path):
        if not _use_up(fault):
            continue
        if fault.kind != "latency":
            return fault
        time.sleep(fault.seconds)
    return None


def _matching(method: str, path: str) -> Iterator[Fault]:
    faults = sorted(Fault.objects.all(), key=lambda fault: (fault.kind != "latency", fault.pk))
    for fault in faults:
        if fault.method in ("*", method) and re.search(fault.path, path) and random() < fault.probability:  # noqa: S311
            yield fault


def _use_up(fault: Fault) -> bool:
    if fault.count is None:
        return True
    # One statement, so that several threads never share the last one.
    return bool(Fault.objects.filter(pk=fault.pk, count__gt=0).update(count=F("count") - 1))


def _spoilt_answer(fault: Fault) -> HttpResponse:
    if fault.kind == "rate_limit":
        answer: HttpResponse = JsonResponse({"detail": "Request was throttled."}, status=429)
        if fault.retry_after is not None:
            answer["Retry-After"] = str(fault.retry_after)
    elif fault.kind == "unauthorized":
        answer = JsonResponse({"detail": "The token is not accepted or has expired."}, status=401)
        answer["WWW-Authenticate"] = "Bearer"
    elif fault.kind == "garbage":
        answer = HttpResponse(b'<html>\xff{"uid": ', content_type="application/json")
    else:
        answer = JsonResponse({"detail": "Something went wrong."}, status=fault.status)
    return answer


class DroppedResponse(StreamingHttpResponse):
    """Stands for an answer that never arrives. Where the socket is out of reach, the half of one does."""

    dropped = True


def drop(request: HttpRequest) -> DroppedResponse:
    connection = request.META.get(CONNECTION)
    if connection is not None:
        # The client may have been quicker.
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
    return DroppedResponse(iter([b'{"uid": "']), content_type="application/json")
