"""What zipkin and jaeger share: spans with checked ids, sampling, and the way out over HTTP."""
