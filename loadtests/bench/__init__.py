"""What the gateway costs, measured against nginx on the same work in the same run."""
