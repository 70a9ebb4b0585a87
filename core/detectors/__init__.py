"""Sequential tests on cell counts, with a stated rate of false alarms."""
