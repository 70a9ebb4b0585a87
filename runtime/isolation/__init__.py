"""What a process gives up before it touches a file of others: files, network, processes."""
