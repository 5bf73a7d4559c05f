use std::collections::BTreeMap;

use turnbench_model::Nanos;

use crate::describe::{Describe, Percentile, fraction_of, quantile_of};

/// Low bits of a value that tell it from the others of its page.
const PAGE_BITS: u32 = 16;
/// Values that a page spans.
const PAGE_VALUES: usize = 1 << PAGE_BITS;
/// Samples at which a page of counters (a byte for each value) is as small as the list (2 bytes for
/// each sample).
const LISTED_MAX: usize = PAGE_VALUES / 2;

/// Spans of which an exact description is wanted, however many they are.
///
/// A sample costs two bytes, and nothing more once there are some ten thousand of about the same
/// size (within 65.5 µs): from then on its value is only counted. So the size is bounded by how far
/// the values spread, not by their number: 64 KiB for each 65.5 µs that they fill, until values come
/// more than 255 times. The order in which they came is lost, and no number depends on it.
#[derive(Clone, Debug, Default)]
pub struct NanosSamples {
    /// By the high bits of the value.
    pages: BTreeMap<u64, Page>,
    count: u64,
    sum_ns: u128,
}

impl Extend<Nanos> for NanosSamples {
    /// Adds samples; successive ones of about the same size go fastest.
    fn extend<T: IntoIterator<Item = Nanos>>(&mut self, samples: T) {
        let mut samples = samples.into_iter().peekable();
        while let Some(first) = samples.next() {
            let high = first.0 >> PAGE_BITS;
            let page = self.pages.entry(high).or_insert(Page::Listed(Vec::new()));
            let mut next = Some(first);
            while let Some(sample) = next {
                page.add(sample.0 as u16);
                self.count += 1;
                self.sum_ns += u128::from(sample.0);
                next = samples.next_if(|sample| sample.0 >> PAGE_BITS == high);
            }
        }
    }
}

/// Samples whose values have the same high bits.
#[derive(Clone, Debug)]
enum Page {
    /// Low bits of each sample, in any order.
    Listed(Vec<u16>),
    /// How often each value came.
    Counted(Counters),
}

impl NanosSamples {
    /// Adds a sample.
    pub fn add(&mut self, sample: Nanos) {
        self.extend([sample]);
    }

    /// Samples so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Describes the samples in ms. Percentiles are those of [`Describe::of_all`] to the last bit;
    /// mean and standard deviation come from sums of whole nanoseconds, so that the order of the
    /// samples does not show in them.
    pub fn describe_ms(&mut self, percents: &[f64]) -> Describe {
        for page in self.pages.values_mut() {
            page.sort();
        }
        let at = |rank: usize| self.at(rank as u64).as_millis_f64();
        let count = self.count as usize;
        let percentile = |&percent: &f64| Percentile {
            percent,
            value: quantile_of(count, fraction_of(percent), at),
        };
        Describe {
            count: self.count,
            mean: (count > 0).then(|| self.sum_ns as f64 / self.count as f64 / 1e6),
            std: (count > 1).then(|| self.std_ns() / 1e6),
            min: (count > 0).then(|| at(0)),
            percentiles: percents.iter().map(percentile).collect(),
            max: count.checked_sub(1).map(at),
        }
    }

    /// The sample of a rank (from 0) among the sorted pages; zero beyond the last one.
    fn at(&self, rank: u64) -> Nanos {
        let mut left = rank;
        for (high, page) in &self.pages {
            if left < page.samples() {
                return Nanos((high << PAGE_BITS) | u64::from(page.at(left)));
            }
            left -= page.samples();
        }
        Nanos::ZERO
    }

    /// Standard deviation with n - 1, of at least two samples. Squares are summed around a whole
    /// number next to the mean, and the rest is subtracted.
    fn std_ns(&self) -> f64 {
        let count = u128::from(self.count);
        let centre = (self.sum_ns / count) as u64;
        let mut squares = 0_u128;
        for (high, page) in &self.pages {
            page.for_each(|low, times| {
                let distance = u128::from(((high << PAGE_BITS) | u64::from(low)).abs_diff(centre));
                squares = squares.saturating_add(distance * distance * u128::from(times));
            });
        }
        let rest = (self.sum_ns % count) as f64;
        ((squares as f64 - rest * rest / count as f64) / (count - 1) as f64).max(0.0).sqrt()
    }
}

/// How often each value of a page came.
#[derive(Clone, Debug)]
struct Counters {
    /// By the low bits of the value, modulo 256.
    counts: Vec<u8>,
    /// The rest: how often a counter went round.
    rounds: BTreeMap<u16, u64>,
    samples: u64,
}

impl Page {
    fn add(&mut self, low: u16) {
        match self {
            Self::Listed(list) if list.len() < LISTED_MAX => list.push(low),
            Self::Listed(list) => {
                let mut counters = Counters::new();
                for &listed in list.iter().chain([&low]) {
                    counters.add(listed);
                }
                *self = Self::Counted(counters);
            }
            Self::Counted(counters) => counters.add(low),
        }
    }

    fn samples(&self) -> u64 {
        match self {
            Self::Listed(list) => list.len() as u64,
            Self::Counted(counters) => counters.samples,
        }
    }

    fn sort(&mut self) {
        if let Self::Listed(list) = self {
            list.sort_unstable();
        }
    }

    /// The low bits of the sample of a rank that the page has; it is sorted.
    fn at(&self, rank: u64) -> u16 {
        match self {
            Self::Listed(list) => list[rank as usize],
            Self::Counted(counters) => {
                let mut below = 0;
                let mut reached = counters.iter().skip_while(|(_, times)| {
                    below += times;
                    below <= rank
                });
                reached.next().map_or(u16::MAX, |(low, _)| low)
            }
        }
    }

    /// Calls back with values and how often they came.
    fn for_each(&self, mut seen: impl FnMut(u16, u64)) {
        match self {
            Self::Listed(list) => list.iter().for_each(|&low| seen(low, 1)),
            Self::Counted(counters) => counters.iter().for_each(|(low, times)| seen(low, times)),
        }
    }
}

impl Counters {
    fn new() -> Self {
        Self { counts: vec![0; PAGE_VALUES], rounds: BTreeMap::new(), samples: 0 }
    }

    fn add(&mut self, low: u16) {
        let count = &mut self.counts[usize::from(low)];
        *count = count.wrapping_add(1);
        if *count == 0 {
            *self.rounds.entry(low).or_default() += 1;
        }
        self.samples += 1;
    }

    /// Values that came, ascending, and how often.
    fn iter(&self) -> impl Iterator<Item = (u16, u64)> {
        let counts = (0..=u16::MAX).zip(&self.counts);
        let times = |(low, &count): (u16, &u8)| {
            let rounds = self.rounds.get(&low).copied().unwrap_or_default();
            (low, (rounds << 8) | u64::from(count))
        };
        counts.map(times).filter(|&(_, times)| times > 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
    use turnbench_model::Nanos;

    use super::{LISTED_MAX, NanosSamples, Page};
    use crate::{Describe, percents_for};

    fn samples(values: &[u64]) -> NanosSamples {
        let mut samples = NanosSamples::default();
        for &value in values {
            samples.add(Nanos(value));
        }
        samples
    }

    /// Against the description of a plain list.
    fn check(values: &[u64]) {
        let percents = percents_for(values.len());
        let found = samples(values).describe_ms(&percents);
        let list: Vec<f64> = values.iter().map(|&value| Nanos(value).as_millis_f64()).collect();
        let expect = Describe::of_all(&list, &percents);
        assert_eq!(found.count, expect.count);
        assert_eq!(found.percentiles, expect.percentiles);
        assert_eq!((found.min, found.max), (expect.min, expect.max));
        for (found, expect) in [(found.mean, expect.mean), (found.std, expect.std)] {
            assert_eq!(found.is_some(), expect.is_some());
            let (found, expect) = (found.unwrap_or_default(), expect.unwrap_or_default());
            let scale = list.iter().fold(1e-6, |scale: f64, value| scale.max(*value));
            assert!((found - expect).abs() <= 1e-9 * scale, "{found} {expect}");
        }
    }

    #[test]
    fn few_samples_are_described_as_a_list_is() {
        check(&[]);
        check(&[7]);
        check(&[5, 5]);
        check(&[0, u64::from(u32::MAX), 3_600_000_000_000, 1]);
    }

    #[test]
    fn pages_of_counters_are_described_as_a_list_is() {
        let many = LISTED_MAX as u64 * 2;
        let spread: Vec<u64> =
            (0..many).map(|index| index.wrapping_mul(0x9E37_79B9) % 70_000).collect();
        check(&spread);
        assert!(matches!(samples(&spread).pages[&0], Page::Counted(_)));
    }

    #[test]
    fn values_that_come_often_are_described_as_a_list_is() {
        let many = LISTED_MAX as u64 + 70_000;
        check(&(0..many).map(|index| index % 7 * (index % 256 % 3)).collect::<Vec<_>>());
        check(&vec![0; LISTED_MAX + 256]);
    }

    #[test]
    fn memory_is_bounded_by_the_spread_and_not_by_the_number() {
        let mut samples = NanosSamples::default();
        for index in 0..2_000_000_u64 {
            samples.add(Nanos(10_000_000 + index % 60_000));
        }
        let bytes: usize = samples
            .pages
            .values()
            .map(|page| match page {
                Page::Listed(list) => list.len() * 2,
                Page::Counted(counters) => counters.counts.len() + counters.rounds.len() * 32,
            })
            .sum();
        assert!(samples.pages.len() <= 2 && bytes <= 2 * LISTED_MAX * 2, "{bytes}");
        assert_eq!(samples.count(), 2_000_000);
    }

    proptest! {
        #[test]
        fn descriptions_equal_those_of_lists(
            values in prop::collection::vec(prop_oneof![0..50_u64, 0..200_000_u64, 0..1_u64 << 45], 0..300),
        ) {
            check(&values);
        }

        #[test]
        fn the_order_does_not_show(mut values in prop::collection::vec(any::<u32>(), 0..200)) {
            let list = |values: &[u32]| values.iter().copied().map(u64::from).collect::<Vec<_>>();
            let before = samples(&list(&values)).describe_ms(&[50.0]);
            values.reverse();
            let after = samples(&list(&values)).describe_ms(&[50.0]);
            prop_assert!(before.count == values.len() as u64);
            prop_assert_eq!(before, after);
        }
    }
}
