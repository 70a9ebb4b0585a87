"""Admission: authentication, rate limits, client counts and call logs."""
