"""The checks, by what they look at. Each yields its faults and knows nothing of the others."""
