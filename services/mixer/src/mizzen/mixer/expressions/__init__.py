"""The attribute expression language of Istio's Mixer: text to closures over a request's attributes.

lexer → parser → checker (types, against a vocabulary) → compiler. The syntax is that of Go's expressions; types and
functions are those of Istio 1.0, with the comparisons, `toLower` and `size` of 1.1. Everything knowable is decided
when an expression is compiled; an evaluation only reads attributes and compares.

Where Istio accepts what cannot be meant, this does not: an argument more than a function takes is an error here.
"""
