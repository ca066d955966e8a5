"""`istio.mixer.v1.Mixer`: from messages to policy and back, without a socket."""

from __future__ import annotations

import logging

from mizzen.attributes.bag import DictBag
from mizzen.attributes.batch import decode_report
from mizzen.attributes.compressed import decode
from mizzen.attributes.errors import InvalidAttributes
from mizzen.attributes.words import WORDS
from mizzen.mixer.adapter import QuotaArgs
from mizzen.mixer.server.answer import answer
from mizzen.mixer.server.peer import Peer
from mizzen.mixer.server.policy import Policy
from mizzen.mixer.server.refusal import Refusal
from mizzen.mixer.status import Code
from mizzen.mixer.verdict import PolicyError
from mizzen.proto import mixer_pb2 as pb

log = logging.getLogger(__name__)

_REPORTED = pb.ReportResponse()


class Mixer:
    """Istio's policy and telemetry service over one policy.

    A `peer` may speak for itself alone; None is a caller of whom nothing is known, and who is believed.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    async def check(self, request: pb.CheckRequest, peer: Peer | None = None) -> pb.CheckResponse:
        """May a request go on; raises Refusal where that cannot be told."""
        _compare_dictionaries(request.global_word_count)
        try:
            bag = DictBag(decode(request.attributes))
        except InvalidAttributes as error:
            # With this code and beginning Istio's proxy stops using words that are not in every dictionary.
            message = f"Request could not be processed due to invalid attributes: {error}"
            raise Refusal(Code.INVALID_ARGUMENT, message) from error
        if peer is not None:
            peer.admit(bag.values)
        quotas = {
            name: QuotaArgs(asked.amount, best_effort=asked.best_effort) for name, asked in request.quotas.items()
        }
        try:
            verdict = await self._policy.check(bag, quotas, request.deduplication_id)
        except PolicyError as error:
            log.debug("Check failed: %s", error)
            raise Refusal(Code.INTERNAL, str(error)) from error
        return answer(verdict, request.global_word_count)

    async def report(self, request: pb.ReportRequest, peer: Peer | None = None) -> pb.ReportResponse:
        """Requests that happened. What can be reported is; raises Refusal when that is not all."""
        _compare_dictionaries(request.global_word_count)
        batch = decode_report(request, self._policy.report_reads)
        errors = [f"request could not be processed due to invalid attributes: {error}" for error in batch.errors]
        entries, objections = peer.sift(batch.entries) if peer is not None else (batch.entries, [])
        try:
            if entries:
                await self._policy.report(list(map(DictBag, entries)))
        except PolicyError as error:
            errors.append(str(error))
        if errors or objections:
            message = "; ".join((*dict.fromkeys(objections), *errors))
            log.debug("Report failed: %s", message)
            raise Refusal(Code.PERMISSION_DENIED if objections else Code.UNKNOWN, message)
        return _REPORTED


def _compare_dictionaries(caller: int) -> None:
    if caller > len(WORDS):
        message = f"inconsistent global dictionary versions used: mixer knows {len(WORDS)} words, caller knows {caller}"
        raise Refusal(Code.INTERNAL, message)
