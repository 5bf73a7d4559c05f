use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Figure, Nanos};

/// What a server said of itself over a run: the answer of every URL that was asked, in one.
///
/// **Invariant:** a figure that is not known is absent, or has no value and flags that say why. It
/// is never 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServerFigures {
    /// Who was asked, in the order asked.
    pub sources: Vec<MetricsSource>,
    /// Every figure that was found, ascending; the same figure from several kinds of servers once
    /// for each, the engine's own before caches' and routers'.
    pub readings: Vec<FigureReading>,
}

impl ServerFigures {
    /// A figure, from whatever reported it: an engine before its cache, and that before a router.
    /// One that counts something more than once ([`FigureFlag::Repeated`]) is passed over.
    pub fn reading(&self, figure: Figure) -> Option<&FigureReading> {
        self.readings_of(figure).next()
    }

    /// Two figures from the same kind of server.
    pub fn pair(&self, one: Figure, other: Figure) -> Option<(&FigureReading, &FigureReading)> {
        let mut ones = self.readings_of(one);
        ones.find_map(|one| {
            Some((one, self.readings_of(other).find(|it| it.dialect == one.dialect)?))
        })
    }

    /// A figure from every kind of server that reported it, those with [`FigureFlag::Repeated`]
    /// passed over.
    pub fn readings_of(&self, figure: Figure) -> impl Iterator<Item = &FigureReading> {
        let is_it = move |it: &&FigureReading| it.figure == figure && !it.has(FigureFlag::Repeated);
        self.readings.iter().filter(is_it)
    }

    /// Growth of a counter over the run proper.
    pub fn growth(&self, figure: Figure) -> Option<f64> {
        self.reading(figure)?.growth
    }
}

/// A URL that was asked for metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MetricsSource {
    /// The URL.
    pub url: String,
    /// Kinds of servers whose names were on its pages: `vllm`, `lmcache`, …
    pub dialects: Vec<String>,
    /// Pages that came.
    pub pages: u64,
    /// Questions without one.
    pub failures: u64,
    /// Why, of the first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_failure: Option<String>,
    /// Lines that could not be understood, on the page that had most of them.
    pub bad_lines: u64,
    /// Series over the limit, left out, on the page that had most of them.
    pub left_out: u64,
}

/// One figure over a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FigureReading {
    /// Which.
    pub figure: Figure,
    /// Kind of server whose names it was read from.
    pub dialect: String,
    /// Value just before the run proper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<f64>,
    /// Value after the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<f64>,
    /// What a counter (a histogram: its sum) grew by in the run proper. `None`: see the flags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub growth: Option<f64>,
    /// The same in the warm-up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup_growth: Option<f64>,
    /// A gauge's values from just before the run proper to after the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub during: Option<SampleStatistics>,
    /// What a histogram grew by in the run proper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub histogram: Option<HistogramGrowth>,
    /// What to know about these numbers, or why one is missing; ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<FigureFlag>,
    /// Each engine's own part, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub engines: Vec<EngineReading>,
    /// The value over time (of several engines as [`FigureDefinition::combination`] says); empty for
    /// histograms. Not serialised: the samples in the run directory say it.
    ///
    /// [`FigureDefinition::combination`]: crate::FigureDefinition::combination
    #[serde(skip)]
    pub points: Vec<FigurePoint>,
}

impl FigureReading {
    /// Whether a flag is set.
    pub fn has(&self, flag: FigureFlag) -> bool {
        self.flags.contains(&flag)
    }
}

/// A figure at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FigurePoint {
    /// When, since the run's epoch.
    pub at_ns: Nanos,
    /// Value.
    pub value: f64,
}

/// A gauge over the samples of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SampleStatistics {
    /// Samples, at least 1.
    pub samples: u64,
    /// Smallest value.
    pub min: f64,
    /// Mean over the samples, which are evenly spaced but for the first and last.
    pub mean: f64,
    /// Largest value seen; between two samples it may have been larger.
    pub max: f64,
}

/// What a histogram grew by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HistogramGrowth {
    /// Values added. `None`: the server counts their sum only, or it is not known.
    pub count: Option<f64>,
    /// Their sum.
    pub sum: Option<f64>,
    /// Upper bounds of the buckets, ascending, without the endless one, and the values added that
    /// are not above each (cumulative). Empty where the engines' buckets differ.
    pub buckets: Vec<(f64, f64)>,
}

/// One engine's part of a figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EngineReading {
    /// Number or name of the engine, as its labels say; with several URLs, the URL before it.
    pub engine: String,
    /// Value just before the run proper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<f64>,
    /// Value after the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<f64>,
    /// Growth of a counter in the run proper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub growth: Option<f64>,
    /// Largest value of a gauge that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
}

/// What to know about a figure, or why its growth is not known.
#[derive(
    Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FigureFlag {
    /// There was no page just before the run proper: growth is not known.
    NoBefore,
    /// There was no page after the last answer: growth is not known.
    NoAfter,
    /// A series that was there is gone from the last page: growth is not known.
    Vanished,
    /// The first or the last value is no finite number: growth is not known.
    NotANumber,
    /// A counter fell, or its creation time moved: the server was started anew, and what it counted
    /// between the last page before that and its end is missing. The growth is at least this.
    Restarted,
    /// A series was not there at first; servers show some only once there is something to count. It
    /// counts from 0.
    Appeared,
    /// An engine was on several pages, or several of its ranks told of the same requests: counted
    /// once.
    CountedOnce,
    /// Requests or engines count more than once in it, and what is too much is not known: prompts
    /// pass from an engine for prefill to one for decoding, or two pages tell of the same engine.
    Repeated,
    /// Different servers answered, as behind a load balancer: growth is not known.
    Alternating,
    /// The server brings it up to date only every few seconds: what was counted last is missing, and
    /// what was counted just before the run may be in it.
    Lagging,
}
