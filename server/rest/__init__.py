"""What all REST interfaces share: errors, the page of their calls, the port."""
