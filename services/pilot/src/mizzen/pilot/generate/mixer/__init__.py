"""How proxies ask and tell Mixer: our own with its filter `mixer`, a stock Envoy with its authorization and logs."""
