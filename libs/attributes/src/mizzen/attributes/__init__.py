"""Attributes: typed facts about one request or connection, as Istio's Mixer names them.

Proxies produce them, Mixer decides by them, and both put them on the wire in the same compressed form.
"""
