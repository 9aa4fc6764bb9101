"""What the options of a server mean: its models, its batching, its limits and its key."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from kbert.errors import ServingError
from kbert.files import PathLike
from kbert.options import option_error, option_infos
from kbert.serving.batching.parameters import BatchingParameters, default_parameters, read_parameters
from kbert.serving.limits import Limits
from kbert.serving.monitoring.config import read_monitoring_path
from kbert.serving.monitoring.metrics import DEFAULT_PATH
from kbert.serving.options import ServeOptions
from kbert.serving.served_models.served_models import Source
from kbert.serving.served_models.sources import ConfigFileSource, FolderSource, one_model


def check_options(folder: PathLike | None, options: ServeOptions) -> None:
    """Checks that the options name models in one way, and an API to serve them with.

    Raises:
        OptionError: They do not, or options of TLS are incomplete.
    """
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
    asking = next((name for name in ("batch_all_models", "batching_parameters_file") if getattr(options, name)), None)
    if asking is not None and not options.batching:
        raise option_error(
            lambda spell: (
                f"{spell(asking)} is for batches. Received: {spell('batching', False)}, which computes each request "
                "alone; leave one of the two out"
            ),
            option_infos(ServeOptions),
        )


def check_certificates(options: ServeOptions) -> None:
    """Checks the files of TLS, so that an invalid one is reported before the models are loaded.

    Raises:
        ServingError: A file is unreadable or is not in PEM format, or the key does not belong to the certificate.
    """
    if options.tls_certificate is None or options.tls_key is None:
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Without a password, OpenSSL would ask for that of an encrypted key on the terminal.
        context.load_cert_chain(options.tls_certificate, options.tls_key, password="")
    except (ssl.SSLError, OSError) as problem:
        raise ServingError(
            "expected a certificate and its private key without a password, both in PEM format. Received: "
            f"{options.tls_certificate} and {options.tls_key} ({problem})"
        ) from None
    if options.tls_client_authority is not None:
        try:
            context.load_verify_locations(options.tls_client_authority)
        except (ssl.SSLError, OSError) as problem:
            raise ServingError(
                f"expected certificates in PEM format. Received: {options.tls_client_authority} ({problem})"
            ) from None


def model_source(folder: PathLike | None, options: ServeOptions) -> Source:
    """Returns the source of the names and the folders of the models."""
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


def batching_parameters(options: ServeOptions) -> BatchingParameters:
    """Returns the parameters of batching: those of the file, or the defaults."""
    if options.batching_parameters_file is not None:
        return read_parameters(options.batching_parameters_file)
    return default_parameters()


def batches_all(options: ServeOptions) -> bool:
    """Returns whether requests for models of any kind are gathered into batches."""
    return options.batch_all_models or options.batching_parameters_file is not None


def metrics_path(options: ServeOptions) -> str:
    """Returns the path of the metrics in the REST API; "" if there are none."""
    if not options.metrics:
        return ""
    return (
        DEFAULT_PATH if options.monitoring_config_file is None else read_monitoring_path(options.monitoring_config_file)
    )


def read_api_key(options: ServeOptions) -> str:
    """Returns the key that requests must have; "" for no key.

    Raises:
        ServingError: The file of the key is unreadable or empty.
    """
    if options.api_key_file is None:
        return ""
    try:
        key = Path(options.api_key_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise ServingError(f"expected a file with a key. Received: {options.api_key_file} ({problem})") from None
    if not key:
        raise ServingError(f"expected a file with a key. Received: {options.api_key_file}, which is empty")
    return key


def limits(options: ServeOptions) -> Limits:
    """Returns the limits of requests."""
    return Limits(
        body_bytes=options.max_body_bytes,
        texts=options.max_texts,
        text_bytes=options.max_text_bytes,
        wrap_integers=options.wrap_integers,
        seconds=options.timeout_seconds,
    )
