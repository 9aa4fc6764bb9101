"""Serves models over TensorFlow Serving's REST and gRPC APIs."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from kbert.errors import ServingError
from kbert.files import PathLike
from kbert.options import option_error, with_options
from kbert.runtime.interrupts import handled_signals
from kbert.runtime.tensorflow import import_tensorflow
from kbert.serving.batching.parameters import BatchingParameters, default_parameters, read_parameters
from kbert.serving.batching.scheduler import BatchObserver, BatchScheduler
from kbert.serving.limits import Limits
from kbert.serving.model_server import ModelServer
from kbert.serving.monitoring.config import read_monitoring_path
from kbert.serving.monitoring.metrics import DEFAULT_PATH, Metrics
from kbert.serving.monitoring.request_log import RequestLog
from kbert.serving.options import ServeOptions
from kbert.serving.rest.app import create_app
from kbert.serving.rest.http_server import RestServer
from kbert.serving.served_models.manifest import read_manifest
from kbert.serving.served_models.served_models import ServedModels, Source
from kbert.serving.served_models.served_version import ServedVersion
from kbert.serving.served_models.sources import ConfigFileSource, FolderSource, one_model

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
    _check(folder, options)
    import_tensorflow()
    from kbert.serving.grpc_api.server import grpc_server, tls_credentials

    on_imported()
    parameters = _parameters(options)
    metrics = Metrics()
    with contextlib.ExitStack() as stack:
        # The ports are bound first, so that a port in use is reported before the models are loaded.
        listener = stack.enter_context(_bind(options.host, options.rest_port)) if options.rest else None
        source = _source(folder, options)
        executor = stack.enter_context(
            concurrent.futures.ThreadPoolExecutor(_RUNNING_THREADS, thread_name_prefix="kbert-serving-run")
        )
        scheduler = BatchScheduler(parameters.num_batch_threads)
        stack.callback(scheduler.close)
        load = _loader(options, parameters, metrics, executor, scheduler)
        models = ServedModels(
            source,
            load,
            poll_seconds=options.poll_seconds,
            unavailable_labels=options.labels_of_unavailable_versions,
        )
        limits = Limits(
            body_bytes=options.max_body_bytes,
            texts=options.max_texts,
            text_bytes=options.max_text_bytes,
            wrap_integers=options.wrap_integers,
            seconds=options.timeout_seconds,
        )
        server = ModelServer(models, limits=limits, metrics=metrics, log=RequestLog(options.log_requests))
        metrics.add_gauge(
            "/kbert/serving/queue_length",
            lambda: [({"model_name": name}, length) for name, length in models.queue_lengths().items()],
        )
        api_key = _api_key(options)
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
            app = create_app(server, metrics_path=_metrics_path(options), cors=options.cors, api_key=api_key)
            rest = RestServer(app, options)
            scheme = "http" if options.tls_certificate is None else "https"
            url = f"{scheme}://{_address(options.host, listener.getsockname()[1])}"
        yield _Running(rest, listener, Addresses(url, grpc_address))


def _loader(
    options: ServeOptions,
    parameters: BatchingParameters,
    metrics: Metrics,
    executor: concurrent.futures.Executor,
    scheduler: BatchScheduler,
) -> Callable[[str, int, Path], ServedVersion]:
    # This module imports TensorFlow, which `import_tensorflow` must do first.
    from kbert.serving.served_models.loading import load_model

    def load(name: str, version: int, folder: Path) -> ServedVersion:
        start = time.monotonic()
        status = "fail"
        try:
            model, warmed = load_model(
                folder, engine=options.engine, timeout=options.timeout_seconds, trusted=options.trust_models
            )
            status = "success"
        finally:
            microseconds = (time.monotonic() - start) * 1e6
            metrics.load_attempts.add(model_path=str(folder), status=status)
            metrics.load_latency.add(round(microseconds), model_path=str(folder))
        metrics.warmup_latency.record(warmed.seconds * 1e6, model_path=str(folder), status="OK")
        metrics.warmup_records.add(warmed.records, model_path=str(folder), status="OK")

        def batch(rows: int) -> None:
            metrics.batch_run_count.add()
            metrics.batch_size.record(rows, model_name=name)

        def waited(seconds: float) -> None:
            metrics.queuing_latency.record(seconds * 1e6, thread_pool_name="batch_threads")

        return ServedVersion(
            name,
            version,
            model,
            manifest=read_manifest(folder),
            executor=executor,
            scheduler=scheduler,
            parameters=parameters if options.batching or _batches_all(options) else None,
            batch_all=_batches_all(options),
            observer=BatchObserver(batch, waited),
        )

    return load


def _check(folder: PathLike | None, options: ServeOptions) -> None:
    named = [
        name
        for name, value in (
            ("FOLDER", folder),
            ("model_base_path", options.model_base_path),
            ("model_config_file", options.model_config_file),
        )
        if value is not None
    ]
    if len(named) != 1:
        raise option_error(
            lambda spell: (
                f"the models must be named in one way: FOLDER, {spell('model_base_path')} or "
                f"{spell('model_config_file')}. Received: "
                f"{' and '.join(each if each == 'FOLDER' else spell(each) for each in named) or 'none of these'}"
            )
        )
    if not options.rest and not options.grpc:
        raise option_error(lambda spell: f"one of {spell('rest')} and {spell('grpc')} must be on. Received: neither")
    if (options.tls_certificate is None) != (options.tls_key is None):
        raise option_error(
            lambda spell: f"{spell('tls_certificate')} and {spell('tls_key')} must be given together. Received: one"
        )
    if options.tls_client_authority is not None and options.tls_certificate is None:
        raise option_error(lambda spell: f"{spell('tls_client_authority')} needs {spell('tls_certificate')}")


def _source(folder: PathLike | None, options: ServeOptions) -> Source:
    if options.model_config_file is not None:
        return ConfigFileSource(options.model_config_file, options.model_config_poll_seconds)
    if options.model_base_path is not None:
        name = options.model_name or Path(os.path.abspath(options.model_base_path)).name
        configs = one_model(name, options.model_base_path)
        return lambda: configs
    assert folder is not None
    if options.model_name is not None:
        configs = one_model(options.model_name, folder)
        return lambda: configs
    return FolderSource(folder)


def _parameters(options: ServeOptions) -> BatchingParameters:
    if options.batching_parameters_file is not None:
        return read_parameters(options.batching_parameters_file)
    return default_parameters()


def _batches_all(options: ServeOptions) -> bool:
    return options.batch_all_models or options.batching_parameters_file is not None


def _metrics_path(options: ServeOptions) -> str:
    if not options.metrics:
        return ""
    return (
        DEFAULT_PATH if options.monitoring_config_file is None else read_monitoring_path(options.monitoring_config_file)
    )


def _api_key(options: ServeOptions) -> str:
    if options.api_key_file is None:
        return ""
    try:
        key = Path(options.api_key_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise ServingError(f"expected a file with a key. Received: {options.api_key_file} ({problem})") from None
    if not key:
        raise ServingError(f"expected a file with a key. Received: {options.api_key_file}, which is empty")
    return key


def _path(path: PathLike | None) -> str | None:
    return None if path is None else os.fspath(path)


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
