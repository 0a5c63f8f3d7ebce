//! forge-rca: the server and the command line
