"""Other gateways beside this one: the same work, on the same machine, in the same run."""
