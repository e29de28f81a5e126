"""An open-loop load on a running pair: arrivals by a schedule, and how long each took from when it was due."""
