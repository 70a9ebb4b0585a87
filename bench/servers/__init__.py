"""Servers beside their peers, under load, while they change and while they are attacked."""
