use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use turnbench_model::{Clock, Nanos};

use super::connections::Place;
use super::exchange::Exchanges;
use super::options::RawOptions;
use crate::error::Error;
use crate::server::{ACCEPT_PAUSE, is_of_one_client, listen};
use crate::truth::TruthLog;

/// Writes between two looks at the sockets.
const WRITES_PER_LOOK: usize = 64;
/// Socket events taken in one look.
const EVENTS_MAX: usize = 256;
/// Connections accepted in one look.
const ACCEPTS_PER_LOOK: usize = 64;
/// Nothing to stream for that long: time to write the truth down.
const IDLE_MS: u16 = 20;

/// Epoll's user data of the server's own files; those of connections are smaller.
const LISTENER: u64 = u64::MAX;
const STOP: u64 = u64::MAX - 1;
const TIMER: u64 = u64::MAX - 2;

/// A raw server that listens and does not answer yet.
pub struct RawServer {
    listener: TcpListener,
    local_addr: SocketAddr,
    /// Until when the listener is not watched; `None`: it is.
    accepts_from: Option<Nanos>,
    epoll: Epoll,
    timer: TimerFd,
    stop: RawStop,
    clock: Arc<dyn Clock>,
    exchanges: Exchanges,
}

impl std::fmt::Debug for RawServer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("RawServer")
            .field("local_addr", &self.local_addr)
            .field("exchanges", &self.exchanges)
            .finish_non_exhaustive()
    }
}

/// Ends a server from elsewhere.
#[derive(Clone, Debug)]
pub struct RawStop(Arc<EventFd>);

impl RawStop {
    /// Lets [`RawServer::run`] return: what is being answered is cut off, and the truth written.
    pub fn stop(&self) {
        // Fails only when it has been told 2^64 times already.
        let _ = self.0.write(1);
    }
}

impl RawServer {
    /// Checks the options, creates the truth file and listens on `addr`; port 0 is any free one.
    ///
    /// `clock` must run in real time.
    ///
    /// # Errors
    /// When an option cannot work, the truth file cannot be created, the address cannot be listened
    /// on, or the system is not Linux.
    pub fn bind(
        addr: SocketAddr,
        options: RawOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        options.validate()?;
        let listener = listen(addr)?;
        let local_addr = listener.local_addr().map_err(|source| Error::Bind { addr, source })?;
        let truth = options.truth.clone().map(TruthLog::create).transpose()?;
        let files = || -> nix::Result<_> {
            let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
            let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
            let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
            let stop = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
            watch(&epoll, &listener)?;
            epoll.add(&stop, EpollEvent::new(EpollFlags::EPOLLIN, STOP))?;
            // Edge-triggered: an expiry is told once and need not be read.
            let edge = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
            epoll.add(&timer, EpollEvent::new(edge, TIMER))?;
            Ok((epoll, timer, stop))
        };
        let (epoll, timer, stop) = files().map_err(|errno| Error::Runtime(errno.into()))?;
        let exchanges = Exchanges::new(options, truth, Arc::clone(&clock));
        let stop = RawStop(Arc::new(stop));
        let accepts_from = None;
        Ok(Self { listener, local_addr, accepts_from, epoll, timer, stop, clock, exchanges })
    }

    /// Where it listens.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// A handle that ends it.
    pub fn stopper(&self) -> RawStop {
        self.stop.clone()
    }

    /// Answers on this thread until it is stopped.
    ///
    /// # Errors
    /// When the system refuses to wait for sockets.
    pub fn run(mut self) -> Result<(), Error> {
        let ended = self.serve();
        self.exchanges.end();
        ended.map_err(Error::Runtime)
    }

    /// [`Self::run`] on a thread of its own.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn spawn(self) -> Result<RawServerThread, Error> {
        let (local_addr, stop) = (self.local_addr, self.stopper());
        let thread = std::thread::Builder::new()
            .name("raw-server".to_owned())
            .spawn(move || self.run())
            .map_err(Error::Runtime)?;
        Ok(RawServerThread { local_addr, stop, thread })
    }

    fn serve(&mut self) -> io::Result<()> {
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        loop {
            self.exchanges.write_some(WRITES_PER_LOOK);
            self.accept_again()?;
            let count = self.wait(&mut events)?;
            if count == 0 {
                self.exchanges.note_pause();
            }
            for event in &events[..count] {
                match event.data() {
                    STOP => return Ok(()),
                    TIMER => {}
                    LISTENER => self.accept()?,
                    data => self.exchanges.take_event(Place::from_data(data), event.events()),
                }
            }
        }
    }

    /// Looks at the sockets; waits for them or for the next due write, if nothing can be written.
    fn wait(&self, events: &mut [EpollEvent]) -> io::Result<usize> {
        let timeout = if self.exchanges.wants_to_write() {
            EpollTimeout::ZERO
        } else if let Some(due) = self.next_moment() {
            let left = due.since(self.clock.now());
            if left.0 == 0 {
                EpollTimeout::ZERO
            } else {
                // epoll's own timeout is in milliseconds, and late by the timer slack.
                let span = TimeSpec::from_duration(Duration::from_nanos(left.0));
                self.timer.set(Expiration::OneShot(span), TimerSetTimeFlags::empty())?;
                EpollTimeout::NONE
            }
        } else if self.exchanges.has_truth_to_write() {
            EpollTimeout::from(IDLE_MS)
        } else {
            EpollTimeout::NONE
        };
        match self.epoll.wait(events, timeout) {
            Err(nix::errno::Errno::EINTR) => Ok(0),
            waited => Ok(waited?),
        }
    }

    /// When something is to be done: the next write, or the end of a pause.
    fn next_moment(&self) -> Option<Nanos> {
        [self.exchanges.next_due(), self.accepts_from].into_iter().flatten().min()
    }

    fn accept(&mut self) -> io::Result<()> {
        for _ in 0..ACCEPTS_PER_LOOK {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                // Nobody waits any more, or a client has gone already; epoll says if there are others.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if is_of_one_client(&error) => return Ok(()),
                Err(_) => return self.pause_accepting(),
            };
            let ready = stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true));
            let data = self.exchanges.next_place().to_data();
            // Edge-triggered, and never changed: the kernel wakes for writing only after it refused.
            let interest = EpollFlags::EPOLLIN
                | EpollFlags::EPOLLOUT
                | EpollFlags::EPOLLRDHUP
                | EpollFlags::EPOLLET;
            let watched = self.epoll.add(&stream, EpollEvent::new(interest, data));
            if ready.is_ok() && watched.is_ok() {
                self.exchanges.open(stream);
            }
        }
        Ok(())
    }

    /// Looks away from the listener for a while, which would be reported at every look: others may end
    /// meanwhile, also outside this server.
    fn pause_accepting(&mut self) -> io::Result<()> {
        self.epoll.delete(&self.listener)?;
        self.accepts_from = Some(self.clock.now() + Nanos(ACCEPT_PAUSE.as_nanos() as u64));
        Ok(())
    }

    /// Ends a pause that is over.
    fn accept_again(&mut self) -> io::Result<()> {
        if self.accepts_from.is_some_and(|from| self.clock.now() >= from) {
            watch(&self.epoll, &self.listener)?;
            self.accepts_from = None;
        }
        Ok(())
    }
}

fn watch(epoll: &Epoll, listener: &TcpListener) -> nix::Result<()> {
    epoll.add(listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))
}

/// A raw server that runs on a thread of its own. Dropping it leaves the server running.
#[derive(Debug)]
pub struct RawServerThread {
    local_addr: SocketAddr,
    stop: RawStop,
    thread: JoinHandle<Result<(), Error>>,
}

impl RawServerThread {
    /// Where it listens.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Stops the server and waits for its end; the truth file is complete then.
    ///
    /// # Errors
    /// As [`RawServer::run`], and when its thread panicked.
    pub fn stop(self) -> Result<(), Error> {
        self.stop.stop();
        let ended = self.thread.join();
        ended.unwrap_or_else(|_| Err(Error::Runtime(io::Error::other("the thread panicked"))))
    }
}
