"""What programs that use sqslite import."""
