"""Long runs by hand, which no suite waits for."""
