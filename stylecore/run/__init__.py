"""One run: its problem, the compiled engine, the loop, snapshots and the result."""
