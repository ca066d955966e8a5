"""xDS to plans: protobuf comes in, `engine.plan` values or a rejection that names resource and field go out."""
