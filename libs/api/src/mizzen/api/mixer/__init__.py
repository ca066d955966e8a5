"""Mixer's kinds: `config.istio.io/v1alpha2` of Istio 1.0, with what 1.1 added to rules, handlers and instances.

Source: policy/v1beta1, mixer/v1/config/client and mixer/template of istio/api and istio/istio at 1.0.9 and 1.1.17.
Attribute expressions are text here; Mixer compiles them against the attributes that a mesh has.
"""
