"""What each caller's key may spend: calls and tokens a minute, calls at a time, money."""
