"""A stand-in for Baidu's cloud OCR: speaks its protocol, keeps its quotas, counts everything, fails on command."""
