"""Everything on one machine: servers and processes as children, on loopback, that die with their parent."""
