"""Work that is done elsewhere: jobs in processes of this machine or on a cluster."""
