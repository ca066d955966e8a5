"""When to push what to whom. Pure: time is an argument."""
