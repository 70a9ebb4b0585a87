"""`gnomon registry`: find, name, compare and trace versions."""
