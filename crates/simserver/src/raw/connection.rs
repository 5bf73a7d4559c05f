use std::net::TcpStream;

use turnbench_model::StampSource;
use turnbench_socket::Arrival;

use super::answer::Answer;
use super::request::RequestReader;

/// One client's connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) reader: RequestReader,
    /// What is being answered; meanwhile nothing is read.
    pub(crate) answer: Option<Answer>,
    /// There may be something to read.
    pub(crate) readable: bool,
    /// The kernel takes no more bytes; epoll says when it does.
    pub(crate) blocked: bool,
    /// The client sends no more.
    pub(crate) peer_closed: bool,
    arrival: Option<Arrival>,
    last: Option<Arrival>,
}

impl Connection {
    /// A new connection, non-blocking and watched.
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            reader: RequestReader::default(),
            answer: None,
            readable: true,
            blocked: false,
            peer_closed: false,
            arrival: None,
            last: None,
        }
    }

    /// Notes a read.
    pub(crate) fn arrived(&mut self, unix_ns: u64, source: StampSource) {
        let read = Arrival { first_unix_ns: unix_ns, last_unix_ns: unix_ns, source };
        self.last = Some(read);
        let arrival = self.arrival.get_or_insert(read);
        arrival.last_unix_ns = unix_ns;
        if source != StampSource::Kernel {
            arrival.source = source;
        }
    }

    /// When the request that has just been read arrived; the next read begins a new one.
    pub(crate) fn take_arrival(&mut self) -> Option<Arrival> {
        // A request that came together with the one before it has that one's last read.
        self.arrival.take().or(self.last)
    }
}
