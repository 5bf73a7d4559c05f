//! The client that does nothing but read: what the machine can do at all.
//!
//! One thread, one epoll instance, one buffer for all connections. It counts `data:` lines and finds
//! the end of a response; it takes no stamps, keeps no bytes and decodes nothing.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use anyhow::{Context, bail};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::{END_OF_STREAM, EventCounter, Measure, Work};

/// Bytes of one read at most, as in turnbench's client.
const READ_BYTES_MAX: usize = 64 << 10;
/// Socket events taken at a time.
const EVENTS_MAX: usize = 256;
/// Bytes of a response's end that are looked at: more than the end itself has.
const TAIL_BYTES: usize = 32;

struct Connection {
    stream: TcpStream,
    /// The latest bytes of the response, the last ones at the end.
    tail: [u8; TAIL_BYTES],
}

/// Does the work and prints the report.
///
/// # Errors
/// When the server cannot be reached, or ends a connection.
pub fn run(work: &Work) -> anyhow::Result<()> {
    let request = work.request()?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let mut connections = Vec::new();
    for index in 0..work.connections.min(work.requests) {
        let stream = TcpStream::connect(work.address()?).context("cannot connect")?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let interest = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
        epoll.add(&stream, EpollEvent::new(interest, u64::from(index)))?;
        connections.push(Connection { stream, tail: [0; TAIL_BYTES] });
    }
    let measure = Measure::start()?;
    let mut unsent = u64::from(work.requests);
    for connection in &connections {
        send(&connection.stream, &request)?;
        unsent -= 1;
    }
    // Whoever never sleeps need not be woken, which costs the server as much as a write.
    let wait = if work.spin { EpollTimeout::ZERO } else { EpollTimeout::NONE };
    let mut done = 0;
    let mut reads = 0;
    let mut counter = EventCounter::default();
    let mut buffer = vec![0; READ_BYTES_MAX];
    let mut events = [EpollEvent::empty(); EVENTS_MAX];
    while done < u64::from(work.requests) {
        let count = epoll.wait(&mut events, wait)?;
        for event in &events[..count] {
            let connection = &mut connections[event.data() as usize];
            loop {
                let len = match (&connection.stream).read(&mut buffer) {
                    Ok(0) => bail!("the server has closed a connection"),
                    Ok(len) => len,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                };
                reads += 1;
                if connection.take(&buffer[..len], &mut counter) {
                    done += 1;
                    if unsent > 0 {
                        unsent -= 1;
                        send(&connection.stream, &request)?;
                    }
                }
                if len < buffer.len() {
                    break;
                }
            }
        }
    }
    measure.print("nullclient", done, counter.count(), reads)
}

impl Connection {
    /// Counts events. Says whether the response has ended.
    fn take(&mut self, bytes: &[u8], counter: &mut EventCounter) -> bool {
        counter.add_border(&self.tail, bytes);
        counter.add(bytes);
        if let Some(tail) = bytes.last_chunk::<TAIL_BYTES>() {
            self.tail = *tail;
        } else {
            self.tail.rotate_left(bytes.len());
            self.tail[TAIL_BYTES - bytes.len()..].copy_from_slice(bytes);
        }
        let ended = self.tail.ends_with(END_OF_STREAM);
        if ended {
            self.tail = [0; TAIL_BYTES];
        }
        ended
    }
}

/// Sends a request in one write, or as many as a long one takes.
fn send(mut stream: &TcpStream, mut request: &[u8]) -> anyhow::Result<()> {
    while !request.is_empty() {
        match stream.write(request) {
            Ok(len) => request = &request[len..],
            // A body beyond the socket's buffer: the server reads it without being asked.
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
