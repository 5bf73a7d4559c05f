//! One table with every number that turnbench shows. Headings, tool tips and `docs/metrics.md`
//! are made from it.

mod cache;
mod printed;
mod reference;
mod request;
mod run;

pub(crate) use printed::{PRINTED, Printed};

/// Every definition, in the order in which they are documented.
pub fn definitions() -> impl Iterator<Item = &'static Definition> {
    [reference::DEFINITIONS, request::DEFINITIONS, cache::DEFINITIONS, run::DEFINITIONS]
        .into_iter()
        .flatten()
}

/// What one number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its name in tables, JSON and exports.
    pub id: &'static str,
    /// Unit, empty for a plain count.
    pub unit: &'static str,
    /// Heading for people.
    pub title: &'static str,
    /// What exactly it is, in words.
    pub meaning: &'static str,
    /// What it is computed from.
    pub source: Source,
    /// Where it is shown.
    pub group: Group,
}

/// What a number is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The client's own time stamps.
    Stamps,
    /// The server's `usage`.
    Usage,
    /// The local tokenizer, in the reference-compatible mode; else as its meaning says.
    Tokens,
    /// What was sent, received and counted by the client.
    Client,
    /// The prompts, made anew after the run, and the cache that is replayed with them.
    Prompts,
}

impl Source {
    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stamps => "client time stamps",
            Self::Usage => "server usage",
            Self::Tokens => "token counts",
            Self::Client => "client counts",
            Self::Prompts => "prompts made anew",
        }
    }
}

/// Where numbers belong; also the order of the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// One value for each request, as the reference has it.
    Reference,
    /// One value for each request, ours.
    Request,
    /// One value for each run or table.
    Run,
    /// By turn of the conversation.
    Turn,
    /// About the client itself.
    Client,
}

impl Group {
    /// Every group, in order.
    pub const ALL: [Self; 5] =
        [Self::Reference, Self::Request, Self::Run, Self::Turn, Self::Client];

    /// Heading in the documentation.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Reference => "For each request, as the reference has it",
            Self::Request => "For each request, further",
            Self::Run => "For a run",
            Self::Turn => "By turn",
            Self::Client => "About the client itself",
        }
    }
}

/// The definition of `id`, if there is one.
pub fn definition(id: &str) -> Option<&'static Definition> {
    definitions().find(|definition| definition.id == id)
}

const fn define(
    id: &'static str,
    unit: &'static str,
    title: &'static str,
    source: Source,
    group: Group,
    meaning: &'static str,
) -> Definition {
    Definition { id, unit, title, meaning, source, group }
}

#[cfg(test)]
mod tests {
    use super::{definition, definitions};

    #[test]
    fn ids_are_unique_and_carry_their_unit() {
        for (index, one) in definitions().enumerate() {
            assert!(definitions().take(index).all(|other| other.id != one.id), "{}", one.id);
            match one.unit {
                "ms" => assert!(one.id.ends_with("_ms"), "{}", one.id),
                "s" => assert!(one.id.ends_with("_sec"), "{}", one.id),
                "1/s" | "tokens/s" => assert!(one.id.ends_with("_per_sec"), "{}", one.id),
                "0..1" => assert!(one.id.ends_with("_ratio"), "{}", one.id),
                _ => assert!(!one.id.ends_with("_ms"), "{}", one.id),
            }
        }
        assert!(definition("ttft_ms").is_some());
        assert!(definition("nonsense").is_none());
    }
}
