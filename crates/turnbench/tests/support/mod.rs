//! What the tests of the binary share.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

pub mod answers;
pub mod bin;
pub mod case;
pub mod schema;
pub mod served;
pub mod stub;
