"""The local runtime: a mesh as ordinary processes of one user on loopback addresses.

It plays the parts of Kubernetes that this needs: `desired` and `reconcile` decide which pods there should be (the
Deployment controller), `pod` runs one (the kubelet), `endpoints` says who serves what (the endpoints controller).
`supervisor` is the process that holds them together; everything else in here is a value, a decision or one device.
"""
