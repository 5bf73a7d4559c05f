use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::Duration;

use turnbench_model::RequestRecord;

/// Records between a shard and whoever takes them, at most.
const QUEUE_RECORDS: usize = 8_192;
/// How often queues that were found empty are looked at again.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Where the records of a run come out: a bounded queue for each shard, which no other shard
/// touches.
///
/// Nobody is woken by a record, which would cost the shard a call of the kernel for each: the queues
/// are looked at every 5 ms.
#[derive(Debug)]
pub struct Records(Vec<Receiver<Box<RequestRecord>>>);

/// The shards' ends of [`Records`].
#[derive(Debug)]
pub struct Outlets(Vec<Outlet>);

/// One shard's end.
#[derive(Debug)]
pub(crate) struct Outlet {
    /// NOTE(perf): boxed, since a queue's places are all there from the beginning: 5.5 MB for each
    /// shard as they are, 0.1 MB as boxes.
    queue: SyncSender<Box<RequestRecord>>,
    /// Records that found the queue full.
    waits: AtomicU64,
}

impl Records {
    /// Queues for `shards_count` shards.
    pub fn new(shards_count: u32) -> (Outlets, Self) {
        let queues = (0..shards_count).map(|_| sync_channel(QUEUE_RECORDS));
        let (senders, receivers): (Vec<_>, Vec<_>) = queues.unzip();
        let outlet = |queue| Outlet { queue, waits: AtomicU64::new(0) };
        (Outlets(senders.into_iter().map(outlet).collect()), Self(receivers))
    }

    /// Waits until there are records and gives `each` all that there are; `false` when the run has
    /// ended and there are no more.
    pub fn take(&mut self, mut each: impl FnMut(RequestRecord)) -> bool {
        loop {
            let (mut taken, mut open) = (false, false);
            for queue in &self.0 {
                loop {
                    match queue.try_recv() {
                        Ok(record) => {
                            taken = true;
                            each(*record);
                        }
                        Err(TryRecvError::Empty) => {
                            open = true;
                            break;
                        }
                        Err(TryRecvError::Disconnected) => break,
                    }
                }
            }
            if taken || !open {
                return taken;
            }
            std::thread::park_timeout(LOOK_EVERY);
        }
    }
}

impl Outlets {
    /// How many shards there are to be.
    pub(crate) const fn shards_count(&self) -> u32 {
        self.0.len() as u32
    }

    /// The end of a shard, by its number.
    pub(crate) fn of(&self, shard: u32) -> &Outlet {
        &self.0[shard as usize]
    }

    /// Records that had to wait because their queue was full.
    pub(crate) fn waits_count(&self) -> u64 {
        self.0.iter().map(|outlet| outlet.waits.load(Ordering::Relaxed)).sum()
    }
}

impl Outlet {
    /// Hands a record out. A full queue is waited for, and counted.
    pub(crate) fn hand_out(&self, record: RequestRecord) {
        if let Err(TrySendError::Full(record)) = self.queue.try_send(Box::new(record)) {
            self.waits.fetch_add(1, Ordering::Relaxed);
            // The other end is gone only after a panic of who takes the records; the run goes on.
            let _ = self.queue.send(record);
        }
    }
}

#[cfg(test)]
mod tests {
    use turnbench_model::{Answer, Outcome, Phase, RequestRecord, Stamps};

    use super::{QUEUE_RECORDS, Records};

    fn record(conversation: u32) -> RequestRecord {
        RequestRecord {
            conversation_id: "c".into(),
            conversation,
            turn: 1,
            attempt: 1,
            last_attempt: true,
            ends_conversation: true,
            client: 0,
            connection: None,
            phase: Phase::Main,
            input_messages: 1,
            request_bytes: 1,
            max_tokens: None,
            outcome: Outcome::Completed,
            stamps: Stamps::default(),
            answer: Answer::default(),
            usage: None,
            server_times: None,
            reconnects_count: 0,
            reads_count: 1,
            client_delay_max_ns: None,
        }
    }

    #[test]
    fn every_record_of_every_shard_comes_out_before_the_end() {
        const EACH: u32 = 1_000;
        let (outlets, mut records) = Records::new(2);
        let mut seen = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for conversation in 0..EACH {
                    outlets.of(0).hand_out(record(conversation));
                    outlets.of(1).hand_out(record(EACH + conversation));
                }
            });
            while records.take(|record| seen.push(record.conversation)) {}
        });
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..2 * EACH));
    }

    #[test]
    fn a_full_queue_is_counted() {
        let (outlets, mut records) = Records::new(1);
        std::thread::scope(|scope| {
            let sent = scope.spawn(|| {
                (0..=QUEUE_RECORDS as u32).for_each(|index| outlets.of(0).hand_out(record(index)));
            });
            while outlets.waits_count() == 0 {
                std::thread::yield_now();
            }
            let mut count = 0;
            while count <= QUEUE_RECORDS {
                assert!(records.take(|_| count += 1));
            }
            sent.join().unwrap();
        });
        assert_eq!(outlets.waits_count(), 1);
    }
}
