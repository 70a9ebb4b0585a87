"""The comparison of fingerprints and profiles runs, without its peers, in a small size."""

from gnomon.bench.data.datasets import main


def test_it_measures_and_prints(capsys):
    small = ["--files", "20", "--rows", "2000", "--large-mib", "1", "--rounds", "1"]
    assert main([*small, "--workers", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7
    assert all("CPU s" in line for line in lines)
