#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| turnbench_fuzz::observe::metrics(data));
