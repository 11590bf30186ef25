"""The site on a thread of this process, so that the story goes over real sockets."""

import threading
from types import TracebackType
from typing import Self

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.servers.basehttp import ThreadedWSGIServer

from example_project.wsgi import application
from truss_portal.sandbox.server import SandboxRequestHandler


class SiteServer:
    """Serves the whole site, the sandbox included, at `url` while the block lasts.

    A port that can't be had is replaced by a free one: `why_not_wanted` then says why.
    """

    def __init__(self, port: int) -> None:
        self.why_not_wanted = ""
        try:
            self._server = self._listen(port)
        except OSError as error:
            self.why_not_wanted = error.strerror or str(error)
            self._server = self._listen(0)
        self._server.set_app(StaticFilesHandler(application))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _listen(self, port: int) -> ThreadedWSGIServer:
        # The sandbox's handler lets it close a connection in the middle of a request, as a lost answer needs.
        return ThreadedWSGIServer(("127.0.0.1", port), SandboxRequestHandler)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
