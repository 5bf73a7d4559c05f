//! turnbench-socket
