//! What the tests of the binary share.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

pub mod bin;
pub mod stub;
