"""rule: when which instances are made and sent to which handlers, and how headers are edited (since Istio 1.1)."""

from enum import StrEnum

from mizzen.api.mixer.expression import Expression
from mizzen.api.types import Bool, Duration, Model, UInt32, UInt64


class Action(Model):
    """Instances for one handler. References are `name`, `name.kind`, `name.namespace` or `name.kind.namespace`."""

    handler: str = ""
    instances: tuple[str, ...] = ()
    name: str = ""


class HeaderOperation(StrEnum):
    """How a header is edited."""

    REPLACE = "REPLACE"
    REMOVE = "REMOVE"
    APPEND = "APPEND"


class HeaderOperationTemplate(Model):
    """One header, and expressions of its values."""

    name: str = ""
    values: tuple[Expression, ...] = ()
    operation: HeaderOperation = HeaderOperation.REPLACE


class Denominator(StrEnum):
    """What a fraction is of."""

    HUNDRED = "HUNDRED"
    TEN_THOUSAND = "TEN_THOUSAND"


class FractionalPercent(Model):
    """A fraction of requests."""

    numerator: UInt32 = 0
    denominator: Denominator = Denominator.HUNDRED


class RandomSampling(Model):
    """By chance; the expression, if any, gives the numerator."""

    attribute_expression: Expression = ""
    percent_sampled: FractionalPercent = FractionalPercent()
    use_independent_randomness: Bool = False


class RateLimitSampling(Model):
    """All until a number in a window of time, then one in so many."""

    sampling_duration: Duration
    max_unsampled_entries: UInt64 = 0
    sampling_rate: UInt64 = 0


class Sampling(Model):
    """Which requests a rule's actions are for; a request must pass all that is given."""

    random: RandomSampling | None = None
    rate_limit: RateLimitSampling | None = None


class Rule(Model):
    """Actions for the requests that match; an empty match is every request."""

    match: Expression = ""
    selector: Expression = ""
    """Deprecated spelling of `match`."""
    actions: tuple[Action, ...] = ()
    request_header_operations: tuple[HeaderOperationTemplate, ...] = ()
    response_header_operations: tuple[HeaderOperationTemplate, ...] = ()
    sampling: Sampling | None = None
