"""The options of the server."""

from __future__ import annotations

import dataclasses

from kbert.files import PathLike
from kbert.options import Options, option, with_documented_fields

ENGINES = ("auto", "tensorflow", "litert")
_MODELS = "Models"
_BATCHES = "Batches"
_LIMITS = "Limits"
_SECURITY = "Security"
_OBSERVATION = "Observation"
SECTIONS = ("", _MODELS, _BATCHES, _LIMITS, _SECURITY, _OBSERVATION)


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class ServeOptions(Options):
    """The options of `kbert.serve`.

    Example:
        >>> options = kbert.ServeOptions(rest_port=0)
        >>> options.host, options.poll_seconds
        ('127.0.0.1', 1.0)
    """

    rest_port: int = option(
        8501, "The port for the REST API and the page; 0 selects a free port.", minimum=0, maximum=65535
    )
    grpc_port: int = option(8500, "The port for the gRPC API; 0 selects a free port.", minimum=0, maximum=65535)
    rest: bool = option(True, "Serve the REST API and the page.", off_flag="--no-rest")
    grpc: bool = option(True, "Serve the gRPC API.", off_flag="--no-grpc")
    host: str = option("127.0.0.1", "The address to listen on; 0.0.0.0 accepts requests from other machines.")
    poll_seconds: float = option(
        1.0,
        "The number of seconds between checks for new models and versions; 0 to check only when a file of models is "
        "read.",
        minimum=0,
    )

    engine: str = option(
        "auto",
        "What runs the encoder: tensorflow; litert, which is faster on CPUs and needs a version that was exported by "
        "`kbert export saved-model --litert-encoder none`, or one with model.tflite; or auto, which is litert for "
        "versions with an encoder for it.",
        choices=ENGINES,
    )

    model_name: str | None = option(
        None, "The name of the only model.", section=_MODELS, default_help="the name of the base path"
    )
    model_base_path: PathLike | None = option(
        None, "The folder with the versions of the only model, instead of FOLDER.", path="folder", section=_MODELS
    )
    model_config_file: PathLike | None = option(
        None,
        "A file that lists models, version policies and labels, as for TensorFlow Serving, instead of FOLDER.",
        path="file",
        section=_MODELS,
    )
    model_config_poll_seconds: float = option(
        0.0, "The number of seconds after which that file is read again; 0 to read it once.", minimum=0, section=_MODELS
    )
    labels_of_unavailable_versions: bool = option(
        False, "Accept labels of versions that are not loaded.", section=_MODELS
    )
    trust_models: bool = option(
        False,
        "Serve models whose graph accesses files or runs Python code. Use it only for models of known origin.",
        section=_SECURITY,
    )

    batching: bool = option(
        True, "Compute texts of several requests together, for models that kbert exported.", section=_BATCHES
    )
    batch_all_models: bool = option(
        False, "Compute rows of several requests together for all models and signatures.", section=_BATCHES
    )
    batching_parameters_file: PathLike | None = option(
        None,
        "A file with TensorFlow Serving's parameters of batching.",
        path="file",
        section=_BATCHES,
        default_help="no file: a free thread takes what waits, up to 32 texts of similar lengths",
    )

    timeout_seconds: float = option(
        30.0, "The number of seconds until a request ends with an error; 0 for no limit.", minimum=0, section=_LIMITS
    )
    max_body_bytes: int = option(
        64 * 2**20, "The largest body of a request in bytes; 0 for no limit.", minimum=0, section=_LIMITS
    )
    max_texts: int = option(
        10_000, "The largest number of texts in a request; 0 for no limit.", minimum=0, section=_LIMITS
    )
    max_text_bytes: int = option(2**20, "The longest text in bytes; 0 for no limit.", minimum=0, section=_LIMITS)

    wrap_integers: bool = option(
        False,
        "Keep the lower bits of whole numbers in JSON that are out of range, as TensorFlow Serving does, instead of "
        "refusing them.",
        section=_LIMITS,
    )

    cors: bool = option(False, "Let pages of other origins read the answers of the REST API.", section=_SECURITY)
    tls_certificate: PathLike | None = option(
        None, "The server's chain of certificates for TLS (PEM), for both APIs.", path="file", section=_SECURITY
    )
    tls_key: PathLike | None = option(None, "The private key of the certificate (PEM).", path="file", section=_SECURITY)
    tls_client_authority: PathLike | None = option(
        None, "Certificates by which the certificates of clients must be signed (PEM).", path="file", section=_SECURITY
    )
    api_key_file: PathLike | None = option(
        None,
        "A file with a key that requests must carry as `Authorization: Bearer KEY`; health checks need none.",
        path="file",
        section=_SECURITY,
    )

    metrics: bool = option(True, "Serve metrics for Prometheus on the REST port.", section=_OBSERVATION)
    monitoring_config_file: PathLike | None = option(
        None,
        "A file with TensorFlow Serving's settings of monitoring: whether there are metrics, and their path.",
        path="file",
        section=_OBSERVATION,
    )
    log_requests: bool = option(
        False, "Log each request as a line of JSON on standard error, without its texts.", section=_OBSERVATION
    )
