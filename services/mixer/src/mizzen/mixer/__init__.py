"""Policy and telemetry: every request is checked against rules and reported to back ends, as in Istio's Mixer.

Attributes of a request (`mizzen.attributes`) match rules, rules build instances of templates, adapters get the
instances. `server` has the protocols, `runtime` the rules in force, `config` what they are compiled from,
`expressions` the language they are written in, `adapters` the back ends, `app` the process.
"""
