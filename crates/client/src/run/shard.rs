use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{FutureExt, LocalBoxFuture};
use futures_util::stream::{FuturesUnordered, StreamExt};
use nix::time::{ClockId, clock_gettime};
use tokio::runtime::Runtime;
use tokio::task::unconstrained;
use turnbench_load::ClientLoop;
use turnbench_model::{Clock, Nanos, OpenedConnection, ShardFacts};

use super::client::{ShardShared, run_client};
use super::context::Context;
use super::control::Control;
use super::relay::Relay;
use crate::pacer::Pacer;
use crate::{Connector, Session};

/// How often the event loop's lag is looked at.
const LAG_EVERY: Nanos = Nanos::from_millis(100);
/// Most lags kept; a longer run keeps every other one from then on.
const LAGS_MAX: usize = 16_384;
/// One thread's share of the clients, kept from phase to phase: its event loop and its connections.
#[derive(Debug)]
pub(crate) struct Shard {
    number: u32,
    runtime: Runtime,
    places: Vec<Place>,
}

/// A client and its connection.
#[derive(Debug)]
struct Place {
    client: u32,
    session: Session,
    /// Its loop in the phase that begins.
    load: Option<ClientLoop>,
}

impl Shard {
    /// The shard `number` of `shards_count`, with every `shards_count`th client.
    pub(crate) fn new(
        number: u32,
        shards_count: u32,
        clients_count: u32,
        connector: &Arc<Connector>,
    ) -> std::io::Result<Self> {
        let place =
            |client| Place { client, session: Session::new(Arc::clone(connector)), load: None };
        Ok(Self {
            number,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
            places: (number..clients_count).step_by(shards_count as usize).map(place).collect(),
        })
    }

    pub(crate) const fn number(&self) -> u32 {
        self.number
    }

    /// Opens every client's connection, unless the run is stopped. One that cannot be opened is left to
    /// the client's first request, which then fails or not.
    pub(crate) fn connect(&mut self, control: &Control) -> Vec<OpenedConnection> {
        let opening = self.places.iter_mut().map(|place| place.session.connect());
        let mut opening: FuturesUnordered<_> = opening.collect();
        let mut opened = Vec::new();
        self.runtime.block_on(async {
            loop {
                let mut news = pin!(control.news().notified());
                // Listens from before it looks, so that nothing falls in between.
                news.as_mut().enable();
                if control.is_stopped() {
                    return;
                }
                tokio::select! {
                    next = opening.next() => match next {
                        Some(connection) => opened.extend(connection.ok().flatten()),
                        None => return,
                    },
                    () = news => {}
                }
            }
        });
        opened
    }

    /// Closes every client's connection.
    pub(crate) fn disconnect(&mut self) {
        self.places.iter_mut().for_each(|place| place.session.close());
    }

    /// Takes this shard's clients of the phase that begins out of all, which are in their order.
    pub(crate) fn seat(&mut self, clients: &mut [Option<ClientLoop>]) {
        for place in &mut self.places {
            place.load = clients.get_mut(place.client as usize).and_then(Option::take);
        }
    }

    /// Runs the clients until all are done with this phase.
    pub(crate) fn run(&mut self, context: &Context<'_>) -> ShardFacts {
        let clock = Arc::clone(context.input.connector.clock());
        let (start, cpu_start) = (clock.now(), thread_cpu());
        let lags = Lags::default();
        let entered = self.runtime.enter();
        let shared = ShardShared {
            relay: Relay::new(),
            pacer: Pacer::new(Arc::clone(&clock)),
            outlet: context.outlets.of(self.number),
        };
        drop(entered);
        let mut running: FuturesUnordered<_> = (self.places.iter_mut())
            .filter_map(|place| Some((place.load.take()?, &mut place.session)))
            .map(|(load, session)| run_client(context, &shared, load, session))
            .collect();
        // Each is polled only when it was woken, not whenever a client is.
        let mut beside: FuturesUnordered<LocalBoxFuture<'_, ()>> = FuturesUnordered::new();
        beside.push(shared.relay.pass_on(context.control).boxed_local());
        beside.push(shared.pacer.run().boxed_local());
        beside.push(lags.watch(&*clock).boxed_local());
        // One task holds all clients. The runtime's budget, 128 reads, is meant for one connection:
        // beyond it every other client, and the timers beside them, would be put off again and again.
        // Nobody needs it to give way: a client reads until its socket is empty, then waits.
        self.runtime.block_on(unconstrained(async {
            tokio::select! {
                biased;
                () = async { while running.next().await.is_some() {} } => {}
                Some(()) = beside.next() => {}
            }
        }));
        drop((running, beside));
        let cpu_ns = thread_cpu().zip(cpu_start).map(|(end, start)| end.since(start));
        ShardFacts {
            shard: self.number,
            clients_count: self.places.len() as u32,
            wall_ns: clock.now().since(start),
            cpu_ns,
            spun_ns: shared.pacer.spun(),
            loop_lag_max_ns: lags.max.get(),
            loop_lags_ns: lags.kept.take(),
        }
    }
}

/// How late the event loop is.
#[derive(Default)]
struct Lags {
    kept: Cell<Vec<Nanos>>,
    max: Cell<Nanos>,
}

impl Lags {
    /// Sets timers, one after another, and notes how late they come. For ever.
    async fn watch(&self, clock: &dyn Clock) {
        let (mut every, mut seen) = (1_u64, 0_u64);
        loop {
            let due = clock.now() + LAG_EVERY;
            tokio::time::sleep(Duration::from_nanos(LAG_EVERY.0)).await;
            let lag = clock.now().since(due);
            self.max.set(self.max.get().max(lag));
            seen += 1;
            if seen % every != 0 {
                continue;
            }
            let mut kept = self.kept.take();
            kept.push(lag);
            if kept.len() >= LAGS_MAX {
                let mut index = 0;
                kept.retain(|_| {
                    index += 1;
                    index % 2 == 0
                });
                every *= 2;
            }
            self.kept.set(kept);
        }
    }
}

/// CPU time of this thread so far, user and system.
fn thread_cpu() -> Option<Nanos> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).ok()?;
    let (seconds, nanos) =
        (u64::try_from(time.tv_sec()).ok()?, u64::try_from(time.tv_nsec()).ok()?);
    Some(Nanos(seconds * 1_000_000_000 + nanos))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;

    use turnbench_model::MonotonicClock;

    use super::Shard;
    use crate::run::Control;
    use crate::run::control::tests::driver;
    use crate::{BasePath, Connector, Endpoint, TlsOptions};

    #[test]
    fn connections_are_opened_unless_the_run_is_stopped() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let endpoint = Endpoint::parse(&url, BasePath::Normalise).unwrap();
        let clock = Arc::new(MonotonicClock::start());
        let connector = Arc::new(Connector::new(endpoint, &TlsOptions::default(), clock).unwrap());
        let control = Control::new(&driver());
        let mut shard = Shard::new(1, 2, 7, &connector).unwrap();
        assert_eq!(shard.connect(&control).len(), 3);
        assert_eq!(shard.connect(&control).len(), 0, "they stand");
        shard.disconnect();
        control.stop();
        assert_eq!(shard.connect(&control).len(), 0);
    }
}
