"""Stand-ins and helpers of the tests; as strict as what they stand for."""
