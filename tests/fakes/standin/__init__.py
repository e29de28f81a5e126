"""Stand-ins for OCR services: each speaks its vendor's protocol, keeps quotas, counts everything, fails on command."""
