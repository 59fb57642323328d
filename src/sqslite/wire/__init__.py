"""The REST wire: the JSON that server and client both know, and nothing that is only for one of them."""
