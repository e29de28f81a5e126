"""The worker process: makes the pages that the service asks for, one at a time, under limits of its own."""
