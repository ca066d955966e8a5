"""DNS names and e-mail addresses: which texts are one, and which two mean the same."""

from __future__ import annotations

import re

import idna

from mizzen.mixer.expressions.errors import EvaluationError

MAX_NAME = 253
MAX_LABEL = 63
_PLAIN_LABEL = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9]*[A-Za-z0-9])?")
_ATOM = r"[^\s()<>\[\]:;@\\,.\"\x00-\x1f\x7f]+"
_EMAIL = re.compile(rf'(?P<local>{_ATOM}(?:\.{_ATOM})*|"(?P<quoted>(?:[^"\\\r\n]|\\.)*)")@(?P<domain>[^\s@]+)')


def dns_name(text: str) -> str:
    """The text itself; raises EvaluationError where it is no DNS name."""
    canonical_name(text)
    return text


def same_dns_name(left: str, right: str) -> bool:
    """Whether two names mean one host: of any case, with or without the final dot."""
    return canonical_name(left) == canonical_name(right)


def canonical_name(text: str) -> str:
    """A DNS name in the one form that all its spellings have: lower case, in Unicode, without the final dot."""
    try:
        mapped = text.lower() if text.isascii() else idna.uts46_remap(text, std3_rules=True)
        labels = [_canonical_label(label) for label in mapped.removesuffix(".").split(".")]
    except (ValueError, IndexError) as error:  # idna's errors, and those of its Punycode decoder
        raise EvaluationError(f"error converting '{text}' to dns name: '{error}'") from None
    if len(mapped) > MAX_NAME + mapped.endswith("."):
        raise EvaluationError(f"error converting '{text}' to dns name: 'longer than {MAX_NAME} characters'")
    return ".".join(labels)


def _canonical_label(label: str) -> str:
    if len(label) > MAX_LABEL:
        raise ValueError(f'label "{label[:20]}..." has more than {MAX_LABEL} characters')
    if label.startswith("xn--") or not label.isascii():
        return idna.ulabel(label)
    if not _PLAIN_LABEL.fullmatch(label) or label[2:4] == "--":
        raise ValueError(f'invalid label "{label}"')
    return label


def email(text: str) -> str:
    """The text itself; raises EvaluationError where it is no address, or an address with a display name."""
    _email_parts(text)
    return text


def same_email(left: str, right: str) -> bool:
    """Whether two addresses mean one mailbox; what stands before the @ must be equal, quoted or not."""
    return _email_parts(left) == _email_parts(right)


def _email_parts(text: str) -> tuple[str, str]:
    """What stands before the @, without quotes, and the domain in its canonical form."""
    stripped = text.strip(" \t")
    if stripped.startswith("<") and stripped.endswith(">"):
        stripped = stripped[1:-1]
    found = _EMAIL.fullmatch(stripped)
    if found is None:
        reason = "display names are not allowed" if stripped.endswith(">") else "it is not of the form name@domain"
        raise EvaluationError(f"error converting '{text}' to e-mail: '{reason}'")
    try:
        domain = canonical_name(found["domain"])
    except EvaluationError as error:
        raise EvaluationError(f"error converting '{text}' to e-mail: '{error}'") from None
    quoted = found["quoted"]
    return found["local"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted), domain
