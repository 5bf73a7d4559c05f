//! turnbench-simserver

pub mod engine;
