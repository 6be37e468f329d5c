"""Attacks and faults, by what they aim at; ``tests/test_abuse.py`` collects them, ``bench/abuse.py`` tabulates them."""
