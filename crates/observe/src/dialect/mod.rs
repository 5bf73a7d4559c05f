//! What each kind of server calls its figures: one file a kind, a table of names.

mod dynamo;
mod llamacpp;
mod lmcache;
mod sglang;
mod trtllm;
mod vllm;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use turnbench_model::{Figure, FigureKind, FigureUnit};

use crate::series::SeriesName;

/// A kind of server.
#[derive(Debug)]
pub(crate) struct Dialect {
    /// Its name in reports.
    pub(crate) name: &'static str,
    /// What it calls its figures. Of several names for a figure the first that is there counts, so
    /// that a newer name goes before an older one that is still shown beside it.
    pub(crate) rules: &'static [Rule],
    /// Labels that tell an engine's ranks apart, each of which counts the same requests.
    pub(crate) rank_labels: &'static [&'static str],
    /// Whether its counters are brought up to date only every few seconds.
    pub(crate) is_lagging: bool,
}

impl Dialect {
    const fn new(name: &'static str, rules: &'static [Rule]) -> Self {
        Self { name, rules, rank_labels: &[], is_lagging: false }
    }

    /// Whether of the ranks of an engine one tells the whole figure, as `series` has it. Bytes each
    /// has of its own, and moves them in its own time.
    pub(crate) fn adds_no_rank(&self, series: &SeriesName, figure: Figure) -> bool {
        let definition = figure.definition();
        let is_own = definition.unit == FigureUnit::Bytes
            || (definition.kind, definition.unit) == (FigureKind::Counter, FigureUnit::Seconds);
        !is_own && self.rank_labels.iter().any(|label| series.label(label).is_some())
    }
}

/// Every kind of server, in the order in which they are believed: engines, what caches for them, and
/// what stands before them.
pub(crate) const DIALECTS: &[&Dialect] = &[
    &vllm::DIALECT,
    &sglang::DIALECT,
    &trtllm::DIALECT,
    &llamacpp::DIALECT,
    &lmcache::DIALECT,
    &dynamo::DIALECT,
];

/// A name, and the figure that it stands for.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) figure: Figure,
    /// As the server writes it, without `_total`, `_sum`, `_count` and `_bucket`.
    name: &'static str,
    /// Only series with this label.
    only: Option<(&'static str, Values)>,
    part: Part,
}

/// Values of a label.
#[derive(Clone, Copy, Debug)]
enum Values {
    /// These.
    Of(&'static [&'static str]),
    /// Those that begin so.
    StartingWith(&'static str),
    /// Those that do not.
    NotStartingWith(&'static str),
}

impl Values {
    fn has(self, value: &str) -> bool {
        match self {
            Self::Of(values) => values.contains(&value),
            Self::StartingWith(start) => value.starts_with(start),
            Self::NotStartingWith(start) => !value.starts_with(start),
        }
    }
}

/// Where a series has the figure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    /// In its value.
    Value,
    /// In the value of `NAME_sum`.
    Sum,
    /// In all series of a histogram.
    Histogram,
    /// In a label of that name.
    Label(&'static str),
}

const fn value(figure: Figure, name: &'static str) -> Rule {
    Rule { figure, name, only: None, part: Part::Value }
}

const fn labelled(
    figure: Figure,
    name: &'static str,
    label: &'static str,
    values: &'static [&'static str],
) -> Rule {
    Rule { figure, name, only: Some((label, Values::Of(values))), part: Part::Value }
}

const fn sum(figure: Figure, name: &'static str) -> Rule {
    Rule { figure, name, only: None, part: Part::Sum }
}

const fn histogram(figure: Figure, name: &'static str) -> Rule {
    Rule { figure, name, only: None, part: Part::Histogram }
}

const fn in_label(figure: Figure, name: &'static str, label: &'static str) -> Rule {
    Rule { figure, name, only: None, part: Part::Label(label) }
}

/// What a series says of a figure.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Role {
    /// The figure itself; of a histogram its sum.
    Value,
    /// A histogram's count.
    Count,
    /// A histogram's bucket with this upper bound, as bits of a number not below 0.
    Bucket(u64),
}

/// A rule found by a name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// Index in [`DIALECTS`].
    pub(crate) dialect: usize,
    /// Index of the first rule with the same name and figure: the smaller, the more it counts.
    pub(crate) rank: usize,
    pub(crate) rule: &'static Rule,
    suffix: Suffix,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Suffix {
    None,
    Sum,
    Count,
    Bucket,
}

/// A series' place among the figures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) dialect: usize,
    pub(crate) rank: usize,
    pub(crate) figure: Figure,
    pub(crate) role: Role,
    /// The value, where a label has it.
    pub(crate) value: Option<f64>,
}

/// Rules by the names of their series, spelled as [`plain`] does.
static BY_NAME: LazyLock<BTreeMap<String, Vec<Found>>> = LazyLock::new(|| {
    let mut by_name: BTreeMap<String, Vec<Found>> = BTreeMap::new();
    for (dialect, kind) in DIALECTS.iter().enumerate() {
        for rule in kind.rules {
            let alike = |other: &Rule| (other.name, other.figure) == (rule.name, rule.figure);
            let rank = kind.rules.iter().position(alike).unwrap_or_default();
            let suffixes: &[(&str, Suffix)] = match rule.part {
                Part::Value | Part::Label(_) => &[("", Suffix::None)],
                Part::Sum => &[("_sum", Suffix::Sum)],
                Part::Histogram => {
                    &[("_sum", Suffix::Sum), ("_count", Suffix::Count), ("_bucket", Suffix::Bucket)]
                }
            };
            for (text, suffix) in suffixes {
                let found = Found { dialect, rank, rule, suffix: *suffix };
                by_name.entry(plain(rule.name) + text).or_default().push(found);
            }
        }
    }
    by_name
});

/// A name with `_` for `:`, as exporters and relabelling write it.
fn plain(name: &str) -> String {
    name.replace(':', "_")
}

/// The rules of a series' name, with and without `_total`.
pub(crate) fn rules(name: &str) -> impl ExactSizeIterator<Item = &'static Found> {
    let name = plain(name);
    let short = name.strip_suffix("_total");
    let found = short.and_then(|name| BY_NAME.get(name)).or_else(|| BY_NAME.get(&name));
    found.map(Vec::as_slice).unwrap_or_default().iter()
}

/// The figures that a series has a part in.
pub(crate) fn places(series: &SeriesName) -> Vec<Place> {
    rules(&series.name).filter_map(|found| place(found, series)).collect()
}

fn place(found: &Found, series: &SeriesName) -> Option<Place> {
    let rule = found.rule;
    if let Some((label, values)) = rule.only
        && !series.label(label).is_some_and(|value| values.has(value))
    {
        return None;
    }
    let role = match found.suffix {
        Suffix::None | Suffix::Sum => Role::Value,
        Suffix::Count => Role::Count,
        Suffix::Bucket => {
            let bound: f64 = series.label("le")?.parse().ok()?;
            // The endless bucket is the count.
            Role::Bucket((bound.is_finite() && bound >= 0.0).then_some(bound.to_bits())?)
        }
    };
    let value = match rule.part {
        Part::Label(label) => Some(series.label(label)?.parse().ok()?),
        Part::Value | Part::Sum | Part::Histogram => None,
    };
    Some(Place { dialect: found.dialect, rank: found.rank, figure: rule.figure, role, value })
}

/// The series whose creation time a series says, without labels: `NAME_created` of a counter or
/// histogram that is in a table.
pub(crate) fn created_name(name: &str) -> Option<String> {
    Some(plain(name.strip_suffix("_created")?))
}

/// The name under which [`created_name`] finds a counted series.
pub(crate) fn counted_name(name: &str) -> String {
    let name = plain(name);
    let ends = ["_total", "_sum", "_count", "_bucket"];
    let short = ends.iter().find_map(|end| name.strip_suffix(end)).map(str::to_owned);
    short.unwrap_or(name)
}

/// Whether a figure is counted up.
pub(crate) fn is_counted(figure: Figure) -> bool {
    figure.definition().kind != FigureKind::Gauge
}

/// Labels that tell servers, workers and engines apart, from the outside in.
const ENGINE_LABELS: [&str; 9] = [
    "worker_addr",
    "server",
    "instance",
    "pod",
    "worker",
    "worker_id",
    "engine_type",
    "dp_rank",
    "engine",
];

/// The engine that a series is about: all labels that say so.
pub(crate) fn engine(series: &SeriesName) -> String {
    let labels = ENGINE_LABELS.iter().filter_map(|label| series.label(label));
    // An engine for both prefill and decoding needs no telling apart.
    labels.filter(|value| !matches!(*value, "" | "unified")).collect::<Vec<_>>().join(" ")
}

/// The part of a request that an engine does, where each goes through two (SGLang).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Stage {
    /// Its prompt.
    Prefill,
    /// Its answer.
    Decode,
}

/// What part of a request the engine of a series does, where that is told.
pub(crate) fn stage(series: &SeriesName) -> Option<Stage> {
    match series.label("engine_type")? {
        "prefill" => Some(Stage::Prefill),
        "decode" => Some(Stage::Decode),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use turnbench_model::Figure;

    use super::{DIALECTS, places};
    use crate::series::SeriesName;

    fn figures(series: &str) -> Vec<Figure> {
        places(&SeriesName::parse(series).unwrap()).iter().map(|place| place.figure).collect()
    }

    #[test]
    fn names_are_known_with_either_prefix_and_with_and_without_total() {
        for name in
            ["sglang:prompt_tokens_total", "sglang_prompt_tokens_total", "sglang_prompt_tokens"]
        {
            assert_eq!(figures(name), [Figure::PromptTokens], "{name}");
        }
        assert!(figures("sglang_prompt").is_empty());
    }

    #[test]
    fn labels_choose_the_figure() {
        let cached = |source: &str| {
            figures(&format!("vllm:prompt_tokens_cached_by_source_total{{source=\"{source}\"}}"))
        };
        assert_eq!(cached("host"), [Figure::CachedTokensHost]);
        assert_eq!(cached("new"), []);
    }

    #[test]
    fn no_two_kinds_of_servers_share_a_name() {
        for (at, dialect) in DIALECTS.iter().enumerate() {
            for rule in dialect.rules {
                let found = super::rules(rule.name).all(|found| found.dialect == at);
                assert!(found, "{}", rule.name);
            }
        }
    }
}
