use std::fmt;

use serde_json::Value;
use turnbench_model::python_json::float_repr;

/// A JSON number, which counts differently as an integer and as a float.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Written without a decimal point or exponent.
    Int(i64),
    /// Written as a float, or an integer beyond 64 bits.
    Float(f64),
}

impl Number {
    /// The number that a JSON value is.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        let number = value.as_number()?;
        number.as_i64().map(Self::Int).or_else(|| number.as_f64().map(Self::Float))
    }

    /// As a double.
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    /// The integer part; beyond 64 bits the nearest 64-bit integer.
    pub(crate) fn truncated(self) -> i64 {
        match self {
            Self::Int(value) => value,
            Self::Float(value) => value as i64,
        }
    }
}

/// As Python's `str` writes it.
impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => write!(formatter, "{value}"),
            Self::Float(value) => formatter.write_str(&float_repr(*value)),
        }
    }
}
