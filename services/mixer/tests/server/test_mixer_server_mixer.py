"""Istio's Check and Report, from message to policy and back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from mizzen.attributes.batch import DELTA, INDEPENDENT, ReportEncoder
from mizzen.attributes.compressed import encode
from mizzen.attributes.referenced import decode_references
from mizzen.mixer.adapter import QuotaArgs, QuotaResult
from mizzen.mixer.server.mixer import Mixer
from mizzen.mixer.server.refusal import Refusal
from mizzen.mixer.status import Code, Status
from mizzen.mixer.verdict import Allotment, HeaderAction, HeaderOperation, PolicyError, Verdict
from mizzen.proto.mixer_pb2 import CheckRequest, ReferencedAttributes, ReportRequest

REQUEST = CheckRequest(
    attributes=encode({"request.path": "/a", "x": 1}), global_word_count=203, deduplication_id="id-1"
)


async def test_policy_gets_attributes_quotas_and_the_id(policy: Any) -> None:
    request = CheckRequest()
    request.CopyFrom(REQUEST)
    request.quotas["requests"].amount = 5
    request.quotas["bytes"].CopyFrom(CheckRequest.QuotaParams(amount=-2, best_effort=True))
    await Mixer(policy).check(request)
    ((bag, quotas, deduplication_id),) = policy.checked
    assert bag.values == {"request.path": "/a", "x": 1}
    assert quotas == {"requests": QuotaArgs(5, best_effort=False), "bytes": QuotaArgs(-2, best_effort=True)}
    assert deduplication_id == "id-1"


async def test_a_verdict_without_opinions_is_istios_default(policy: Any) -> None:
    response = await Mixer(policy).check(REQUEST)
    precondition = response.precondition
    assert precondition.status.code == 0
    assert precondition.HasField("valid_duration")
    assert (precondition.valid_duration.seconds, precondition.valid_use_count) == (60, 10_000)
    assert precondition.HasField("referenced_attributes")
    assert not precondition.HasField("route_directive")
    assert not response.quotas


async def test_a_denial_carries_code_message_and_validity(policy: Any) -> None:
    policy.verdict = Verdict(
        Status(Code.PERMISSION_DENIED, "denyall.denier.istio-system:Not allowed"), timedelta(seconds=5), 1000
    )
    precondition = (await Mixer(policy).check(REQUEST)).precondition
    assert precondition.status.code == 7
    assert precondition.status.message == "denyall.denier.istio-system:Not allowed"
    assert (precondition.valid_duration.seconds, precondition.valid_use_count) == (5, 1000)


async def test_uses_fit_the_wire(policy: Any) -> None:
    policy.verdict = Verdict(valid_use_count=10**12)
    assert (await Mixer(policy).check(REQUEST)).precondition.valid_use_count == 2**31 - 1


@pytest.mark.parametrize("known", [0, 203, 222])
async def test_references_use_the_words_that_the_caller_knows(policy: Any, known: int) -> None:
    references = {"request.path": True, ("request.headers", "cookie"): False, "context.proxy_version": True}
    policy.verdict = Verdict(referenced=references, quotas={"q": Allotment(QuotaResult(1), references)})
    response = await Mixer(policy).check(CheckRequest(global_word_count=known))
    for message in (response.precondition.referenced_attributes, response.quotas["q"].referenced_attributes):
        assert decode_references(message) == references
        assert all(match.name < known and match.map_key < max(known, 1) for match in message.attribute_matches)
        assert all(match.condition != ReferencedAttributes.REGEX for match in message.attribute_matches)


async def test_quotas_are_answered_by_name(policy: Any) -> None:
    policy.verdict = Verdict(
        quotas={
            "granted": Allotment(QuotaResult(5, timedelta(seconds=1))),
            "exhausted": Allotment(QuotaResult(0, status=Status(Code.RESOURCE_EXHAUSTED, "none left"))),
        }
    )
    quotas = (await Mixer(policy).check(REQUEST)).quotas
    assert quotas.keys() == {"granted", "exhausted"}
    assert (quotas["granted"].granted_amount, quotas["granted"].valid_duration.seconds) == (5, 1)
    assert not quotas["granted"].HasField("status")
    assert quotas["exhausted"].granted_amount == 0
    assert quotas["exhausted"].HasField("valid_duration")
    assert (quotas["exhausted"].status.code, quotas["exhausted"].status.message) == (8, "none left")


async def test_header_operations_and_a_direct_response_are_the_route_directive(policy: Any) -> None:
    policy.verdict = Verdict(
        request_headers=(HeaderOperation("x-user", "jason"), HeaderOperation("cookie", action=HeaderAction.REMOVE)),
        response_headers=(HeaderOperation("x-mesh", "a", HeaderAction.APPEND),),
        direct_response_code=302,
        direct_response_body="elsewhere",
    )
    directive = (await Mixer(policy).check(REQUEST)).precondition.route_directive
    operations = [(o.name, o.value, o.operation) for o in directive.request_header_operations]
    assert operations == [("x-user", "jason", 0), ("cookie", "", 1)]
    assert [(o.name, o.value, o.operation) for o in directive.response_header_operations] == [("x-mesh", "a", 2)]
    assert (directive.direct_response_code, directive.direct_response_body) == (302, "elsewhere")


async def refusal_of(work: Any) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        await work
    return refusal.value


async def test_a_check_that_policy_cannot_judge_is_an_internal_error(policy: Any) -> None:
    policy.error = PolicyError("performing check operation failed: no handler")
    refusal = await refusal_of(Mixer(policy).check(REQUEST))
    assert (refusal.code, refusal.message) == (Code.INTERNAL, "performing check operation failed: no handler")


async def test_unreadable_attributes_make_istios_proxy_use_fewer_words(policy: Any) -> None:
    request = CheckRequest()
    request.attributes.strings[17] = -1
    refusal = await refusal_of(Mixer(policy).check(request))
    assert refusal.code is Code.INVALID_ARGUMENT
    assert refusal.message.startswith("Request could not be processed due to invalid")
    assert refusal.message.endswith("attribute index -1 is not defined in the available dictionaries")
    assert not policy.checked


async def test_callers_with_a_longer_dictionary_are_refused(policy: Any) -> None:
    for work in (
        Mixer(policy).check(CheckRequest(global_word_count=223)),
        Mixer(policy).report(ReportRequest(global_word_count=223, attributes=[encode({"x": 1})])),
    ):
        refusal = await refusal_of(work)
        assert refusal.code is Code.INTERNAL
        assert refusal.message.startswith("inconsistent global dictionary versions used")
    assert not policy.checked
    assert not policy.reports


@pytest.mark.parametrize("semantics", [DELTA, INDEPENDENT])
async def test_a_report_is_one_call_of_policy(policy: Any, semantics: Any) -> None:
    encoder = ReportEncoder(semantics)
    encoder.add({"request.path": "/a", "request.size": 1})
    encoder.add({"request.path": "/b", "request.size": 1})
    await Mixer(policy).report(ReportRequest.FromString(encoder.finish()))
    ((first, second),) = policy.reports
    assert first.values == {"request.path": "/a", "request.size": 1}
    assert second.values == {"request.path": "/b", "request.size": 1}


async def test_an_empty_report_does_not_reach_policy(policy: Any) -> None:
    await Mixer(policy).report(ReportRequest())
    assert not policy.reports


async def test_what_can_be_read_of_a_report_is_reported_before_it_fails(policy: Any) -> None:
    good, bad = encode({"request.size": 1}), encode({"request.size": 1})
    bad.int64s[999] = 1
    policy.error = PolicyError("prometheus is down")
    refusal = await refusal_of(Mixer(policy).report(ReportRequest(attributes=[good, bad, good])))
    assert refusal.code is Code.UNKNOWN
    assert refusal.message == (
        "request could not be processed due to invalid attributes: "
        "attribute index 999 is not defined in the available dictionaries; prometheus is down"
    )
    assert [len(bags) for bags in policy.reports] == [1]
