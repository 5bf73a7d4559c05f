//! turnbench-kvcache
