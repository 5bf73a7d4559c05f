use std::fmt;
use std::path::PathBuf;

/// Something in an input file that is allowed and probably not meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Warning {
    /// The file, with the line where that says the place.
    pub path: PathBuf,
    /// JSON path, e.g. `prompt_input.num_tokens.maxx`.
    pub field: String,
    /// What about it, e.g. `is an unknown key and has no effect`.
    pub problem: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.path.display())?;
        if !self.field.is_empty() {
            write!(formatter, "{} ", self.field)?;
        }
        formatter.write_str(&self.problem)
    }
}
