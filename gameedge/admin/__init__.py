"""`gameedge admin`: the operators' command line over the admin API."""
