"""What starts sqslite and what speaks to it: settings, container, server, sweeper, REST, command line."""
