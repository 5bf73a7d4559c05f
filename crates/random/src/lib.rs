//! Random streams that repeat other programs' draws exactly.
//!
//! Floor 0: it draws numbers and nothing else. [`NumpyStream`] repeats numpy's legacy
//! `RandomState`, [`PythonStream`] repeats CPython's `random` module; both stand on [`Mt19937`].
//! It has no thread-local or time-seeded generator: every stream starts from a given seed.
//!
//! ```
//! use turnbench_random::{NumpyStream, PythonStream};
//!
//! let mut numpy = NumpyStream::new(0);
//! assert_eq!(numpy.random_sample(), 0.548_813_503_927_324_8);
//! let mut python = PythonStream::new(0);
//! assert_eq!(python.random(), 0.844_421_851_525_048_1);
//! assert!(python.choice(&["a", "b", "c"]).is_some());
//! ```
//!
//! Integers, doubles and uniform draws are exact on every platform. Exponential, normal,
//! lognormal, zipf and poisson draws call `ln`, `exp`, `pow` of the platform's C library through
//! `std`, as numpy does: they equal numpy's bit for bit where both use the same library (recorded
//! with glibc 2.36 on x86-64) and may differ in the last bit elsewhere.

mod error;
mod mt19937;
mod numpy;
mod pairwise;
mod poisson;
mod python;
mod zipf;

pub use error::RandomError;
pub use mt19937::Mt19937;
pub use numpy::NumpyStream;
pub use pairwise::pairwise_sum;
pub use python::PythonStream;
