#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| turnbench_fuzz::client::chat_batches(data));
