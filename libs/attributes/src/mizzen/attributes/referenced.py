"""What a decision has read, as `istio.mixer.v1.ReferencedAttributes`."""

from __future__ import annotations

from mizzen.attributes.bag import Reference, References
from mizzen.attributes.errors import InvalidAttributes
from mizzen.attributes.words import WORDS, Indices, word_table
from mizzen.proto.mixer_pb2 import ReferencedAttributes


def encode_references(references: References, global_words: int = len(WORDS)) -> ReferencedAttributes:
    """For a caller that knows the first `global_words` of the global dictionary."""
    message = ReferencedAttributes()
    indices = Indices(global_words)
    for reference, present in references.items():
        match = message.attribute_matches.add()
        match.condition = ReferencedAttributes.EXACT if present else ReferencedAttributes.ABSENCE
        if isinstance(reference, str):
            match.name = indices[reference]
        else:
            name, key = reference
            match.name = indices[name]
            # A map_key of 0 means that there is none: the word 0 must come from the message.
            match.map_key = indices[key] or indices.__missing__(key)
    message.words.extend(word.decode() for word in indices.words)
    return message


def decode_references(message: ReferencedAttributes) -> References | None:
    """What to keep a result by; None where it cannot be kept, because it depends on values by pattern.

    Raises InvalidAttributes for an index without a word.
    """
    words = word_table(word.encode() for word in message.words)
    references: dict[Reference, bool] = {}
    try:
        for match in message.attribute_matches:
            condition = match.condition
            if condition not in (ReferencedAttributes.EXACT, ReferencedAttributes.ABSENCE):
                return None
            name = words[match.name]
            reference = (name, words[match.map_key]) if match.map_key else name
            references[reference] = condition == ReferencedAttributes.EXACT
    except KeyError as error:
        raise InvalidAttributes(
            f"attribute index {error.args[0]} is not defined in the available dictionaries"
        ) from error
    return references
