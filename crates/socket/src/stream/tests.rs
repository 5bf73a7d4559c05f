use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use turnbench_model::{Clock, MonotonicClock, StampSource};

use super::StampedStream;

async fn pair(clock: &Arc<MonotonicClock>) -> (StampedStream, StampedStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connect = TcpStream::connect(listener.local_addr().unwrap());
    let (client, server) = tokio::join!(connect, listener.accept());
    let clock: Arc<dyn Clock> = clock.clone();
    let client = StampedStream::new(client.unwrap(), Arc::clone(&clock)).unwrap();
    (client, StampedStream::new(server.unwrap().0, clock).unwrap())
}

fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

#[test]
fn a_read_carries_a_stamp_between_send_and_read() {
    block_on(async {
        let clock = Arc::new(MonotonicClock::start());
        let (mut client, mut server) = pair(&clock).await;
        let mut previous = None;
        for _ in 0..20 {
            assert_eq!(client.last_read(), previous, "no read, no new stamp");
            let before = clock.now();
            server.write_all(b"hello").await.unwrap();
            let mut buffer = [0; 16];
            assert_eq!(client.read(&mut buffer).await.unwrap(), 5);
            let received = client.last_read().unwrap();
            // The wall clock may be slewed against the monotonic one: allow it a millisecond.
            assert!(received.at_ns.0 + 1_000_000 >= before.0, "{received:?} {before:?}");
            assert!(received.at_ns <= received.read_ns && received.read_ns <= clock.now());
            previous = Some(received);
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_late_reader_sees_when_the_bytes_arrived() {
    block_on(async {
        let clock = Arc::new(MonotonicClock::start());
        let (mut client, mut server) = pair(&clock).await;
        assert!(client.has_kernel_stamps());
        let mut buffer = [0; 16];
        // Linux turns stamping on in the background: go on until a stamp comes.
        loop {
            server.write_all(b"x").await.unwrap();
            client.read_exact(&mut buffer[..1]).await.unwrap();
            if client.last_read().unwrap().source == StampSource::Kernel {
                break;
            }
            tokio::task::yield_now().await;
        }
        server.write_all(b"late").await.unwrap();
        let arrived = clock.now();
        while clock.now().since(arrived).0 < 20_000_000 {
            std::hint::spin_loop();
        }
        client.read_exact(&mut buffer[..4]).await.unwrap();
        let received = client.last_read().unwrap();
        assert_eq!(received.source, StampSource::Kernel);
        // Most of the wait; the wall clock may be slewed meanwhile.
        assert!(received.delay().0 >= 15_000_000, "{received:?}");
    });
}

#[test]
fn the_end_of_the_stream_is_stamped_by_the_client() {
    block_on(async {
        let clock = Arc::new(MonotonicClock::start());
        let (mut client, server) = pair(&clock).await;
        drop(server);
        assert_eq!(client.read(&mut [0; 4]).await.unwrap(), 0);
        assert_eq!(client.last_read().unwrap().source, StampSource::User);
    });
}

#[test]
fn a_request_arrival_spans_the_reads_between_two_writes() {
    block_on(async {
        let clock = Arc::new(MonotonicClock::start());
        let (mut client, mut server) = pair(&clock).await;
        let arrival = server.request_arrival();
        assert_eq!(arrival.latest(), None);
        let mut buffer = [0; 2];
        client.write_all(b"ab").await.unwrap();
        server.read_exact(&mut buffer).await.unwrap();
        let head = arrival.latest().unwrap();
        assert_eq!(head.first_unix_ns, head.last_unix_ns);
        client.write_all(b"cd").await.unwrap();
        server.read_exact(&mut buffer).await.unwrap();
        let body = arrival.latest().unwrap();
        assert_eq!(body.first_unix_ns, head.first_unix_ns);
        assert!(body.last_unix_ns > head.last_unix_ns);
        server.write_all(b"answer").await.unwrap();
        client.write_all(b"ef").await.unwrap();
        server.read_exact(&mut buffer).await.unwrap();
        assert!(arrival.latest().unwrap().first_unix_ns > body.first_unix_ns);
    });
}

#[test]
fn a_closed_or_chatty_idle_connection_is_stale() {
    block_on(async {
        let clock = Arc::new(MonotonicClock::start());
        let (client, mut server) = pair(&clock).await;
        assert!(!client.is_stale());
        server.write_all(b"unasked").await.unwrap();
        client.tcp.readable().await.unwrap();
        assert!(client.is_stale());
        let (client, server) = pair(&clock).await;
        drop(server);
        client.tcp.readable().await.unwrap();
        assert!(client.is_stale());
    });
}
