use turnbench_model::{Nanos, RequestRecord, StampSource};

/// A read so soon after the arrival of its last segment that its tokens had come together: a proxy or
/// a server wrote them so.
const PROMPT_READ: Nanos = Nanos(250_000);
/// The same as a part of the time between two tokens: of a client that comes at any moment, one in ten
/// comes so soon after a token.
const PROMPT_PART: u64 = 10;

/// A first token whose kernel stamp is that of later ones: all came in one read, which has the stamp of
/// its last segment. So they do where the server writes several tokens at a time, and where the client
/// is late.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct SharedStamp {
    /// By how much its TTFT is too large, by the pace of the rest of its answer: so many tokens later
    /// did the last one in the read come. Tokens that the rest of the answer brings together, too, and
    /// those of a prompt read, came with it. `None` where no later token tells the pace.
    pub(super) excess: Option<Nanos>,
}

impl SharedStamp {
    /// `None` for a first token with a stamp of its own.
    pub(super) fn of(record: &RequestRecord) -> Option<Self> {
        let answer = &record.answer;
        let by_kernel =
            record.stamps.first_token.is_some_and(|stamp| stamp.source == StampSource::Kernel);
        let ([first, next, ..], [delay, next_delay, ..]) =
            (&*answer.chunks_ns, &*answer.chunk_delays_ns)
        else {
            return None;
        };
        if !by_kernel || first != next || delay != next_delay {
            return None;
        }
        let together = answer.chunks_ns.iter().take_while(|&at| at == first).count();
        let rest = &answer.chunks_ns[together..];
        let excess = rest.last().map(|last| {
            let pace = Nanos(last.since(*first).0 / rest.len() as u64);
            if *delay <= PROMPT_READ.min(Nanos(pace.0 / PROMPT_PART)) {
                return Nanos::ZERO;
            }
            let late = together.saturating_sub(usual_group(rest)) as u64;
            Nanos(pace.0.saturating_mul(late)).min(*first)
        });
        Some(Self { excess })
    }
}

/// Tokens that come with one stamp, in the median of the stamps.
fn usual_group(chunks_ns: &[Nanos]) -> usize {
    let mut sizes: Vec<usize> =
        chunks_ns.chunk_by(|one, next| one == next).map(<[_]>::len).collect();
    sizes.sort_unstable();
    sizes.get(sizes.len() / 2).copied().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use turnbench_model::{Nanos, Received, RequestRecord, StampSource};

    use super::SharedStamp;

    /// A record of tokens that came at those times (ms after sending), the first read `delay_us` after
    /// its stamp.
    fn shared(chunks_ms: &[u64], delay_us: u64) -> Option<SharedStamp> {
        let mut record: RequestRecord = serde_json::from_str(RECORD).unwrap();
        let at = Nanos::from_millis(1_000 + chunks_ms[0]);
        record.stamps.first_token = Some(Received {
            at_ns: at,
            read_ns: at + Nanos(delay_us * 1_000),
            source: StampSource::Kernel,
        });
        record.answer.chunks_ns = chunks_ms.iter().map(|&ms| Nanos::from_millis(ms)).collect();
        record.answer.chunk_delays_ns = vec![Nanos(delay_us * 1_000); chunks_ms.len()];
        SharedStamp::of(&record)
    }

    const RECORD: &str = r#"{"conversation_id":"a","conversation":0,"turn":1,"attempt":1,
        "last_attempt":true,"ends_conversation":true,"client":0,"connection":0,"phase":"main",
        "input_messages":1,"request_bytes":1,"max_tokens":null,"outcome":{"result":"completed"},
        "stamps":{"intended_ns":0,"sent_ns":1000000000},"answer":{"content":"","reasoning":"",
        "tool_calls":[],"first_chunk":"","chunks_ns":[],"chunk_delays_ns":[],"done":true},
        "reconnects_count":0,"reads_count":1}"#;

    fn late_by(ms: u64) -> SharedStamp {
        SharedStamp { excess: Some(Nanos::from_millis(ms)) }
    }

    #[test]
    fn a_token_read_alone_shares_nothing() {
        assert_eq!(shared(&[20, 25, 30], 4_000), None);
    }

    #[test]
    fn the_pace_of_the_rest_tells_how_long_the_first_token_waited() {
        // It came at 20, and four more until 40, when the client looked again.
        assert_eq!(shared(&[40, 40, 40, 40, 40, 45, 50, 55], 3_000), Some(late_by(20)));
        // Not by more than the TTFT.
        assert_eq!(shared(&[4, 4, 4, 14, 24], 3_000), Some(late_by(4)));
    }

    #[test]
    fn tokens_that_come_together_anyway_did_not_wait() {
        // Three at a time, and once six.
        assert_eq!(shared(&[20, 20, 20, 35, 35, 35, 50, 50, 50], 3_000), Some(late_by(0)));
        let twice = [20, 20, 20, 20, 20, 20, 35, 35, 35, 50, 50, 50];
        assert_eq!(shared(&twice, 3_000), Some(late_by(15)));
        // Read at once: nothing can have waited.
        assert_eq!(shared(&[20, 20, 25, 30], 100), Some(late_by(0)));
    }

    #[test]
    fn without_a_rest_nothing_tells_the_pace() {
        assert_eq!(shared(&[20, 20, 20], 3_000), Some(SharedStamp { excess: None }));
    }
}
