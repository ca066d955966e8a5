"""What routes do with requests besides sending them on."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from mizzen.api.gatewayapi.reference import BackendObjectReference
from mizzen.api.types import HeaderName, Host, Int32, Model, Port


class HTTPHeader(Model):
    """A header and its value."""

    name: HeaderName
    value: str


class HTTPHeaderFilter(Model):
    """Edits of a header list: set replaces, add appends, remove deletes."""

    set: tuple[HTTPHeader, ...] = ()
    add: tuple[HTTPHeader, ...] = ()
    remove: tuple[HeaderName, ...] = ()


class PathModifierType(StrEnum):
    """How much of a path is replaced."""

    REPLACE_FULL_PATH = "ReplaceFullPath"
    REPLACE_PREFIX_MATCH = "ReplacePrefixMatch"


class HTTPPathModifier(Model):
    """Another path."""

    type: PathModifierType
    replace_full_path: str | None = None
    replace_prefix_match: str | None = None


class HTTPRequestRedirectFilter(Model):
    """Answer with a redirect; what is unset is taken from the request."""

    scheme: str = ""
    hostname: Host | None = None
    path: HTTPPathModifier | None = None
    port: Port | None = None
    status_code: Int32 = 302


class HTTPURLRewriteFilter(Model):
    """Change host or path before forwarding."""

    hostname: Host | None = None
    path: HTTPPathModifier | None = None


class Fraction(Model):
    """A share as a fraction."""

    numerator: Annotated[Int32, Field(ge=0)]
    denominator: Annotated[Int32, Field(ge=1)] = 100


class HTTPRequestMirrorFilter(Model):
    """Send a copy of a share of the requests (all when unset) to another backend."""

    one_of = (("percent", "fraction"),)

    backend_ref: BackendObjectReference
    percent: Annotated[Int32, Field(ge=0, le=100)] | None = None
    fraction: Fraction | None = None


class FilterType(StrEnum):
    """What a filter does; each type has one field."""

    REQUEST_HEADER_MODIFIER = "RequestHeaderModifier"
    RESPONSE_HEADER_MODIFIER = "ResponseHeaderModifier"
    REQUEST_REDIRECT = "RequestRedirect"
    URL_REWRITE = "URLRewrite"
    REQUEST_MIRROR = "RequestMirror"
    CORS = "CORS"
    EXTENSION_REF = "ExtensionRef"


class GRPCRouteFilter(Model):
    """One step; the field of its type is set."""

    type: FilterType
    request_header_modifier: HTTPHeaderFilter | None = None
    response_header_modifier: HTTPHeaderFilter | None = None
    request_mirror: HTTPRequestMirrorFilter | None = None
    extension_ref: dict[str, Any] | None = None


class HTTPRouteFilter(GRPCRouteFilter):
    """One step; the field of its type is set."""

    request_redirect: HTTPRequestRedirectFilter | None = None
    url_rewrite: Annotated[HTTPURLRewriteFilter | None, Field(alias="urlRewrite")] = None
    cors: dict[str, Any] | None = None
