"""`proxy-init`: programs the iptables rules that send a workload's traffic through its proxy, and removes them.

`flags` reads the command line into a `Settings`; `plan` makes the rules of it as values (`nat`, `mangle`, `dns`);
`state` compares them with what iptables says is there and writes the text for iptables-restore. None of these does
I/O. `iptables`, `network` and `probe` run programs and open sockets, and `program` is the order of it all.

It runs in every pod before anything else, so it imports the standard library and nothing more.
"""
