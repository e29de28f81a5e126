"""What may be spent: budgets a day, reserved before a call and settled after it, of one process or of all replicas."""
