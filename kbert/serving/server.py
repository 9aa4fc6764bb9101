"""Serves models over TensorFlow Serving's REST and gRPC APIs."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import errno
import os
import socket
import threading
from collections.abc import Callable, Iterator

from kbert.errors import ServingError
from kbert.files import PathLike
from kbert.options import with_options
from kbert.runtime.interrupts import handled_signals
from kbert.runtime.tensorflow import import_tensorflow
from kbert.serving.batching.scheduler import BatchScheduler
from kbert.serving.model_server import ModelServer
from kbert.serving.monitoring.metrics import Metrics
from kbert.serving.monitoring.request_log import RequestLog
from kbert.serving.options import ServeOptions
from kbert.serving.rest.app import create_app
from kbert.serving.rest.http_server import RestServer
from kbert.serving.served_models.served_models import ServedModels
from kbert.serving.server_settings import (
    batches_all,
    batching_parameters,
    check_certificates,
    check_options,
    limits,
    metrics_path,
    model_source,
    read_api_key,
)

# Threads that run requests which are not gathered into batches; most of their time they are in TensorFlow.
_RUNNING_THREADS = 4 * (os.cpu_count() or 1)


@dataclasses.dataclass(frozen=True)
class Addresses:
    """Where a server listens."""

    url: str
    """The URL of the REST API, such as "http://127.0.0.1:8501"; empty if it is not served."""
    grpc_address: str
    """The address of the gRPC API, such as "127.0.0.1:8500"; empty if it is not served."""


@with_options(ServeOptions)
def serve(
    folder: PathLike | None = None,
    *,
    options: ServeOptions,
    on_ready: Callable[[Addresses], None] | None = None,
) -> None:
    """Serves models until the process receives SIGINT or SIGTERM, and finishes the open requests.

    New models and versions in the folder are served without a restart. The logger "kbert.serving" reports them.

    Args:
        folder: The folder that holds NAME/VERSION/saved_model.pb, or a folder NAME that holds versions. None if an
            option names the models.
        options: All of these options in one object.
        on_ready: A function that is called with the addresses once the models are loaded and the server listens.

    Raises:
        ServingError: The folder holds no model that can be loaded, or a port is not available.

    Example:
        >>> kbert.export_saved_model("RUN", output="saved_models/docstrings", version=1)
        PosixPath('saved_models/docstrings/1')
        >>> import os, signal
        >>> def stop(addresses):  # leave on_ready out to serve until Ctrl-C
        ...     os.kill(os.getpid(), signal.SIGINT)
        >>> kbert.serve("saved_models", rest_port=0, grpc_port=0, on_ready=stop)
    """
    run(folder, options, on_ready=on_ready)


def run(
    folder: PathLike | None,
    options: ServeOptions,
    *,
    on_ready: Callable[[Addresses], None] | None = None,
    on_imported: Callable[[], None] = lambda: None,
) -> None:
    """Serves models as `serve` does.

    Args:
        folder: See `serve`.
        options: See `serve`.
        on_ready: See `serve`.
        on_imported: A function that is called when all libraries are imported, before the first model is loaded.
    """
    with _servers(folder, options, on_imported) as running:
        if on_ready is not None:
            running.on_started = lambda: on_ready(running.addresses)
        with handled_signals(lambda _: running.stop()):
            running.run()


@contextlib.contextmanager
def running_server(folder: PathLike | None = None, *, options: ServeOptions | None = None) -> Iterator[Addresses]:
    """Serves models from threads of this process during a `with` block.

    Args:
        folder: See `serve`.
        options: See `serve`. The default selects free ports.

    Yields:
        The addresses of the server.

    Raises:
        ServingError: See `serve`.

    Example:
        >>> import json, urllib.request
        >>> from kbert.serving.server import running_server
        >>> kbert.export_saved_model("RUN", output="served/docstrings", version=1)
        PosixPath('served/docstrings/1')
        >>> with running_server("served") as server:
        ...     body = json.dumps({"instances": ["the cat"]}).encode()
        ...     with urllib.request.urlopen(f"{server.url}/v1/models/docstrings:predict", body) as reply:
        ...         answer = json.load(reply)
        >>> answer["predictions"][0]["label"] in ("bad", "fine", "good")
        True
    """
    with _servers(folder, options or ServeOptions(rest_port=0, grpc_port=0)) as running:
        started = threading.Event()
        running.on_started = started.set
        thread = threading.Thread(target=running.run, name="kbert-serving-rest")
        thread.start()
        try:
            while not started.wait(0.1):
                if not thread.is_alive():
                    raise ServingError("the server's thread ended before it listened; its error is on stderr")
            yield running.addresses
        finally:
            running.stop()
            thread.join()


class _Running:
    """The servers of both APIs."""

    def __init__(self, rest: RestServer | None, listener: socket.socket | None, addresses: Addresses) -> None:
        self._rest = rest
        self._listener = listener
        self._stopped = threading.Event()
        self.addresses = addresses
        self.on_started: Callable[[], object] = lambda: None

    def run(self) -> None:
        """Serves until `stop` is called."""
        if self._rest is None or self._listener is None:
            self.on_started()
            # A signal interrupts a wait with a limit only, on some systems.
            while not self._stopped.wait(0.2):
                pass
            return
        self._rest.on_started = self.on_started
        self._rest.run(sockets=[self._listener])

    def stop(self) -> None:
        """Lets `run` return after the open requests."""
        self._stopped.set()
        if self._rest is not None:
            self._rest.should_exit = True


@contextlib.contextmanager
def _servers(
    folder: PathLike | None, options: ServeOptions, on_imported: Callable[[], None] = lambda: None
) -> Iterator[_Running]:
    """Yields the servers when their models are loaded, and ends them after the block."""
    check_options(folder, options)
    check_certificates(options)
    import_tensorflow()
    # Both modules import TensorFlow, which `import_tensorflow` must do first.
    from kbert.serving.grpc_api.server import grpc_server, tls_credentials
    from kbert.serving.served_models.version_loader import VersionLoader

    on_imported()
    parameters = batching_parameters(options)
    metrics = Metrics()
    with contextlib.ExitStack() as stack:
        # The ports are bound first, so that a port in use is reported before the models are loaded.
        listener = stack.enter_context(_bind(options.host, options.rest_port)) if options.rest else None
        source = model_source(folder, options)
        executor = stack.enter_context(
            concurrent.futures.ThreadPoolExecutor(_RUNNING_THREADS, thread_name_prefix="kbert-serving-run")
        )
        scheduler = BatchScheduler(parameters.num_batch_threads)
        stack.callback(scheduler.close)
        models = ServedModels(
            source,
            VersionLoader(
                engine=options.engine,
                timeout=options.timeout_seconds,
                trusted=options.trust_models,
                parameters=parameters if options.batching else None,
                batch_all=batches_all(options),
                metrics=metrics,
                executor=executor,
                scheduler=scheduler,
            ),
            # Without looks at the folders, the file of the models is still read again.
            poll_seconds=options.poll_seconds or options.model_config_poll_seconds,
            unavailable_labels=options.labels_of_unavailable_versions,
        )
        server = ModelServer(models, limits=limits(options), metrics=metrics, log=RequestLog(options.log_requests))
        metrics.add_gauge(
            "/kbert/serving/queue_length",
            lambda: [({"model_name": name}, length) for name, length in models.queue_lengths().items()],
        )
        api_key = read_api_key(options)
        stack.enter_context(models)
        grpc_address = ""
        if options.grpc:
            credentials = None
            if options.tls_certificate is not None and options.tls_key is not None:
                credentials = tls_credentials(options.tls_certificate, options.tls_key, options.tls_client_authority)
            running_grpc = stack.enter_context(
                grpc_server(server, host=options.host, port=options.grpc_port, credentials=credentials, api_key=api_key)
            )
            running_grpc.start()
            grpc_address = _address(options.host, running_grpc.port)
        rest, url = None, ""
        if listener is not None:
            app = create_app(server, metrics_path=metrics_path(options), cors=options.cors, api_key=api_key)
            rest = RestServer(app, options)
            scheme = "http" if options.tls_certificate is None else "https"
            url = f"{scheme}://{_address(options.host, listener.getsockname()[1])}"
        yield _Running(rest, listener, Addresses(url, grpc_address))


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextlib.contextmanager
def _bind(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends without delay (TCP_NODELAY) on sockets that name their protocol alone; on others every
    # answer takes 40 ms longer. socket.create_server makes sockets that do not.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    with listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            # Requests that come while the models load wait in the queue of the socket.
            listener.listen(2048)
        except (OSError, OverflowError) as problem:
            reason = "a port in use" if getattr(problem, "errno", None) == errno.EADDRINUSE else str(problem)
            raise ServingError(
                f"expected a free port. Received: port {port} of {host}, {reason}; name another one with --rest-port, "
                "or 0 for any free one"
            ) from None
        yield listener
