//! The command line: one file a subcommand. Parses, asks the rooms, prints; decides nothing.
