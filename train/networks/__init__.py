"""What is trained and what stays frozen: encoders, heads, generators, recognition networks."""
