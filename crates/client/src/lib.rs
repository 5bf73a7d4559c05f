//! turnbench-client
