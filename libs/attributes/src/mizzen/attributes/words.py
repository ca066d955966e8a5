"""The global dictionary: the words that Mixer and its clients name by number.

It only ever grew at its end, so a client that knows fewer words knows a beginning of it. Source:
istio/api/mixer/v1/global_dictionary.yaml up to Istio 1.7.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import count

# fmt: off
WORDS: tuple[str, ...] = (
    # Entries 94, 111 and 112 have quotes in them, and so has 218: Istio's generators took them over from their YAML.
    "source.ip", "source.port", "source.name", "source.uid", "source.namespace", "source.labels", "source.user",
    "target.ip", "target.port", "target.service", "target.name", "target.uid", "target.namespace", "target.labels",
    "target.user", "request.headers", "request.id", "request.path", "request.host", "request.method", "request.reason",
    "request.referer", "request.scheme", "request.size", "request.time", "request.useragent", "response.headers",
    "response.size", "response.time", "response.duration", "response.code", ":authority", ":method", ":path", ":scheme",
    ":status", "access-control-allow-origin", "access-control-allow-methods", "access-control-allow-headers",
    "access-control-max-age", "access-control-request-method", "access-control-request-headers", "accept-charset",
    "accept-encoding", "accept-language", "accept-ranges", "accept", "access-control-allow", "age", "allow",
    "authorization", "cache-control", "content-disposition", "content-encoding", "content-language", "content-length",
    "content-location", "content-range", "content-type", "cookie", "date", "etag", "expect", "expires", "from", "host",
    "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "keep-alive", "last-modified",
    "link", "location", "max-forwards", "proxy-authenticate", "proxy-authorization", "range", "referer", "refresh",
    "retry-after", "server", "set-cookie", "strict-transport-sec", "transfer-encoding", "user-agent", "vary", "via",
    "www-authenticate", "GET", "POST", "http", "envoy", "'200'", "Keep-Alive", "chunked", "x-envoy-service-time",
    "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-http-method-override", "x-request-id",
    "x-requested-with", "application/json", "application/xml", "gzip", "text/html", "text/html; charset=utf-8",
    "text/plain", "text/plain; charset=utf-8",
    # Up to here what a client may fall back to when a server does not understand it (BASE_COUNT).
    "'0'", "'1'", "true", "false", "gzip, deflate", "max-age=0", "x-envoy-upstream-service-time", "x-envoy-internal",
    "x-envoy-expected-rq-timeout-ms", "x-ot-span-context", "x-b3-traceid", "x-b3-sampled", "x-b3-spanid", "tcp",
    "connection.id", "connection.received.bytes", "connection.received.bytes_total", "connection.sent.bytes",
    "connection.sent.bytes_total", "connection.duration", "context.protocol", "context.timestamp", "context.time", "0",
    "1", "200", "302", "400", "401", "403", "404", "409", "429", "499", "500", "501", "502", "503", "504",
    "destination.ip", "destination.port", "destination.service", "destination.name", "destination.uid",
    "destination.namespace", "destination.labels", "destination.user", "source.service", "api.service", "api.version",
    "api.operation", "api.protocol", "request.auth.principal", "request.auth.audiences", "request.auth.presenter",
    "request.api_key", "check.error_code", "check.error_message", "request.total_size", "response.total_size",
    "connection.event", "check.cache_hit", "quota.cache_hit", "source.principal", "request.auth.claims",
    "request.auth.raw_claims", "connection.mtls", "source.metadata", "source.owner", "source.services",
    "source.workload.uid", "source.workload.name", "source.workload.namespace", "destination.metadata",
    "destination.owner", "destination.principal", "destination.workload.uid", "destination.workload.name",
    "destination.workload.namespace", "destination.service.uid", "destination.service.name",
    "destination.service.namespace", "destination.service.host", "destination.container.name",
    "destination.container.image", "context.reporter.local", "context.reporter.uid", "response.grpc_status",
    "response.grpc_message", "context.reporter.type", "context.reporter.kind", "connection.requested_server_name",
    # Up to here Istio 1.0, its proxies send 203.
    "request.url_path", "request.query_params", "context.proxy_error_code", "UH", "UF", "UO", "NR", "LH", "UT", "LR",
    "UR", "UC", "DI", "FI", "RL", '"-"', "inbound", "outbound",
    # Up to here Istio 1.1 and 1.2.
    "context.proxy_version",
)
# fmt: on

BASE_COUNT = 111

_BY_INDEX = dict(enumerate(WORDS))


def word_table(words: Iterable[bytes]) -> dict[int, str]:
    r"""Words by index: those of the global dictionary from 0 on, those of a message from -1 downwards.

    Bytes that are not UTF-8 are written out as `\xNN`.
    """
    table = _BY_INDEX.copy()
    table.update(zip(count(-1, -1), [str(word, "utf-8", "backslashreplace") for word in words], strict=False))
    return table


class Indices(dict[str, int]):
    """Indices by word; a word that has none yet becomes the message's next one.

    Of the global dictionary only the first `global_words` are used: what the reader of the message knows.
    """

    __slots__ = ("words",)

    def __init__(self, global_words: int = len(WORDS)) -> None:
        super().__init__(_first(min(global_words, len(WORDS))))
        self.words: list[bytes] = []

    def __missing__(self, word: str) -> int:
        """Make `word` the message's next one."""
        # Header values that are not UTF-8 may be held with surrogates; they leave as the bytes they were.
        self.words.append(word.encode("utf-8", "surrogateescape"))
        index = self[word] = -len(self.words)
        return index


@lru_cache(maxsize=len(WORDS) + 1)
def _first(number: int) -> dict[str, int]:
    return {word: index for index, word in enumerate(WORDS[:number])}
