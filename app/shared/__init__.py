"""What workers tell each other: in memory for one, over Redis for several."""
