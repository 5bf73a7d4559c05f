//! turnbench-report
