"""Days of a pool in virtual time: what would become of these calls on these accounts."""
