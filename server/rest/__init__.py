"""What every REST interface of ours has in common: errors, the page of its calls, the port."""
