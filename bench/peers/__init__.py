"""The proxies that are compared, and the Pilot that configures Mizzen and Envoy."""
