"""Hours of half load with one per cent of every fault, sampled all along and audited at the end."""
