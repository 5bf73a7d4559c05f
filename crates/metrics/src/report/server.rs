use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use turnbench_model::{Figure, FigureReading, SampleStatistics, ServerFigures};

/// What the server said of itself over the run proper, and the few ratios that it gives. What is not
/// known is absent; `figures` has the reason as flags.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServerReport {
    /// Prompt tokens that the server took up; computed and cached ones added where it counts only
    /// those (llama.cpp).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<f64>,
    /// Those that it did not have to compute, from all tiers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<f64>,
    /// `cached_tokens` / `prompt_tokens`, 0..1, both from the same kind of server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_ratio: Option<f64>,
    /// Hits in the device's prefix cache / queries, in tokens, 0..1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix_cache_hit_ratio: Option<f64>,
    /// Hits behind the device / queries, in tokens, 0..1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_cache_hit_ratio: Option<f64>,
    /// Cached tokens by tier, from the device outwards; only tiers that the server reports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<TierShare>,
    /// Used part of the device's KV cache, 0..1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_usage: Option<SampleStatistics>,
    /// Requests in the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<SampleStatistics>,
    /// Preemptions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preemptions: Option<f64>,
    /// Everything that was read.
    pub figures: ServerFigures,
}

/// Cached tokens of one tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TierShare {
    /// `device`, `host`, `disk`, `peer` or `unspecified`.
    pub tier: String,
    /// Tokens in the run proper; absent when not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<f64>,
    /// Of the prompt tokens, 0..1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
}

/// Names of the tiers.
const TIERS: [(&str, Figure); 5] = [
    ("device", Figure::CachedTokensDevice),
    ("host", Figure::CachedTokensHost),
    ("disk", Figure::CachedTokensDisk),
    ("peer", Figure::CachedTokensPeer),
    ("unspecified", Figure::CachedTokensUnspecified),
];

impl ServerReport {
    /// Of the figures of a run.
    pub fn of(figures: ServerFigures) -> Self {
        let cached = figures.reading(Figure::CachedTokens);
        let prompt = prompt_tokens(&figures, cached);
        let cached_tokens = cached.and_then(|cached| cached.growth);
        let during = |figure| figures.reading(figure).and_then(|reading| reading.during);
        let tiers = TIERS.iter().filter_map(|(tier, figure)| {
            let tokens = figures.reading(*figure)?.growth;
            let ratio = ratio(tokens, prompt);
            Some(TierShare { tier: (*tier).to_owned(), tokens, ratio })
        });
        Self {
            prompt_tokens: prompt,
            cached_tokens,
            cached_ratio: ratio(cached_tokens, prompt),
            prefix_cache_hit_ratio: ratio_of(
                &figures,
                Figure::PrefixCacheHits,
                Figure::PrefixCacheQueries,
            ),
            external_cache_hit_ratio: ratio_of(
                &figures,
                Figure::ExternalCacheHits,
                Figure::ExternalCacheQueries,
            ),
            tiers: tiers.collect(),
            kv_usage: during(Figure::KvUsage),
            waiting: during(Figure::RequestsWaiting),
            preemptions: figures.growth(Figure::Preemptions),
            figures,
        }
    }

    /// Tokens of a block of the device's cache.
    pub fn block_tokens(&self) -> Option<u32> {
        self.gauge(Figure::KvBlockSize).map(|tokens| tokens as u32)
    }

    /// Tokens that the device's cache holds; of several engines, all of them together.
    pub fn device_capacity_tokens(&self) -> Option<u64> {
        let block = self.gauge(Figure::KvBlockSize);
        let blocks = || Some(self.gauge(Figure::KvCapacityBlocks)? * block?);
        let tokens = self.gauge(Figure::KvCapacityTokens).or_else(blocks)?;
        // Of vLLM's blocks one never holds anything (V1: the null block of its pool).
        let is_vllm =
            self.figures.readings.iter().any(|reading| {
                reading.dialect == "vllm" && reading.figure == Figure::KvCapacityBlocks
            });
        let unused = block.filter(|_| is_vllm).unwrap_or(0.0);
        Some((tokens - unused).max(0.0) as u64)
    }

    /// A gauge that stays as it is.
    fn gauge(&self, figure: Figure) -> Option<f64> {
        let reading = self.figures.reading(figure)?;
        reading.after.or(reading.before).filter(|value| *value > 0.0)
    }

    /// Whether any page of any source had a name that is known.
    pub fn is_reported(&self) -> bool {
        !self.figures.readings.is_empty()
    }
}

/// The prompt tokens, from the server that told the cached ones if it told both.
fn prompt_tokens(figures: &ServerFigures, cached: Option<&FigureReading>) -> Option<f64> {
    let Some(cached) = cached else { return figures.growth(Figure::PromptTokens) };
    let of_same = |figure| figures.readings_of(figure).find(|it| it.dialect == cached.dialect);
    match of_same(Figure::PromptTokens) {
        Some(prompt) => prompt.growth,
        None => Some(of_same(Figure::PromptTokensComputed)?.growth? + cached.growth?),
    }
}

fn ratio_of(figures: &ServerFigures, part: Figure, whole: Figure) -> Option<f64> {
    let (part, whole) = figures.pair(part, whole)?;
    ratio(part.growth, whole.growth)
}

fn ratio(part: Option<f64>, whole: Option<f64>) -> Option<f64> {
    Some(part? / whole.filter(|whole| *whole > 0.0)?)
}

#[cfg(test)]
mod tests {
    use turnbench_model::{Figure, FigureFlag, FigureReading, ServerFigures};

    use super::ServerReport;

    fn reading(figure: Figure, dialect: &str, growth: Option<f64>) -> FigureReading {
        FigureReading {
            figure,
            dialect: dialect.to_owned(),
            before: None,
            after: None,
            growth,
            warmup_growth: None,
            during: None,
            histogram: None,
            flags: growth.is_none().then_some(FigureFlag::NoAfter).into_iter().collect(),
            engines: Vec::new(),
            points: Vec::new(),
        }
    }

    fn report(readings: &[(Figure, &str, Option<f64>)]) -> ServerReport {
        let one = |(figure, dialect, growth): &(Figure, &str, Option<f64>)| {
            reading(*figure, dialect, *growth)
        };
        let readings = readings.iter().map(one).collect();
        ServerReport::of(ServerFigures { readings, ..ServerFigures::default() })
    }

    #[test]
    fn ratios_are_of_growth_and_of_one_kind_of_server() {
        let report = report(&[
            (Figure::PrefixCacheQueries, "vllm", Some(100.0)),
            (Figure::PrefixCacheHits, "lmcache", Some(99.0)),
            (Figure::PromptTokens, "lmcache", Some(1.0)),
            (Figure::PromptTokens, "vllm", Some(200.0)),
            (Figure::CachedTokens, "vllm", Some(50.0)),
            (Figure::CachedTokensHost, "vllm", Some(20.0)),
        ]);
        assert_eq!(report.prefix_cache_hit_ratio, None);
        assert_eq!((report.prompt_tokens, report.cached_ratio), (Some(200.0), Some(0.25)));
        assert_eq!((report.tiers[0].tier.as_str(), report.tiers[0].ratio), ("host", Some(0.1)));
        assert_eq!(report.tiers.len(), 1);
    }

    #[test]
    fn what_counts_more_than_once_is_not_claimed() {
        let twice = |figure, growth| FigureReading {
            flags: vec![FigureFlag::Repeated],
            ..reading(figure, "vllm", Some(growth))
        };
        let of = |more: &[FigureReading]| {
            let mut readings = vec![
                twice(Figure::PromptTokens, 200.0),
                twice(Figure::CachedTokens, 110.0),
                twice(Figure::CachedTokensHost, 100.0),
            ];
            readings.extend_from_slice(more);
            ServerReport::of(ServerFigures { readings, ..ServerFigures::default() })
        };
        let report = of(&[]);
        assert_eq!((report.prompt_tokens, report.cached_tokens), (None, None));
        assert_eq!((report.cached_ratio, report.tiers.len()), (None, 0));
        let router = [
            reading(Figure::PromptTokens, "dynamo", Some(100.0)),
            reading(Figure::CachedTokens, "dynamo", Some(10.0)),
        ];
        assert_eq!(of(&router).cached_ratio, Some(0.1));
    }

    #[test]
    fn computed_and_cached_tokens_make_a_prompt() {
        let report = report(&[
            (Figure::PromptTokensComputed, "llamacpp", Some(30.0)),
            (Figure::CachedTokens, "llamacpp", Some(10.0)),
        ]);
        assert_eq!((report.prompt_tokens, report.cached_ratio), (Some(40.0), Some(0.25)));
    }

    #[test]
    fn what_is_not_known_stays_absent() {
        let report = report(&[
            (Figure::PromptTokens, "vllm", Some(0.0)),
            (Figure::CachedTokens, "vllm", Some(0.0)),
            (Figure::CachedTokensDevice, "vllm", None),
            (Figure::Preemptions, "vllm", None),
        ]);
        assert_eq!((report.cached_ratio, report.preemptions), (None, None));
        assert_eq!((report.tiers[0].tokens, report.is_reported()), (None, true));
        assert!(!ServerReport::of(ServerFigures::default()).is_reported());
    }
}
