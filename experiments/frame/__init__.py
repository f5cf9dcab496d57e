"""Frame: how every experiment is asked for, made, kept, made again, drawn and told."""
