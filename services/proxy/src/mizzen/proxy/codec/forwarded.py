"""The client behind other proxies, by what those wrote into x-forwarded-for."""

from __future__ import annotations

from ipaddress import ip_address

from mizzen.proxy.codec.headers import Head, value_of


def client_behind(head: Head, proxies: int) -> str:
    """Whom the last of so many proxies before us has seen, as an IP address.

    Empty where the header has fewer members, or no address there: then nobody has vouched for one. As in Envoy.
    """
    value = value_of(head, b"x-forwarded-for")
    if not value or not proxies:
        return ""
    members = value.split(b",")
    if len(members) < proxies:
        return ""
    try:
        return str(ip_address(members[-proxies].strip().decode("ascii")))
    except ValueError:
        return ""
